// Node, its description and its status to protobuf and back.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/codec/node.pb.h"

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"

namespace skep::codec {
namespace {

using model::NodeAvailability;
using model::NodeRole;
using model::NodeState;

constexpr EnumTable<NodeRole, proto::NodeRole, 2> kRoles = {{
    {NodeRole::worker, proto::NODE_ROLE_WORKER},
    {NodeRole::manager, proto::NODE_ROLE_MANAGER},
}};
constexpr EnumTable<NodeAvailability, proto::NodeAvailability, 3> kAvailabilities = {{
    {NodeAvailability::active, proto::NODE_AVAILABILITY_ACTIVE},
    {NodeAvailability::pause, proto::NODE_AVAILABILITY_PAUSE},
    {NodeAvailability::drain, proto::NODE_AVAILABILITY_DRAIN},
}};
constexpr EnumTable<NodeState, proto::NodeState, 4> kStates = {{
    {NodeState::unknown, proto::NODE_STATE_UNKNOWN},
    {NodeState::down, proto::NODE_STATE_DOWN},
    {NodeState::ready, proto::NODE_STATE_READY},
    {NodeState::disconnected, proto::NODE_STATE_DISCONNECTED},
}};

constexpr EnumTable<model::Reachability, proto::Reachability, 3> kReachabilities = {{
    {model::Reachability::unknown, proto::REACHABILITY_UNKNOWN},
    {model::Reachability::unreachable, proto::REACHABILITY_UNREACHABLE},
    {model::Reachability::reachable, proto::REACHABILITY_REACHABLE},
}};

void encode_spec(const model::NodeSpec& from, proto::NodeSpec* to) {
  to->set_name(from.name);
  encode(from.labels, to->mutable_labels());
  to->set_role(encode_enum(kRoles, from.role));
  to->set_availability(encode_enum(kAvailabilities, from.availability));
}

Result<model::NodeSpec> decode_spec(const proto::NodeSpec& from) {
  model::NodeSpec to;
  to.name = from.name();
  SKEP_TRY_ASSIGN(to.labels, decode_map(from.labels(), "spec: labels"));
  SKEP_TRY_ASSIGN(to.role, decode_enum(kRoles, from.role(), "spec: role"));
  SKEP_TRY_ASSIGN(to.availability,
                  decode_enum(kAvailabilities, from.availability(), "spec: availability"));
  return to;
}

}  // namespace

void encode(const model::NodeDescription& from, proto::NodeDescription* to) {
  to->Clear();
  to->set_hostname(from.hostname);
  encode(from.platform, to->mutable_platform());
  encode(from.resources, to->mutable_resources());
  to->set_engine_version(from.engine_version);
  encode(from.engine_labels, to->mutable_engine_labels());
  for (const model::EnginePlugin& plugin : from.plugins) {
    proto::EnginePlugin* out = to->add_plugins();
    out->set_type(plugin.type);
    out->set_name(plugin.name);
  }
  to->set_trouble(from.trouble);
  to->set_takes_no_tasks(from.takes_no_tasks);
}

Result<model::NodeDescription> decode(const proto::NodeDescription& from) {
  model::NodeDescription to;
  to.hostname = from.hostname();
  to.platform = decode_platform(from.platform());
  to.resources = decode_resources(from.resources());
  to.engine_version = from.engine_version();
  SKEP_TRY_ASSIGN(to.engine_labels, decode_map(from.engine_labels(), "description: engine_labels"));
  for (const proto::EnginePlugin& plugin : from.plugins()) {
    to.plugins.push_back({plugin.type(), plugin.name()});
  }
  to.trouble = from.trouble();
  to.takes_no_tasks = from.takes_no_tasks();
  return to;
}

void encode(const model::NodeStatus& from, proto::NodeStatus* to) {
  to->Clear();
  to->set_state(encode_enum(kStates, from.state));
  to->set_message(from.message);
  to->set_address(from.address);
}

Result<model::NodeStatus> decode(const proto::NodeStatus& from) {
  model::NodeStatus to;
  SKEP_TRY_ASSIGN(to.state, decode_enum(kStates, from.state(), "status: state"));
  to.message = from.message();
  to.address = from.address();
  return to;
}

void encode(const model::NodeTrust& from, proto::NodeTrust* to) {
  to->Clear();
  to->set_roots_pem(from.roots_pem);
  encode(from.issuer, to->mutable_issuer());
}

model::NodeTrust decode(const proto::NodeTrust& from) {
  return {from.roots_pem(), decode_issuer(from.issuer())};
}

void encode(const model::Node& from, proto::Node* to) {
  to->Clear();
  to->set_id(encode_id(from.id));
  encode(from.meta, to->mutable_meta());
  encode_spec(from.spec, to->mutable_spec());
  encode(from.description, to->mutable_description());
  encode(from.status, to->mutable_status());
  to->set_role(encode_enum(kRoles, from.role));
  if (from.manager) {
    to->mutable_manager()->set_raft_id(from.manager->raft_id);
    to->mutable_manager()->set_address(from.manager->address);
    to->mutable_manager()->set_reachability(
        encode_enum(kReachabilities, from.manager->reachability));
  }
  to->set_certificate_expires_at_unix_ns(from.certificate_expires_at.unix_ns);
  if (from.trust != model::NodeTrust{}) encode(from.trust, to->mutable_trust());
}

Result<model::Node> decode(const proto::Node& from) {
  model::Node to;
  SKEP_TRY_ASSIGN(to.id, decode_id<model::NodeId>(from.id(), "node: id"));
  to.meta = decode_meta(from.meta());
  SKEP_TRY_ASSIGN(to.spec, within(decode_spec(from.spec()), "node"));
  SKEP_TRY_ASSIGN(to.description, within(decode(from.description()), "node"));
  SKEP_TRY_ASSIGN(to.status, within(decode(from.status()), "node"));
  SKEP_TRY_ASSIGN(to.role, decode_enum(kRoles, from.role(), "node: role"));
  if (from.has_manager()) {
    model::ManagerStatus manager{from.manager().raft_id(), from.manager().address()};
    SKEP_TRY_ASSIGN(
        manager.reachability,
        decode_enum(kReachabilities, from.manager().reachability(), "node: manager: reachability"));
    to.manager = std::move(manager);
  }
  to.certificate_expires_at = {from.certificate_expires_at_unix_ns()};
  to.trust = decode(from.trust());
  return to;
}

}  // namespace skep::codec
