// When the rotation of the cluster's root is over: as soon as no node is left with a certificate of
// another root (core/identity/rotation.hpp says why a node that is down counts).
//
// Keeps the nodes that are still to come in a set while a rotation goes on, so that ten thousand
// renewals cost ten thousand look-ups. Derived state, as all of the planner's: reset() rebuilds it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>

#include "core/store/draft.hpp"

namespace skep::planner {

class RootRotationWatch {
 public:
  void reset(const store::View& view);
  // `view` is the state after the change.
  void follow(const store::View& view, const store::RowChange& change);
  // Lets the new root take the old one's place if everything is there for it.
  void conclude(store::Draft& draft) const;

 private:
  std::set<model::NodeId> to_come_;  // empty without a rotation
};

}  // namespace skep::planner
