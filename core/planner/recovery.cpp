// Rows of managers; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/recovery.hpp"

#include <algorithm>

namespace skep::planner {

using model::NodeRole;

Status found_anew(store::Draft& draft, model::Node survivor) {
  const store::Row<model::Cluster> present = draft.cluster();
  if (!present) return fail(ErrorKind::precondition, "there is no cluster to be begun anew");
  SKEP_ASSERT(survivor.manager.has_value(), "the survivor has a raft id");
  model::Cluster cluster = *present;
  cluster.last_raft_id = std::max(cluster.last_raft_id, survivor.manager->raft_id);
  std::erase_if(cluster.blocked_nodes,
                [&](const model::BlockedNode& blocked) { return blocked.node == survivor.id; });
  std::vector<model::Node> others;
  draft.each_node([&](const store::Row<model::Node>& node) {
    if (node->manager)
      cluster.last_raft_id = std::max(cluster.last_raft_id, node->manager->raft_id);
    const bool was_manager =
        node->manager || node->spec.role == NodeRole::manager || node->role == NodeRole::manager;
    if (node->id != survivor.id && was_manager) others.push_back(*node);
  });
  for (model::Node& node : others) {
    node.manager.reset();
    node.spec.role = node.role = NodeRole::worker;
    draft.put(std::move(node));
  }
  survivor.spec.role = survivor.role = NodeRole::manager;
  survivor.manager->reachability = model::Reachability::reachable;
  draft.put(std::move(survivor));
  draft.put(std::move(cluster));
  return {};
}

}  // namespace skep::planner
