// What each node carries, kept up to date change by change.
//
// The scheduler asks, for thousands of nodes, how many tasks are there and what is reserved.
// Counting anew for each decision would cost O(all tasks); so the planner feeds every row change in
// here. The table is derived state: rebuild() from a View gives the same, and a dropped draft is
// healed that way.
//
// A task counts as active while it is wanted (desired <= COMPLETE), and holds its reservation until
// it has ended, wanted or not.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "core/store/changes.hpp"
#include "core/store/view.hpp"

namespace skep::scheduler {

// Failures of one service's tasks on a node, newest last; used to look elsewhere (swarm-semantics
// §9).
inline constexpr size_t kFailuresThatCount = 5;
inline constexpr model::Nanoseconds kFailureWindow = std::chrono::minutes(5);

struct NodeLoad {
  store::Row<model::Node> node;
  size_t active_tasks = 0;
  int64_t reserved_nano_cpus = 0;
  int64_t reserved_memory_bytes = 0;
  std::map<model::ServiceId, size_t> active_of_service;
  std::map<model::SpecKey, std::vector<model::WallTime>> failures;

  size_t active(model::ServiceId service) const;
  // Failures of this spec within the window before `now`.
  size_t recent_failures(const model::SpecKey& spec, model::WallTime now) const;
};

class NodeLoads {
 public:
  void rebuild(const store::View& view);
  // `view` is asked for the specs of tasks.
  void follow(const store::View& view, const store::RowChange& change);

  const std::map<model::NodeId, NodeLoad>& all() const { return loads_; }

 private:
  enum class Direction : int8_t { out = -1, in = 1 };
  void count(const store::View& view, const model::Task& task, Direction direction);
  void note_failure(const model::Task& before, const model::Task& after);

  std::map<model::NodeId, NodeLoad> loads_;
};

}  // namespace skep::scheduler
