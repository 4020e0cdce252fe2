// Runs the deciding rooms on a draft until nothing changes any more.
//
// A request (create this service, that node is silent, these tasks report) changes a Draft. run()
// carries the consequences through: orchestrator, restart supervisor, constraint enforcer and
// scheduler, each of which may give the others more to do, until the journal stays empty. What
// comes out is one transaction: a service with its tasks and their placements, or a node's death
// with all that follows.
//
// The planner works from what changed (the draft's journal) and from deadlines, never by scanning.
// Its sets are derived state: reset() rebuilds them from a View, which is what a new leader does,
// and what must be done after a draft was dropped. Not thread-safe.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>

#include "core/model/id_source.hpp"
#include "core/orchestrator/restart.hpp"
#include "core/planner/deadlines.hpp"
#include "core/planner/root_rotation.hpp"
#include "core/scheduler/node_load.hpp"
#include "core/store/draft.hpp"

namespace skep::planner {

// More rounds than this for one draft mean that two rooms undo each other's work: a bug.
inline constexpr int kRoundsMax = 1000;

class Planner {
 public:
  explicit Planner(model::IdSource& ids) : ids_(ids) {}

  // Forgets everything and takes `view` for what is; the next run() looks at all of it.
  void reset(const store::View& view);

  // To the fixed point. `now` is the leader's wall time and goes into the rows.
  void run(store::Draft& draft, model::WallTime now);

  // When run() wants to be called again though nothing changed; nullopt: never.
  std::optional<model::WallTime> next_deadline() const;

 private:
  void absorb(const store::View& view, const store::RowChange& change);
  void absorb_node(const store::View& view, const store::Replaced<model::Node>& change);
  void absorb_service(const store::View& view, const store::Replaced<model::Service>& change);
  void absorb_task(const store::Replaced<model::Task>& change);
  void forget_unplaced(const model::Task& task);
  bool absorb_journal(store::Draft& draft);
  void evict(store::Draft& draft, model::NodeId node, orchestrator::RestartCause cause,
             model::WallTime now);
  void handle_ended(store::Draft& draft, model::WallTime now);
  void release_waiting(store::Draft& draft, model::WallTime now);
  void place_unplaced(store::Draft& draft, model::WallTime now);

  model::IdSource& ids_;
  scheduler::NodeLoads loads_;
  std::set<model::ServiceId> dirty_services_;
  std::set<model::TaskId> ended_;  // ended or to be deleted: needs a look
  std::map<model::NodeId, orchestrator::RestartCause> evicted_nodes_;
  std::set<model::NodeId> nodes_to_enforce_;
  Deadlines waiting_;  // READY tasks
  // By service and spec, low slots first, so that a partial placement fills 1..n.
  std::map<model::SpecKey, store::TasksBySlot> unplaced_;
  std::set<model::SpecKey> new_unplaced_;  // groups with a task that was not tried yet
  bool retry_unplaced_ = false;            // all of them: some node may take more than before
  RootRotationWatch root_rotation_;
};

}  // namespace skep::planner
