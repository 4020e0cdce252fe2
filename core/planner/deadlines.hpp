// Tasks that wait: until a time, or until another task is over, whichever comes first.
//
// Thousands of tasks may wait for their restart delay at once, and the planner runs at every report
// of a node; so what is due is found by time and by the task that ended, never by looking at all of
// them. Order within one time is that of the ids.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/model/objects.hpp"

namespace skep::planner {

class Deadlines {
 public:
  // `task` is looked at when `when` has come, or when `other` is over (none: no other). Replaces
  // what was set for it before.
  void set(model::TaskId task, model::WallTime when, model::TaskId other = {});
  void erase(model::TaskId task);
  void clear();
  bool waits(model::TaskId task) const { return entries_.count(task) != 0; }

  // `other` is over: whoever waits for it is due now.
  void over(model::TaskId other);
  // What is due, in order of id. Each stands until it is erased or set anew, but what was due
  // because of over() is told once.
  std::set<model::TaskId> due(model::WallTime now);
  // The first time to come; over() is not among them.
  std::optional<model::WallTime> next() const;

 private:
  struct Entry {
    model::WallTime when;
    model::TaskId other;
  };
  std::map<model::TaskId, Entry> entries_;
  std::set<std::pair<model::WallTime, model::TaskId>> by_time_;
  std::set<std::pair<model::TaskId, model::TaskId>> by_other_;  // other, task
  std::set<model::TaskId> due_now_;
};

}  // namespace skep::planner
