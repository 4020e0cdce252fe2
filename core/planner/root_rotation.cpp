// The set of nodes whose certificates are still of another root.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/root_rotation.hpp"

#include "core/identity/rotation.hpp"

namespace skep::planner {

void RootRotationWatch::reset(const store::View& view) {
  to_come_.clear();
  const store::Row<model::Cluster> cluster = view.cluster();
  if (!cluster || !cluster->root_rotation) return;
  view.each_node([&](const store::Row<model::Node>& node) {
    if (!identity::has_wanted_issuer(*cluster->root_rotation, *node)) to_come_.insert(node->id);
  });
}

void RootRotationWatch::follow(const store::View& view, const store::RowChange& change) {
  if (const auto* cluster = std::get_if<store::Replaced<model::Cluster>>(&change)) {
    const bool same = cluster->before && cluster->after &&
                      cluster->before->root_rotation == cluster->after->root_rotation;
    if (!same) reset(view);
    return;
  }
  const auto* node = std::get_if<store::Replaced<model::Node>>(&change);
  if (node == nullptr) return;
  if (!node->after) {
    to_come_.erase(node->before->id);
    return;
  }
  const store::Row<model::Cluster> cluster = view.cluster();
  if (!cluster || !cluster->root_rotation) return;
  if (identity::has_wanted_issuer(*cluster->root_rotation, *node->after)) {
    to_come_.erase(node->after->id);
  } else {
    to_come_.insert(node->after->id);
  }
}

void RootRotationWatch::conclude(store::Draft& draft) const {
  if (!to_come_.empty()) return;
  const store::Row<model::Cluster> cluster = draft.cluster();
  if (!cluster || !cluster->root_rotation) return;
  model::Cluster updated = *cluster;
  identity::finish_rotation(updated);
  draft.put(std::move(updated));
}

}  // namespace skep::planner
