// Writes on the wire. Rows carry specs whose messages are their own: what is not said in
// node_rpc.proto of a row is not looked at.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/manager/writes.hpp"
#include "daemon/transport/node_rpc.pb.h"

namespace skep::manager {
namespace {

struct Encoder {
  rpc::ForwardRequest* to;

  void operator()(const UpdateCluster& from) {
    model::Cluster row;
    row.id = from.cluster;
    row.meta.version = from.version;
    row.spec = from.spec;
    row.worker_token = from.trust.worker_token.value_or("");
    row.manager_token = from.trust.manager_token.value_or("");
    row.root_rotation = from.trust.rotation;
    row.unlock_key = from.trust.unlock_key.value_or("");
    codec::encode(row, to->mutable_update_cluster()->mutable_cluster());
    to->mutable_update_cluster()->set_cross_signed_by(from.trust.cross_signed_by);
  }
  void operator()(const UpdateNode& from) {
    model::Node row;
    row.id = from.node;
    row.meta.version = from.version;
    row.spec = from.spec;
    codec::encode(row, to->mutable_update_node()->mutable_node());
  }
  void operator()(const RemoveNode& from) {
    to->mutable_remove_node()->set_node(codec::encode_id(from.node));
    to->mutable_remove_node()->set_force(from.force);
  }
  void operator()(const CreateService& from) {
    codec::encode(from.spec, to->mutable_create_service()->mutable_spec());
  }
  void operator()(const UpdateService& from) {
    rpc::UpdateServiceWrite* out = to->mutable_update_service();
    out->set_service(codec::encode_id(from.service));
    out->set_version(from.version);
    codec::encode(from.spec, out->mutable_spec());
  }
  void operator()(const RemoveService& from) {
    to->mutable_remove_service()->set_service(codec::encode_id(from.service));
  }
  void operator()(const CreateConfig& from) {
    codec::encode(from.spec, to->mutable_create_config()->mutable_spec());
  }
  void operator()(const UpdateConfig& from) {
    rpc::UpdateConfigWrite* out = to->mutable_update_config();
    out->set_config(codec::encode_id(from.config));
    out->set_version(from.version);
    codec::encode(from.spec, out->mutable_spec());
  }
  void operator()(const RemoveConfig& from) {
    to->mutable_remove_config()->set_config(codec::encode_id(from.config));
  }
  void operator()(const AdmitNode& from) {
    model::Node row;
    row.id = from.node;
    row.spec.role = from.role;
    row.spec.availability = from.availability;
    row.certificate_expires_at = from.certificate_expires_at;
    row.trust.issuer = from.issuer;
    codec::encode(row, to->mutable_admit_node()->mutable_node());
  }
  void operator()(const JoinGroup& from) {
    rpc::JoinGroupWrite* out = to->mutable_join_group();
    out->set_node(codec::encode_id(from.node));
    out->set_address(from.address);
    out->set_raft_id(from.member.value);
  }
  void operator()(const LeaveGroup& from) {
    to->mutable_leave_group()->set_node(codec::encode_id(from.node));
  }
};

Result<Write> decode_cluster(const rpc::UpdateClusterWrite& from) {
  SKEP_TRY_ASSIGN(model::Cluster row, codec::decode(from.cluster()));
  planner::TrustChange trust;
  if (!row.worker_token.empty()) trust.worker_token = std::move(row.worker_token);
  if (!row.manager_token.empty()) trust.manager_token = std::move(row.manager_token);
  trust.rotation = std::move(row.root_rotation);
  if (!row.unlock_key.empty()) trust.unlock_key = std::move(row.unlock_key);
  trust.cross_signed_by = from.cross_signed_by();
  return UpdateCluster{row.id, row.meta.version, std::move(row.spec), std::move(trust)};
}

Result<Write> decode_node(const rpc::UpdateNodeWrite& from) {
  SKEP_TRY_ASSIGN(model::Node row, codec::decode(from.node()));
  return UpdateNode{row.id, row.meta.version, std::move(row.spec)};
}

Result<Write> decode_service(const rpc::UpdateServiceWrite& from) {
  SKEP_TRY_ASSIGN(const auto id,
                  codec::decode_id<model::ServiceId>(from.service(), "forward: service"));
  SKEP_TRY_ASSIGN(model::ServiceSpec spec, codec::decode(from.spec()));
  return UpdateService{id, from.version(), std::move(spec)};
}

Result<model::ConfigId> config_id(const std::string& bytes) {
  return codec::decode_id<model::ConfigId>(bytes, "forward: config");
}

Result<Write> decode_config(const rpc::UpdateConfigWrite& from) {
  SKEP_TRY_ASSIGN(const model::ConfigId id, config_id(from.config()));
  SKEP_TRY_ASSIGN(model::ConfigSpec spec, codec::decode(from.spec()));
  return UpdateConfig{id, from.version(), std::move(spec)};
}

Result<Write> decode_admitted(const rpc::AdmitNodeWrite& from) {
  SKEP_TRY_ASSIGN(const model::Node row, codec::decode(from.node()));
  return AdmitNode{row.id, row.spec.role, row.spec.availability, row.certificate_expires_at,
                   row.trust.issuer};
}

Result<model::NodeId> node_id(const std::string& bytes) {
  return codec::decode_id<model::NodeId>(bytes, "forward: node");
}

}  // namespace

void encode(const Write& write, rpc::ForwardRequest* to) {
  std::visit(Encoder{to}, write);
}

Result<Write> decode(const rpc::ForwardRequest& from) {
  switch (from.write_case()) {
    case rpc::ForwardRequest::kUpdateCluster:
      return decode_cluster(from.update_cluster());
    case rpc::ForwardRequest::kUpdateNode:
      return decode_node(from.update_node());
    case rpc::ForwardRequest::kRemoveNode: {
      SKEP_TRY_ASSIGN(const model::NodeId node, node_id(from.remove_node().node()));
      return RemoveNode{node, from.remove_node().force()};
    }
    case rpc::ForwardRequest::kCreateService: {
      SKEP_TRY_ASSIGN(model::ServiceSpec spec, codec::decode(from.create_service().spec()));
      return CreateService{std::move(spec)};
    }
    case rpc::ForwardRequest::kUpdateService:
      return decode_service(from.update_service());
    case rpc::ForwardRequest::kRemoveService: {
      SKEP_TRY_ASSIGN(const auto id, codec::decode_id<model::ServiceId>(
                                         from.remove_service().service(), "forward: service"));
      return RemoveService{id};
    }
    case rpc::ForwardRequest::kCreateConfig: {
      SKEP_TRY_ASSIGN(model::ConfigSpec spec, codec::decode(from.create_config().spec()));
      return CreateConfig{std::move(spec)};
    }
    case rpc::ForwardRequest::kUpdateConfig:
      return decode_config(from.update_config());
    case rpc::ForwardRequest::kRemoveConfig: {
      SKEP_TRY_ASSIGN(const model::ConfigId id, config_id(from.remove_config().config()));
      return RemoveConfig{id};
    }
    case rpc::ForwardRequest::kAdmitNode:
      return decode_admitted(from.admit_node());
    case rpc::ForwardRequest::kJoinGroup: {
      SKEP_TRY_ASSIGN(const model::NodeId node, node_id(from.join_group().node()));
      return JoinGroup{node, from.join_group().address(), {from.join_group().raft_id()}};
    }
    case rpc::ForwardRequest::kLeaveGroup: {
      SKEP_TRY_ASSIGN(const model::NodeId node, node_id(from.leave_group().node()));
      return LeaveGroup{node};
    }
    case rpc::ForwardRequest::WRITE_NOT_SET:
      return fail(ErrorKind::unimplemented, "the leader does not know this kind of write");
  }
  return fail(ErrorKind::unimplemented, "the kind of write is out of range");
}

}  // namespace skep::manager
