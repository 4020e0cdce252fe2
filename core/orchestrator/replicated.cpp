// Slots in, tasks out. Works on the tasks of one service.
// SPDX-License-Identifier: Apache-2.0
#include "core/orchestrator/replicated.hpp"

#include <algorithm>
#include <map>

#include "core/orchestrator/restart.hpp"

namespace skep::orchestrator {
namespace {

using model::Task;
using model::TaskState;
using Slot = std::vector<store::Row<Task>>;

// Tasks that are not on their way out of the records.
std::map<uint64_t, Slot> slots_of(const store::Draft& draft, model::ServiceId id) {
  std::map<uint64_t, Slot> slots;
  draft.each_task_of_service(id, [&](const store::Row<Task>& task) {
    if (task->desired != TaskState::remove) slots[task->slot].push_back(task);
  });
  return slots;
}

bool wanted(const Task& task) {
  return task.desired <= TaskState::running;
}

// True when the slot holds its place: something in it is to run, or it ended for good.
bool present(const store::Draft& draft, const Slot& slot, model::WallTime now) {
  if (std::any_of(slot.begin(), slot.end(), [](const auto& t) { return wanted(*t); })) return true;
  const auto newest = std::max_element(slot.begin(), slot.end(), [](const auto& a, const auto& b) {
    return std::tie(a->status.applied_at, a->id) < std::tie(b->status.applied_at, b->id);
  });
  return !may_restart(draft, **newest, now);
}

// The order in which slots are kept when there are too many: first come those that run, those that
// are the first copies on their node, and low numbers.
struct Rank {
  uint64_t slot = 0;
  bool running = false;
  model::NodeId node;  // none: several tasks or not placed
  size_t nth_on_node = 0;
};

std::vector<uint64_t> slots_to_drop(const std::map<uint64_t, Slot>& slots, size_t keep) {
  std::vector<Rank> ranks;
  for (const auto& [number, slot] : slots) {
    Rank rank{number};
    size_t live = 0;
    for (const store::Row<Task>& task : slot) {
      if (!wanted(*task)) continue;
      ++live;
      rank.node = task->node;
      rank.running = rank.running || task->status.state == TaskState::running;
    }
    if (live > 1) rank.node = {};
    ranks.push_back(rank);
  }
  std::stable_sort(ranks.begin(), ranks.end(),
                   [](const Rank& a, const Rank& b) { return a.running > b.running; });
  std::map<model::NodeId, size_t> copies;
  for (Rank& rank : ranks) {
    rank.nth_on_node = rank.node ? copies[rank.node]++ : ranks.size();
  }
  std::stable_sort(ranks.begin(), ranks.end(),
                   [](const Rank& a, const Rank& b) { return a.nth_on_node < b.nth_on_node; });
  std::vector<uint64_t> drop;
  for (size_t i = keep; i < ranks.size(); ++i) drop.push_back(ranks[i].slot);
  return drop;
}

void remove_all(store::Draft& draft, model::ServiceId id) {
  Slot tasks;
  draft.each_task_of_service(id, [&](const store::Row<Task>& task) { tasks.push_back(task); });
  for (const store::Row<Task>& task : tasks) remove_task(draft, *task);
}

}  // namespace

void remove_task(store::Draft& draft, const Task& task) {
  if (surely_over(draft, task)) {
    draft.erase(task.id);
    return;
  }
  Task leaving = task;
  leaving.desired = TaskState::remove;
  leaving.start_at = {};
  leaving.start_after = {};
  draft.put(leaving);
}

void reconcile(store::Draft& draft, model::ServiceId id, model::WallTime now,
               model::IdSource& ids) {
  const store::Row<model::Service> service = draft.service(id);
  if (!service) return remove_all(draft, id);
  const store::Row<model::ServiceSpec> spec = draft.spec_of(*service);
  SKEP_ASSERT(spec != nullptr, "a service's present spec is in the store as long as the service");

  std::map<uint64_t, Slot> slots = slots_of(draft, id);
  std::erase_if(slots, [&](const auto& entry) { return !present(draft, entry.second, now); });

  const uint64_t replicas = spec->replicas;
  if (slots.size() > replicas) {
    for (const uint64_t number : slots_to_drop(slots, replicas)) {
      for (const store::Row<Task>& task : slots[number]) remove_task(draft, *task);
    }
    return;
  }
  uint64_t number = 1;
  for (uint64_t missing = replicas - slots.size(); missing > 0; ++number) {
    if (slots.count(number) != 0) continue;
    draft.put(make_task(*service, number, model::TaskId{ids.next()}, now));
    --missing;
  }
}

}  // namespace skep::orchestrator
