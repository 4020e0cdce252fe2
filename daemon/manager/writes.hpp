// The writes that may be asked of any manager, as values: done here by the leader, sent to it by
// every other one.
//
// Each struct is one call of Control, or of the node RPC, with everything that has to be decided
// where it arrived (fresh secrets, addresses) already in it. perform() turns one into a change of a
// draft and yields what the caller is told. A new write is a struct here, a message in
// node_rpc.proto and a case in each of the three functions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "core/model/id_source.hpp"
#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "core/planner/requests.hpp"
#include "core/raft/types.hpp"
#include "core/store/draft.hpp"

namespace skep::rpc {
class ForwardRequest;
}

namespace skep::manager {

struct UpdateCluster {
  model::ClusterId cluster;
  uint64_t version = 0;
  model::ClusterSpec spec;
  planner::TrustChange trust;
};
struct UpdateNode {
  model::NodeId node;
  uint64_t version = 0;
  model::NodeSpec spec;
};
struct RemoveNode {
  model::NodeId node;
  bool force = false;
};
struct CreateService {
  model::ServiceSpec spec;
};
struct UpdateService {
  model::ServiceId service;
  uint64_t version = 0;
  model::ServiceSpec spec;
};
struct RemoveService {
  model::ServiceId service;
};
struct CreateConfig {
  model::ConfigSpec spec;
};
struct UpdateConfig {
  model::ConfigId config;
  uint64_t version = 0;
  model::ConfigSpec spec;
};
struct RemoveConfig {
  model::ConfigId config;
};
struct AdmitNode {
  model::NodeId node;
  model::NodeRole role = model::NodeRole::worker;
  model::NodeAvailability availability = model::NodeAvailability::active;
  model::WallTime certificate_expires_at;
  model::Issuer issuer;  // of its certificate
};
// A node with a manager's certificate wants to be of the group.
struct JoinGroup {
  model::NodeId node;
  std::string address;  // host:port
  raft::RaftId member;  // that its log was made for; zero: it has none
};
// A manager goes for good.
struct LeaveGroup {
  model::NodeId node;
};

using Write =
    std::variant<UpdateCluster, UpdateNode, RemoveNode, CreateService, UpdateService, RemoveService,
                 CreateConfig, UpdateConfig, RemoveConfig, AdmitNode, JoinGroup, LeaveGroup>;

// What the leader knows beside the rows.
struct GroupFacts {
  raft::Configuration configuration;
  std::function<bool(raft::RaftId)> reachable;
};

// Changes the draft, or returns an error and leaves it as it was. The text is what was made: the id
// of a service or config or, of JoinGroup, the raft id; empty otherwise.
Result<std::string> perform(const Write& write, store::Draft& draft, const GroupFacts& facts,
                            model::IdSource& ids, model::WallTime now);

void encode(const Write& write, rpc::ForwardRequest* to);
Result<Write> decode(const rpc::ForwardRequest& from);

}  // namespace skep::manager
