// What the managers want of this node, and what this node tells them: the two values that pass
// between the session with the managers and the part of the agent that runs tasks.
//
// An AssignmentSet is always the FULL state: a task that is not in it is not this node's any more
// and is to be stopped and forgotten. (Differences exist on the wire only; the session applies
// them.) Sets arrive in order; within one session the generation grows. It may start again at a
// lower number when another manager took over, so it is good for logs and for "have I seen this
// one", never for deciding which of two sets is newer: the one handed over last is.
//
// An empty set that was handed over means "run nothing"; not having been handed one means "not
// told yet: go on as you are".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/model/ids.hpp"
#include "core/model/objects.hpp"

namespace skep::agent {

// One task of this node with all that is needed to run it.
struct AssignedTask {
  model::Task task;                             // desired state included; its status may be old
  std::shared_ptr<const model::TaskSpec> spec;  // never null; shared by tasks of one spec version
  model::Labels service_labels;                 // of the service the task belongs to
};

struct AssignmentSet {
  uint64_t generation = 0;
  std::vector<AssignedTask> tasks;  // by task id, each id once
};

// What the node observed of one task. Of several reports of one task the last one counts.
struct TaskReport {
  model::TaskId id;
  model::TaskStatus status;  // timestamp is this node's clock; applied_at stays zero
};

}  // namespace skep::agent
