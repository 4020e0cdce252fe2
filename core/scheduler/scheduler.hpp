// Which node a task goes to, and, when there is none, why not in one sentence.
//
// Tasks of the same service and spec are placed as a group. A node must pass every filter (ready,
// resources, constraints, platform, copies per node); the first that refuses is counted for the
// explanation. Among the rest, in this order: fewer recent failures of this service, fewer tasks of
// this service, fewer tasks at all, lower id (swarm-semantics §9). There is no score and no
// bin-packing: people can predict where a replica goes. Spread preferences, when there are any,
// divide the group over the values of a label first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/scheduler/node_load.hpp"
#include "core/store/draft.hpp"

namespace skep::scheduler {

// Places as many of `tasks` as fit, low slots first; the others get the reason into status.error.
// All must be of one service and spec, and unplaced. `loads` follows the placements.
void place_group(store::Draft& draft, NodeLoads& loads, const store::TasksBySlot& tasks,
                 model::WallTime now);

// Marks tasks REJECTED that may no longer stay where they are: the node stopped meeting the
// service's constraints, or its declared resources no longer carry the reservations
// (swarm-semantics §10).
void enforce(store::Draft& draft, const NodeLoads& loads, model::NodeId node, model::WallTime now);

}  // namespace skep::scheduler
