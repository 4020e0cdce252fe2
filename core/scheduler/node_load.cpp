// Counting in and out, by the same rule.
// SPDX-License-Identifier: Apache-2.0
#include "core/scheduler/node_load.hpp"

#include <algorithm>

namespace skep::scheduler {

using model::Task;
using model::TaskState;

size_t NodeLoad::active(model::ServiceId service) const {
  const auto it = active_of_service.find(service);
  return it == active_of_service.end() ? 0 : it->second;
}

size_t NodeLoad::recent_failures(const model::SpecKey& spec, model::WallTime now) const {
  const auto it = failures.find(spec);
  if (it == failures.end()) return 0;
  return static_cast<size_t>(std::count_if(it->second.begin(), it->second.end(),
                                           [&](auto when) { return now - when < kFailureWindow; }));
}

void NodeLoads::rebuild(const store::View& view) {
  loads_.clear();
  view.each_node([&](const store::Row<model::Node>& node) { loads_[node->id].node = node; });
  view.each_task([&](const store::Row<Task>& task) { count(view, *task, Direction::in); });
}

void NodeLoads::follow(const store::View& view, const store::RowChange& change) {
  if (const auto* node = std::get_if<store::Replaced<model::Node>>(&change)) {
    if (node->after) {
      loads_[node->after->id].node = node->after;
    } else if (node->before) {
      loads_.erase(node->before->id);
    }
    return;
  }
  const auto* task = std::get_if<store::Replaced<Task>>(&change);
  if (!task) return;
  if (task->before) count(view, *task->before, Direction::out);
  if (task->after) count(view, *task->after, Direction::in);
  if (task->before && task->after) note_failure(*task->before, *task->after);
}

void NodeLoads::count(const store::View& view, const Task& task, Direction direction) {
  if (!task.node || task.ended()) return;
  const auto it = loads_.find(task.node);
  if (it == loads_.end()) return;
  NodeLoad& load = it->second;
  const int64_t by = static_cast<int64_t>(direction);
  const store::Row<model::ServiceSpec> spec = view.spec_of(task);
  if (spec && spec->task.reservations) {
    load.reserved_nano_cpus += by * spec->task.reservations->nano_cpus;
    load.reserved_memory_bytes += by * spec->task.reservations->memory_bytes;
  }
  if (task.desired > TaskState::complete) return;
  load.active_tasks += static_cast<size_t>(by);
  size_t& of_service = load.active_of_service[task.service];
  of_service += static_cast<size_t>(by);
  if (of_service == 0) load.active_of_service.erase(task.service);
}

void NodeLoads::note_failure(const Task& before, const Task& after) {
  const TaskState state = after.status.state;
  if (before.ended() || (state != TaskState::failed && state != TaskState::rejected)) return;
  const auto it = loads_.find(after.node);
  if (it == loads_.end()) return;
  // What no longer counts goes, or every spec that ever failed here would be kept.
  const model::WallTime now = after.status.applied_at;
  std::erase_if(it->second.failures,
                [&](const auto& entry) { return now - entry.second.back() >= kFailureWindow; });
  std::vector<model::WallTime>& times = it->second.failures[{after.service, after.spec_version}];
  times.push_back(now);
  if (times.size() > kFailuresThatCount) times.erase(times.begin());
}

}  // namespace skep::scheduler
