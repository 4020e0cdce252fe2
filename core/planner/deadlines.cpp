// One entry, found by task, by time and by the other task.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/deadlines.hpp"

namespace skep::planner {

void Deadlines::set(model::TaskId task, model::WallTime when, model::TaskId other) {
  erase(task);
  entries_[task] = {when, other};
  by_time_.emplace(when, task);
  if (other) by_other_.emplace(other, task);
}

void Deadlines::erase(model::TaskId task) {
  const auto it = entries_.find(task);
  if (it == entries_.end()) return;
  by_time_.erase({it->second.when, task});
  by_other_.erase({it->second.other, task});
  due_now_.erase(task);
  entries_.erase(it);
}

void Deadlines::clear() {
  *this = Deadlines();
}

void Deadlines::over(model::TaskId other) {
  for (auto it = by_other_.lower_bound({other, {}}); it != by_other_.end() && it->first == other;
       ++it) {
    due_now_.insert(it->second);
  }
}

std::set<model::TaskId> Deadlines::due(model::WallTime now) {
  std::set<model::TaskId> tasks = std::exchange(due_now_, {});
  for (auto it = by_time_.begin(); it != by_time_.end() && it->first <= now; ++it) {
    tasks.insert(it->second);
  }
  return tasks;
}

std::optional<model::WallTime> Deadlines::next() const {
  if (by_time_.empty()) return std::nullopt;
  return by_time_.begin()->first;
}

}  // namespace skep::planner
