// Writes to changes of a draft, and the rules of who may be a manager.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/writes.hpp"

#include <algorithm>

#include "core/planner/config_requests.hpp"
#include "core/planner/requests.hpp"

namespace skep::manager {
namespace {

using model::NodeRole;

raft::RaftId member_of(const model::Node& node) {
  return {node.manager ? node.manager->raft_id : 0};
}

// Whether the group could still decide without this member, going by who answers now.
Status may_lose(const model::Node& node, const GroupFacts& facts) {
  const raft::RaftId member = member_of(node);
  const std::vector<raft::RaftId>& voters = facts.configuration.voters;
  if (voters.size() < 2) return {};  // the last one is never let go anyway
  if (std::find(voters.begin(), voters.end(), member) == voters.end()) return {};
  size_t answering = 0;
  for (const raft::RaftId voter : voters) {
    answering += voter != member && facts.reachable(voter) ? 1 : 0;
  }
  const size_t left = voters.size() - 1;
  if (answering >= left / 2 + 1) return {};
  return fail(ErrorKind::precondition,
              "node " + node.id.str() + " can't be taken out of the managers: of the " +
                  std::to_string(left) + " that would be left only " + std::to_string(answering) +
                  " can be reached, which is no quorum");
}

struct Performer {
  store::Draft& draft;
  const GroupFacts& facts;
  model::IdSource& ids;
  model::WallTime now;

  Result<std::string> nothing(Status done) {
    if (!done) return fail(done.error());
    return std::string();
  }

  Result<std::string> operator()(const UpdateCluster& write) {
    return nothing(planner::update_cluster(draft, write.version, write.spec, write.trust));
  }
  Result<std::string> operator()(const UpdateNode& write) {
    const store::Row<model::Node> node = draft.node(write.node);
    if (node && node->spec.role == NodeRole::manager && write.spec.role == NodeRole::worker) {
      SKEP_TRY(may_lose(*node, facts));
    }
    return nothing(planner::update_node(draft, write.node, write.version, write.spec));
  }
  Result<std::string> operator()(const RemoveNode& write) {
    return nothing(planner::remove_node(draft, write.node, write.force, now));
  }
  Result<std::string> operator()(const CreateService& write) {
    SKEP_TRY_ASSIGN(const model::ServiceId made, planner::create_service(draft, write.spec, ids));
    return made.str();
  }
  Result<std::string> operator()(const UpdateService& write) {
    return nothing(planner::update_service(draft, write.service, write.version, write.spec));
  }
  Result<std::string> operator()(const RemoveService& write) {
    return nothing(planner::remove_service(draft, write.service));
  }
  Result<std::string> operator()(const CreateConfig& write) {
    SKEP_TRY_ASSIGN(const model::ConfigId made, planner::create_config(draft, write.spec, ids));
    return made.str();
  }
  Result<std::string> operator()(const UpdateConfig& write) {
    return nothing(planner::update_config(draft, write.config, write.version, write.spec));
  }
  Result<std::string> operator()(const RemoveConfig& write) {
    return nothing(planner::remove_config(draft, write.config));
  }
  Result<std::string> operator()(const AdmitNode& write) {
    planner::admit_node(draft, write.node, write.role, write.availability,
                        write.certificate_expires_at, write.issuer);
    return std::string();
  }
  Result<std::string> operator()(const JoinGroup& write);
  Result<std::string> operator()(const LeaveGroup& write) {
    if (const store::Row<model::Node> node = draft.node(write.node)) {
      SKEP_TRY(may_lose(*node, facts));
    }
    return nothing(planner::demote_node(draft, write.node));
  }
};

// Only a raft id is given out here; the leader's Members then take the node in, once it can be
// reached. Repeating this gives the same id, so that a lost answer does no harm.
Result<std::string> Performer::operator()(const JoinGroup& write) {
  const store::Row<model::Node> node = draft.node(write.node);
  if (!node) return fail(ErrorKind::unauthenticated, "this node was removed from the cluster");
  if (node->spec.role != NodeRole::manager) {
    return fail(ErrorKind::denied, "node " + write.node.str() + " is not to be a manager");
  }
  const raft::RaftId known = member_of(*node);
  model::Node updated = *node;
  if (known && known == write.member) {
    updated.manager->address = write.address;
    draft.put(std::move(updated));
    return std::to_string(known.value);
  }
  if (known && facts.configuration.is_voter(known)) {
    return fail(ErrorKind::precondition,
                "this node's log of the managers' decisions is gone, and what it may have promised "
                "with it: it can't go on as the manager it was. Demote node " +
                    write.node.str() +
                    " on another manager; it may then be promoted again, or leave and join again");
  }
  const store::Row<model::Cluster> cluster = draft.cluster();
  SKEP_ASSERT(cluster != nullptr, "a cluster with nodes has its cluster object");
  model::Cluster counted = *cluster;
  for (const raft::RaftId member : facts.configuration.members()) {
    counted.last_raft_id = std::max(counted.last_raft_id, member.value);
  }
  ++counted.last_raft_id;
  updated.manager =
      model::ManagerStatus{counted.last_raft_id, write.address, model::Reachability::unknown};
  const std::string made = std::to_string(counted.last_raft_id);
  draft.put(std::move(counted));
  draft.put(std::move(updated));
  return made;
}

}  // namespace

Result<std::string> perform(const Write& write, store::Draft& draft, const GroupFacts& facts,
                            model::IdSource& ids, model::WallTime now) {
  return std::visit(Performer{draft, facts, ids, now}, write);
}

}  // namespace skep::manager
