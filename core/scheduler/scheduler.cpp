// Filters, ranking, and the sentence for tasks that fit nowhere.
// SPDX-License-Identifier: Apache-2.0
#include "core/scheduler/scheduler.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include "core/model/constraint.hpp"

namespace skep::scheduler {
namespace {

using model::Task;
using model::TaskState;

// In the order in which the filters are asked.
enum class Refusal : uint8_t { not_available, resources, constraints, platform, copies };
constexpr size_t kRefusals = 5;

struct Demand {
  const model::ServiceSpec* spec = nullptr;
  model::SpecKey key;
  std::vector<model::Constraint> constraints;
  model::Resources reserved;
  uint64_t copies_max = 0;
  std::vector<model::Platform> platforms;
};

std::string normal_architecture(std::string name) {
  if (name == "x86_64") return "amd64";
  if (name == "aarch64") return "arm64";
  return name;
}

bool platform_fits(const std::vector<model::Platform>& wanted, const model::Platform& have) {
  if (wanted.empty()) return true;
  return std::any_of(wanted.begin(), wanted.end(), [&](const model::Platform& platform) {
    return (platform.os.empty() || platform.os == have.os) &&
           (platform.architecture.empty() ||
            normal_architecture(platform.architecture) == normal_architecture(have.architecture));
  });
}

std::optional<Refusal> refusal(const Demand& demand, const NodeLoad& load) {
  const model::Node& node = *load.node;
  if (node.status.state != model::NodeState::ready ||
      node.spec.availability != model::NodeAvailability::active) {
    return Refusal::not_available;
  }
  const model::Resources& total = node.description.resources;
  if ((demand.reserved.nano_cpus > 0 &&
       load.reserved_nano_cpus + demand.reserved.nano_cpus > total.nano_cpus) ||
      (demand.reserved.memory_bytes > 0 &&
       load.reserved_memory_bytes + demand.reserved.memory_bytes > total.memory_bytes)) {
    return Refusal::resources;
  }
  if (!model::matches_all(demand.constraints, node)) return Refusal::constraints;
  if (!platform_fits(demand.platforms, node.description.platform)) return Refusal::platform;
  if (demand.copies_max > 0 && load.active(demand.key.service) >= demand.copies_max) {
    return Refusal::copies;
  }
  return std::nullopt;
}

std::string nodes_text(size_t count) {
  return std::to_string(count) + (count == 1 ? " node" : " nodes");
}

// Docker's wording; tests and people read it.
std::string explain(const std::array<size_t, kRefusals>& counts) {
  const std::array<std::string, kRefusals> pieces = {
      nodes_text(counts[0]) + " not available for new tasks",
      "insufficient resources on " + nodes_text(counts[1]),
      "scheduling constraints not satisfied on " + nodes_text(counts[2]),
      "unsupported platform on " + nodes_text(counts[3]), "max replicas per node limit exceed"};
  std::vector<size_t> order;
  for (size_t i = 0; i < kRefusals; ++i) {
    if (counts[i] > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  std::string text = "no suitable node";
  for (size_t i = 0; i < order.size(); ++i) text += (i == 0 ? " (" : "; ") + pieces[order[i]];
  return order.empty() ? text : text + ")";
}

// The branch of the spread tree that a node is in: one label value per preference, outermost first.
std::vector<std::string> branch_of(const Demand& demand, const model::Node& node) {
  std::vector<std::string> branch;
  if (!demand.spec->task.placement) return branch;
  for (const std::string& over : demand.spec->task.placement->spread_over) {
    std::string_view key = over;
    const model::Labels* labels = nullptr;
    if (key.starts_with("node.labels.")) {
      labels = &node.spec.labels;
      key.remove_prefix(std::string_view("node.labels.").size());
    } else if (key.starts_with("engine.labels.")) {
      labels = &node.description.engine_labels;
      key.remove_prefix(std::string_view("engine.labels.").size());
    }
    const auto it = labels ? labels->find(std::string(key)) : model::Labels::const_iterator{};
    branch.push_back(labels && it != labels->end() ? it->second : std::string());
  }
  return branch;
}

// How many tasks of the service each level of each candidate's branch carries, outermost first: the
// branch with fewer is filled first.
std::vector<size_t> branch_totals(const std::map<std::vector<std::string>, size_t>& totals,
                                  const std::vector<std::string>& branch) {
  std::vector<size_t> out;
  for (size_t depth = 1; depth <= branch.size(); ++depth) {
    size_t sum = 0;
    for (const auto& [other, count] : totals) {
      if (std::equal(branch.begin(), branch.begin() + static_cast<ptrdiff_t>(depth),
                     other.begin())) {
        sum += count;
      }
    }
    out.push_back(sum);
  }
  return out;
}

struct Choice {
  const NodeLoad* best = nullptr;
  std::array<size_t, kRefusals> refused{};
};

Choice choose(const NodeLoads& loads, const Demand& demand, model::WallTime now) {
  Choice choice;
  const bool spreads =
      demand.spec->task.placement && !demand.spec->task.placement->spread_over.empty();
  std::map<std::vector<std::string>, size_t> totals;
  if (spreads) {
    for (const auto& [id, load] : loads.all()) {
      totals[branch_of(demand, *load.node)] += load.active(demand.key.service);
    }
  }
  using Rank = std::tuple<size_t, std::vector<size_t>, size_t, size_t>;
  std::optional<Rank> best_rank;
  for (const auto& [id, load] : loads.all()) {
    if (const std::optional<Refusal> why = refusal(demand, load)) {
      ++choice.refused[static_cast<size_t>(*why)];
      continue;
    }
    const size_t failures = load.recent_failures(demand.key, now);
    Rank rank{
        failures >= kFailuresThatCount ? failures : 0,
        spreads ? branch_totals(totals, branch_of(demand, *load.node)) : std::vector<size_t>(),
        load.active(demand.key.service), load.active_tasks};
    if (!best_rank || rank < *best_rank) {
      best_rank = std::move(rank);
      choice.best = &load;
    }
  }
  return choice;
}

Demand demand_of(const model::ServiceSpec& spec, const model::SpecKey& key) {
  Demand demand{&spec, key};
  if (spec.task.reservations) demand.reserved = *spec.task.reservations;
  if (!spec.task.placement) return demand;
  demand.copies_max = spec.task.placement->max_replicas_per_node;
  demand.platforms = spec.task.placement->platforms;
  for (const std::string& text : spec.task.placement->constraints) {
    // Validated when the spec was accepted; one that an older version let through is never met.
    demand.constraints.push_back(
        model::parse_constraint(text).value_or(model::Constraint{"node.id", true, text}));
  }
  return demand;
}

}  // namespace

void place_group(store::Draft& draft, NodeLoads& loads, const std::vector<model::TaskId>& tasks,
                 model::WallTime now) {
  if (tasks.empty()) return;
  const store::Row<Task> first = draft.task(tasks.front());
  if (!first) return;
  const store::Row<model::ServiceSpec> spec = draft.spec_of(*first);
  SKEP_ASSERT(spec != nullptr, "a task's spec is in the store as long as the task");
  const Demand demand = demand_of(*spec, {first->service, first->spec_version});
  std::optional<std::string> reason;  // the same for all that come after the first refused
  for (const model::TaskId id : tasks) {
    const store::Row<Task> before = draft.task(id);
    if (!before) continue;
    Task task = *before;
    if (!reason) {
      const Choice choice = choose(loads, demand, now);
      if (choice.best) {
        task.node = choice.best->node->id;
        task.status.state = TaskState::assigned;
        task.status.message = "scheduler assigned task to node";
      } else {
        reason = explain(choice.refused);
      }
    }
    if (reason) {
      if (task.status.error == *reason) continue;
      task.status.message = "pending task scheduling";
    }
    task.status.error = reason.value_or("");
    task.status.timestamp = now;
    task.status.applied_at = now;
    draft.put(task);
    loads.follow(draft, store::Replaced<Task>{before, draft.task(id)});
  }
}

void enforce(store::Draft& draft, const NodeLoads& loads, model::NodeId node_id,
             model::WallTime now) {
  const auto it = loads.all().find(node_id);
  if (it == loads.all().end()) return;
  const model::Node& node = *it->second.node;
  if (node.spec.availability != model::NodeAvailability::active) return;
  std::vector<store::Row<Task>> tasks;
  draft.each_task_of_node(node_id, [&](const store::Row<Task>& task) {
    if (task->desired <= TaskState::running && !task->ended()) tasks.push_back(task);
  });
  std::sort(tasks.begin(), tasks.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  model::Resources left = node.description.resources;
  for (const store::Row<Task>& row : tasks) {
    const store::Row<model::Service> service = draft.service(row->service);
    if (!service) continue;
    const store::Row<model::ServiceSpec> spec = draft.spec_of(*service);
    const Demand demand = demand_of(*spec, {service->id, service->spec_version});
    left.nano_cpus -= demand.reserved.nano_cpus;
    left.memory_bytes -= demand.reserved.memory_bytes;
    const bool overfull = (demand.reserved.nano_cpus > 0 && left.nano_cpus < 0) ||
                          (demand.reserved.memory_bytes > 0 && left.memory_bytes < 0);
    if (!overfull && model::matches_all(demand.constraints, node)) continue;
    if (overfull) {
      left.nano_cpus += demand.reserved.nano_cpus;
      left.memory_bytes += demand.reserved.memory_bytes;
    }
    Task task = *row;
    task.status.state = TaskState::rejected;
    task.status.message = "task rejected by constraint enforcer";
    task.status.error = "assigned node no longer meets constraints";
    task.status.timestamp = now;
    task.status.applied_at = now;
    draft.put(task);
  }
}

}  // namespace skep::scheduler
