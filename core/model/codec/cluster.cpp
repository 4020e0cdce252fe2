// Cluster to protobuf and back.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/codec/cluster.pb.h"

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"

namespace skep::codec {
namespace {

void encode_spec(const model::ClusterSpec& from, proto::ClusterSpec* to) {
  to->set_name(from.name);
  encode(from.labels, to->mutable_labels());
  to->set_task_history_limit(from.task_history_limit);
  to->set_heartbeat_period_ns(from.heartbeat_period.count());
  to->set_node_cert_expiry_ns(from.node_cert_expiry.count());
  to->set_snapshot_interval(from.snapshot_interval);
  to->set_log_entries_for_slow_followers(from.log_entries_for_slow_followers);
  to->set_default_log_driver(from.default_log_driver);
  to->set_force_rotate(from.force_rotate);
  to->set_auto_lock_managers(from.auto_lock_managers);
}

Result<model::ClusterSpec> decode_spec(const proto::ClusterSpec& from) {
  model::ClusterSpec to;
  to.name = from.name();
  SKEP_TRY_ASSIGN(to.labels, decode_map(from.labels(), "cluster: spec: labels"));
  to.task_history_limit = from.task_history_limit();
  to.heartbeat_period = model::Nanoseconds(from.heartbeat_period_ns());
  to.node_cert_expiry = model::Nanoseconds(from.node_cert_expiry_ns());
  to.snapshot_interval = from.snapshot_interval();
  to.log_entries_for_slow_followers = from.log_entries_for_slow_followers();
  to.default_log_driver = from.default_log_driver();
  to.force_rotate = from.force_rotate();
  to.auto_lock_managers = from.auto_lock_managers();
  return to;
}

void encode_rotation(const model::RootRotation& from, proto::RootRotation* to) {
  to->set_certificate_pem(from.certificate_pem);
  to->set_key_pem(from.key_pem);
  to->set_cross_signed_pem(from.cross_signed_pem);
  encode(from.issuer, to->mutable_issuer());
  to->set_worker_token(from.worker_token);
  to->set_manager_token(from.manager_token);
}

model::RootRotation decode_rotation(const proto::RootRotation& from) {
  return {from.certificate_pem(),       from.key_pem(),      from.cross_signed_pem(),
          decode_issuer(from.issuer()), from.worker_token(), from.manager_token()};
}

}  // namespace

void encode(const model::Cluster& from, proto::Cluster* to) {
  to->Clear();
  to->set_id(encode_id(from.id));
  encode(from.meta, to->mutable_meta());
  encode_spec(from.spec, to->mutable_spec());
  to->set_ca_certificate_pem(from.ca_certificate_pem);
  to->set_ca_key_pem(from.ca_key_pem);
  to->set_worker_token(from.worker_token);
  to->set_manager_token(from.manager_token);
  encode(from.address_pools, to->mutable_address_pools());
  to->set_subnet_size(from.subnet_size);
  to->set_last_raft_id(from.last_raft_id);
  to->set_data_path_port(from.data_path_port);
  for (const model::BlockedNode& blocked : from.blocked_nodes) {
    proto::BlockedNode* out = to->add_blocked_nodes();
    out->set_node(encode_id(blocked.node));
    out->set_until_unix_ns(blocked.until.unix_ns);
  }
  if (from.root_rotation) encode_rotation(*from.root_rotation, to->mutable_root_rotation());
  to->set_unlock_key(from.unlock_key);
}

Result<model::Cluster> decode(const proto::Cluster& from) {
  model::Cluster to;
  SKEP_TRY_ASSIGN(to.id, decode_id<model::ClusterId>(from.id(), "cluster: id"));
  to.meta = decode_meta(from.meta());
  SKEP_TRY_ASSIGN(to.spec, decode_spec(from.spec()));
  to.ca_certificate_pem = from.ca_certificate_pem();
  to.ca_key_pem = from.ca_key_pem();
  to.worker_token = from.worker_token();
  to.manager_token = from.manager_token();
  to.address_pools = decode_texts(from.address_pools());
  to.subnet_size = from.subnet_size();
  to.last_raft_id = from.last_raft_id();
  to.data_path_port = from.data_path_port();
  for (const proto::BlockedNode& blocked : from.blocked_nodes()) {
    model::BlockedNode out;
    SKEP_TRY_ASSIGN(out.node,
                    decode_id<model::NodeId>(blocked.node(), "cluster: blocked_nodes: node"));
    out.until = {blocked.until_unix_ns()};
    to.blocked_nodes.push_back(out);
  }
  if (from.has_root_rotation()) to.root_rotation = decode_rotation(from.root_rotation());
  to.unlock_key = from.unlock_key();
  return to;
}

}  // namespace skep::codec
