// Restart rules of swarm-semantics §7 and the history rule of §12.
// SPDX-License-Identifier: Apache-2.0
#include "core/orchestrator/restart.hpp"

#include <algorithm>

namespace skep::orchestrator {
namespace {

using model::RestartCondition;
using model::RestartPolicy;
using model::Task;
using model::TaskState;

RestartPolicy policy_of(const store::View& view, const Task& task) {
  const store::Row<model::ServiceSpec> spec = view.spec_of(task);
  return spec && spec->task.restart ? *spec->task.restart : RestartPolicy{};
}

std::vector<store::Row<Task>> tasks_of_slot(const store::View& view, model::ServiceId service,
                                            uint64_t slot) {
  std::vector<store::Row<Task>> tasks;
  view.each_task_of_slot(service, slot,
                         [&](const store::Row<Task>& task) { tasks.push_back(task); });
  return tasks;
}

bool node_gone(const store::View& view, const Task& task) {
  if (!task.node) return false;
  const store::Row<model::Node> node = view.node(task.node);
  return !node || node->status.state == model::NodeState::down;
}

// Restarts so far: every task of the slot and spec but the first was one. Within a window, those
// that are younger than it, seen from the end of `newest`.
uint64_t restarts_so_far(const store::View& view, const Task& newest, const RestartPolicy& policy,
                         model::WallTime now) {
  uint64_t made = 0;
  uint64_t young = 0;
  const model::WallTime end = newest.ended() ? newest.status.applied_at : now;
  for (const store::Row<Task>& task : tasks_of_slot(view, newest.service, newest.slot)) {
    if (task->spec_version != newest.spec_version) continue;
    ++made;
    const model::WallTime born = task->meta.created_at ? task->meta.created_at : now;
    if (end - born < policy.window) ++young;
  }
  const uint64_t restarts = made == 0 ? 0 : made - 1;
  return policy.window.count() > 0 ? std::min(restarts, young) : restarts;
}

}  // namespace

Task make_task(const model::Service& service, uint64_t slot, model::TaskId id,
               model::WallTime now) {
  Task task;
  task.id = id;
  task.service = service.id;
  task.service_name = service.name;
  task.slot = slot;
  task.spec_version = service.spec_version;
  task.desired = TaskState::running;
  task.status.state = TaskState::pending;
  task.status.timestamp = now;
  task.status.applied_at = now;
  task.status.message = "pending task scheduling";
  return task;
}

bool surely_over(const store::View& view, const Task& task) {
  return task.ended() || !task.node || node_gone(view, task);
}

bool may_restart(const store::View& view, const Task& newest, model::WallTime now) {
  const RestartPolicy policy = policy_of(view, newest);
  switch (policy.condition) {
    case RestartCondition::none:
      return false;
    case RestartCondition::on_failure:
      if (newest.status.state == TaskState::complete) return false;
      break;
    case RestartCondition::any:
      break;
  }
  return policy.max_attempts == 0 ||
         restarts_so_far(view, newest, policy, now) < policy.max_attempts;
}

void restart(store::Draft& draft, const Task& task, RestartCause cause, model::WallTime now,
             model::IdSource& ids) {
  Task old = task;
  old.desired = TaskState::shutdown;
  old.start_at = {};
  old.start_after = {};
  draft.put(old);

  const store::Row<model::Service> service = draft.service(task.service);
  if (!service || !may_restart(draft, old, now)) return;

  Task next = make_task(*service, task.slot, model::TaskId{ids.next()}, now);
  model::Nanoseconds delay{0};
  if (cause == RestartCause::ended) {
    delay = policy_of(draft, task).delay.value_or(kRestartDelayDefault);
  }
  // A task that itself still waited for its delay hands the rest of it on.
  const model::WallTime start_at = std::max(now + delay, task.start_at);
  // One that was held back in READY never ran: what it waited for is what the next one waits for.
  const model::TaskId runs_still = task.desired == TaskState::ready ? task.start_after : old.id;
  const store::Row<Task> before = runs_still ? draft.task(runs_still) : nullptr;
  const bool must_wait = before && !surely_over(draft, *before);
  if (start_at > now || must_wait) {
    next.desired = TaskState::ready;
    next.start_at = start_at;
    if (must_wait) next.start_after = runs_still;
  }
  draft.put(next);
  trim_history(draft, task.service, task.slot);
}

std::optional<model::WallTime> release_if_due(store::Draft& draft, const Task& task,
                                              model::WallTime now) {
  if (task.desired != TaskState::ready || !task.start_at || task.ended()) return std::nullopt;
  if (now < task.start_at) return task.start_at;
  const model::WallTime latest = task.start_at + kOldTaskWaitMax;
  if (task.start_after && now < latest) {
    const store::Row<Task> old = draft.task(task.start_after);
    if (old && !surely_over(draft, *old)) return latest;
  }
  Task released = task;
  released.desired = TaskState::running;
  released.start_at = {};
  released.start_after = {};
  draft.put(released);
  return std::nullopt;
}

void trim_history(store::Draft& draft, model::ServiceId service, uint64_t slot) {
  const store::Row<model::Cluster> cluster = draft.cluster();
  int64_t keep = cluster ? cluster->spec.task_history_limit : 5;
  std::vector<store::Row<Task>> over;
  for (const store::Row<Task>& task : tasks_of_slot(draft, service, slot)) {
    if (task->desired > TaskState::running && surely_over(draft, *task)) over.push_back(task);
  }
  if (over.empty()) return;
  const RestartPolicy policy = policy_of(draft, *over.back());
  if (policy.max_attempts > 0) keep = static_cast<int64_t>(policy.max_attempts) + 1;
  if (keep < 0 || static_cast<int64_t>(over.size()) <= keep) return;
  std::sort(over.begin(), over.end(), [](const auto& a, const auto& b) {
    return std::tie(a->status.applied_at, a->id) < std::tie(b->status.applied_at, b->id);
  });
  for (size_t i = 0; i + static_cast<size_t>(keep) < over.size(); ++i) draft.erase(over[i]->id);
}

}  // namespace skep::orchestrator
