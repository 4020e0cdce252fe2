// The fixed point. Order within a round: who lost its place, who ended, how many there should be,
// who may start, who goes where.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/planner.hpp"

#include <algorithm>
#include <utility>

#include "core/orchestrator/replicated.hpp"
#include "core/scheduler/scheduler.hpp"

namespace skep::planner {

using model::NodeAvailability;
using model::NodeState;
using model::Task;
using model::TaskState;
using orchestrator::RestartCause;

namespace {

std::vector<store::Row<Task>> tasks_of_node(const store::View& view, model::NodeId node) {
  std::vector<store::Row<Task>> tasks;
  view.each_task_of_node(node, [&](const store::Row<Task>& task) { tasks.push_back(task); });
  std::sort(tasks.begin(), tasks.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  return tasks;
}

bool usable(const store::Row<model::Node>& node) {
  return node && node->status.state == NodeState::ready &&
         node->spec.availability == NodeAvailability::active;
}

}  // namespace

void Planner::reset(const store::View& view) {
  loads_.rebuild(view);
  dirty_services_.clear();
  ended_.clear();
  evicted_nodes_.clear();
  nodes_to_enforce_.clear();
  waiting_.clear();
  unplaced_.clear();
  new_unplaced_.clear();
  view.each_service([&](const auto& row) { absorb_service(view, {nullptr, row}); });
  view.each_node([&](const auto& row) { absorb_node(view, {nullptr, row}); });
  view.each_task([&](const auto& row) { absorb_task({nullptr, row}); });
  root_rotation_.reset(view);
  retry_unplaced_ = true;
}

void Planner::run(store::Draft& draft, model::WallTime now) {
  for (int round = 0;; ++round) {
    SKEP_ASSERT(round < kRoundsMax, "the deciding rooms come to rest");
    const bool changed = absorb_journal(draft);
    if (round == 0) root_rotation_.conclude(draft);
    const bool due = !evicted_nodes_.empty() || !ended_.empty() || !dirty_services_.empty() ||
                     !nodes_to_enforce_.empty() || !new_unplaced_.empty() ||
                     (retry_unplaced_ && !unplaced_.empty());
    if (!changed && !due && round > 0) return;
    for (const auto& [node, cause] : std::exchange(evicted_nodes_, {})) {
      evict(draft, node, cause, now);
    }
    absorb_journal(draft);
    for (const model::NodeId node : std::exchange(nodes_to_enforce_, {})) {
      scheduler::enforce(draft, loads_, node, now);
    }
    absorb_journal(draft);
    handle_ended(draft, now);
    absorb_journal(draft);
    for (const model::ServiceId service : std::exchange(dirty_services_, {})) {
      orchestrator::reconcile(draft, service, now, ids_);
    }
    absorb_journal(draft);
    release_waiting(draft, now);
    absorb_journal(draft);
    place_unplaced(draft, now);
  }
}

std::optional<model::WallTime> Planner::next_deadline() const {
  return waiting_.next();
}

bool Planner::absorb_journal(store::Draft& draft) {
  const std::vector<store::RowChange> journal = draft.take_journal();
  for (const store::RowChange& change : journal) {
    loads_.follow(draft, change);
    root_rotation_.follow(draft, change);
    absorb(draft, change);
  }
  return !journal.empty();
}

void Planner::absorb(const store::View& view, const store::RowChange& change) {
  if (const auto* node = std::get_if<store::Replaced<model::Node>>(&change)) {
    absorb_node(view, *node);
  } else if (const auto* service = std::get_if<store::Replaced<model::Service>>(&change)) {
    absorb_service(view, *service);
  } else if (const auto* task = std::get_if<store::Replaced<Task>>(&change)) {
    absorb_task(*task);
  }
}

void Planner::absorb_node(const store::View&, const store::Replaced<model::Node>& change) {
  const store::Row<model::Node>& before = change.before;
  const store::Row<model::Node>& after = change.after;
  const model::NodeId id = after ? after->id : before->id;
  const bool was_down = before && before->status.state == NodeState::down;
  const bool was_drained = before && before->spec.availability == NodeAvailability::drain;
  if (!after || (after->status.state == NodeState::down && !was_down)) {
    evicted_nodes_[id] = RestartCause::node_gone;
  } else if (after->spec.availability == NodeAvailability::drain && !was_drained) {
    evicted_nodes_.emplace(id, RestartCause::node_drained);
  }
  if (!after) return;
  const bool describes_anew = !before || before->description != after->description ||
                              before->spec.labels != after->spec.labels ||
                              before->role != after->role ||
                              before->status.address != after->status.address;
  if (describes_anew || usable(before) != usable(after)) retry_unplaced_ = true;
  if (describes_anew || (before && before->spec.availability != after->spec.availability)) {
    nodes_to_enforce_.insert(id);
  }
}

void Planner::absorb_service(const store::View& view,
                             const store::Replaced<model::Service>& change) {
  const model::ServiceId id = change.after ? change.after->id : change.before->id;
  dirty_services_.insert(id);
  if (!change.before || !change.after ||
      change.before->spec_version == change.after->spec_version) {
    return;
  }
  view.each_task_of_service(id, [&](const store::Row<Task>& task) {
    if (task->node) nodes_to_enforce_.insert(task->node);
  });
}

void Planner::absorb_task(const store::Replaced<Task>& change) {
  const store::Row<Task>& after = change.after;
  const bool newly_unwanted = after && after->desired > TaskState::running &&
                              !(change.before && change.before->desired == after->desired);
  if (change.before && (!after || after->ended())) waiting_.over(change.before->id);
  // What was nowhere leaves no room behind.
  if (change.before && change.before->node && (!after || after->ended() || newly_unwanted)) {
    retry_unplaced_ = true;
  }
  if (!after) {
    forget_unplaced(*change.before);
    waiting_.erase(change.before->id);
    ended_.erase(change.before->id);
    return;
  }
  if (!after->node && after->status.state <= TaskState::pending &&
      after->desired <= TaskState::running) {
    const model::SpecKey key{after->service, after->spec_version};
    if (unplaced_[key].emplace(after->slot, after->id).second) new_unplaced_.insert(key);
  } else {
    forget_unplaced(*after);
  }
  if (after->desired == TaskState::ready && after->start_at) {
    if (!waiting_.waits(after->id)) waiting_.set(after->id, after->start_at, after->start_after);
  } else {
    waiting_.erase(after->id);
  }
  const bool newly_ended = after->ended() && !(change.before && change.before->ended());
  if (newly_ended || newly_unwanted) ended_.insert(after->id);
}

void Planner::forget_unplaced(const Task& task) {
  const auto group = unplaced_.find({task.service, task.spec_version});
  if (group == unplaced_.end()) return;
  group->second.erase({task.slot, task.id});
  if (group->second.empty()) unplaced_.erase(group);
}

void Planner::evict(store::Draft& draft, model::NodeId node, RestartCause cause,
                    model::WallTime now) {
  const bool erased = draft.node(node) == nullptr;
  for (const store::Row<Task>& task : tasks_of_node(draft, node)) {
    if (cause == RestartCause::node_gone) waiting_.over(task->id);
    if (task->desired == TaskState::remove) {
      orchestrator::remove_task(draft, *task);
      continue;
    }
    if (task->desired <= TaskState::running && !task->ended()) {
      orchestrator::restart(draft, *task, cause, now, ids_);
    }
    if (!erased) continue;
    // The node will never report again; ORPHANED is how that is told (swarm-semantics §11).
    const store::Row<Task> left = draft.task(task->id);
    if (!left || left->ended()) continue;
    Task orphan = *left;
    orphan.status.state = TaskState::orphaned;
    orphan.status.message = "node was removed";
    orphan.status.timestamp = now;
    orphan.status.applied_at = now;
    draft.put(orphan);
  }
}

void Planner::handle_ended(store::Draft& draft, model::WallTime now) {
  for (const model::TaskId id : std::exchange(ended_, {})) {
    const store::Row<Task> task = draft.task(id);
    if (!task) continue;
    if (task->desired <= TaskState::running) {
      if (!task->ended()) continue;
      if (task->start_at > now) {
        // It failed while it was prepared, before its time had come. A successor now would fail as
        // fast again and again (an image that is not there): the delay is served first.
        waiting_.set(id, task->start_at);
      } else {
        orchestrator::restart(draft, *task, RestartCause::ended, now, ids_);
      }
    } else if (task->desired == TaskState::remove) {
      if (orchestrator::surely_over(draft, *task)) draft.erase(id);
    } else if (!task->node) {
      draft.erase(id);  // never ran anywhere: not even history
    } else if (!draft.service(task->service)) {
      orchestrator::remove_task(draft, *task);
    } else {
      orchestrator::trim_history(draft, task->service, task->slot);
    }
  }
}

void Planner::release_waiting(store::Draft& draft, model::WallTime now) {
  for (const model::TaskId id : waiting_.due(now)) {
    const store::Row<Task> task = draft.task(id);
    if (task && task->ended() && task->start_at > now) continue;
    waiting_.erase(id);
    if (!task) continue;
    if (task->ended()) {
      ended_.insert(id);
    } else if (const auto later = orchestrator::release_if_due(draft, *task, now)) {
      waiting_.set(id, *later, task->start_after);
    }
  }
}

// Whom no node could take is asked about again when a node may have room or has changed, not each
// time somebody else is new: thousands that wait must cost those nothing who come.
void Planner::place_unplaced(store::Draft& draft, model::WallTime now) {
  const std::set<model::SpecKey> fresh = std::exchange(new_unplaced_, {});
  if (std::exchange(retry_unplaced_, false)) {
    for (const auto& [key, group] : unplaced_) scheduler::place_group(draft, loads_, group, now);
  } else {
    for (const model::SpecKey& key : fresh) {
      const auto group = unplaced_.find(key);
      if (group != unplaced_.end()) scheduler::place_group(draft, loads_, group->second, now);
    }
  }
  // The scheduler fed its placements to the loads itself, as each depends on the one before.
  for (const store::RowChange& change : draft.take_journal()) absorb(draft, change);
}

}  // namespace skep::planner
