// Filters, ranking, and the sentence for tasks that fit nowhere.
// SPDX-License-Identifier: Apache-2.0
#include "core/scheduler/scheduler.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <functional>
#include <map>
#include <optional>

#include "core/model/constraint.hpp"
#include "core/model/mounts.hpp"

namespace skep::scheduler {
namespace {

using model::Task;
using model::TaskState;

// In the order in which the filters are asked.
enum class Refusal : uint8_t { not_available, resources, plugin, constraints, platform, copies };
constexpr size_t kRefusals = 6;

struct Demand {
  const model::ServiceSpec* spec = nullptr;
  model::SpecKey key;
  std::vector<model::Constraint> constraints;
  model::Resources reserved;
  uint64_t copies_max = 0;
  std::vector<model::Platform> platforms;
  std::vector<std::string> volume_drivers;  // that a node may lack
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

// "nfs" is the plugin "nfs" or, as Docker's managed plugins are called, "nfs:latest".
bool has_volume_driver(const model::Node& node, const std::string& name) {
  const std::vector<model::EnginePlugin>& plugins = node.description.plugins;
  return std::any_of(plugins.begin(), plugins.end(), [&](const model::EnginePlugin& plugin) {
    return plugin.type == "Volume" && (plugin.name == name || plugin.name == name + ":latest");
  });
}

std::optional<Refusal> refusal(const Demand& demand, const NodeLoad& load) {
  const model::Node& node = *load.node;
  if (node.status.state != model::NodeState::ready || node.description.takes_no_tasks ||
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
  for (const std::string& driver : demand.volume_drivers) {
    if (!has_volume_driver(node, driver)) return Refusal::plugin;
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
      "missing plugin on " + nodes_text(counts[2]),
      "scheduling constraints not satisfied on " + nodes_text(counts[3]),
      "unsupported platform on " + nodes_text(counts[4]),
      "max replicas per node limit exceed"};
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

// How good a node is for the next task of a group: the lowest is best.
struct Rank {
  size_t failures = 0;    // recent ones, once they are many
  size_t of_service = 0;  // tasks of the service there
  size_t tasks = 0;
  model::NodeId node;
  auto operator<=>(const Rank&) const = default;
};

// The nodes that can take a task of one group, the best at hand.
//
// While a group is placed nothing changes but the node that was chosen last: it alone is judged
// anew, so a group of T tasks on N nodes costs (T + N) log N and not T times N. Nodes stand in one
// heap for each branch of the spread tree; among branches, those that carry fewer tasks of the
// service, outermost level first, come before any rank but failures. Without preferences there is
// one branch.
class Candidates {
 public:
  Candidates(const NodeLoads& loads, const Demand& demand, model::WallTime now)
      : loads_(loads), demand_(demand), now_(now) {
    for (const auto& [id, load] : loads.all()) {
      const std::vector<std::string> labels = branch_of(demand, *load.node);
      Branch& branch = branches_[labels];
      if (branch.totals.empty()) branch.totals = totals_of(labels);
      add_to_totals(branch, load.active(demand.key.service));
      consider(branch, load);
    }
    for (auto& [labels, branch] : branches_) {
      std::make_heap(branch.nodes.begin(), branch.nodes.end(), std::greater<>());
    }
  }

  // Whether any node can take one more.
  bool any() {
    best_ = nullptr;
    for (auto& [labels, branch] : branches_) {
      if (!branch.nodes.empty() && (best_ == nullptr || better(branch, *best_))) best_ = &branch;
    }
    return best_ != nullptr;
  }
  // Requires: any().
  model::NodeId best() const { return best_->nodes.front().node; }
  // A task of the group was placed on best(), and the loads know it.
  void placed() {
    std::vector<Rank>& nodes = best_->nodes;
    const model::NodeId node = nodes.front().node;
    std::pop_heap(nodes.begin(), nodes.end(), std::greater<>());
    nodes.pop_back();
    add_to_totals(*best_, 1);
    if (consider(*best_, loads_.all().at(node))) {
      std::push_heap(nodes.begin(), nodes.end(), std::greater<>());
    }
  }
  const std::array<size_t, kRefusals>& refused() const { return refused_; }

 private:
  struct Branch {
    // Tasks of the service in what it is part of, outermost level first; shared with its siblings.
    std::vector<size_t*> totals;
    std::vector<Rank> nodes;  // a heap, the best in front
  };

  // Whether it was taken up, as the last of the branch's nodes.
  bool consider(Branch& branch, const NodeLoad& load) {
    if (const std::optional<Refusal> why = refusal(demand_, load)) {
      ++refused_[static_cast<size_t>(*why)];
      return false;
    }
    const size_t failures = load.recent_failures(demand_.key, now_);
    branch.nodes.push_back({failures >= kFailuresThatCount ? failures : 0,
                            load.active(demand_.key.service), load.active_tasks, load.node->id});
    return true;
  }

  std::vector<size_t*> totals_of(std::vector<std::string> labels) {
    std::vector<size_t*> totals(labels.size());
    for (; !labels.empty(); labels.pop_back()) totals[labels.size() - 1] = &totals_[labels];
    return totals;
  }
  static void add_to_totals(Branch& branch, size_t tasks) {
    for (size_t* total : branch.totals) *total += tasks;
  }

  static bool better(const Branch& a, const Branch& b) {
    const Rank& x = a.nodes.front();
    const Rank& y = b.nodes.front();
    if (x.failures != y.failures) return x.failures < y.failures;
    for (size_t i = 0; i < a.totals.size(); ++i) {
      if (*a.totals[i] != *b.totals[i]) return *a.totals[i] < *b.totals[i];
    }
    return x < y;
  }

  const NodeLoads& loads_;
  const Demand& demand_;
  model::WallTime now_;
  std::map<std::vector<std::string>, Branch> branches_;  // by the values of the labels
  std::map<std::vector<std::string>, size_t> totals_;    // of each beginning of such values
  std::array<size_t, kRefusals> refused_{};
  Branch* best_ = nullptr;
};

Demand demand_of(const model::ServiceSpec& spec, const model::SpecKey& key) {
  Demand demand{&spec, key};
  if (spec.task.reservations) demand.reserved = *spec.task.reservations;
  demand.volume_drivers = model::foreign_volume_drivers(spec.task.container.mounts);
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

void place_group(store::Draft& draft, NodeLoads& loads, const store::TasksBySlot& tasks,
                 model::WallTime now) {
  if (tasks.empty()) return;
  const store::Row<Task> first = draft.task(tasks.begin()->second);
  if (!first) return;
  const store::Row<model::ServiceSpec> spec = draft.spec_of(*first);
  SKEP_ASSERT(spec != nullptr, "a task's spec is in the store as long as the task");
  const Demand demand = demand_of(*spec, {first->service, first->spec_version});
  Candidates candidates(loads, demand, now);
  std::optional<std::string> reason;  // the same for all that come after the first refused
  for (const auto& [slot, id] : tasks) {
    const store::Row<Task> before = draft.task(id);
    if (!before) continue;
    if (!reason && !candidates.any()) reason = explain(candidates.refused());
    if (reason && before->status.error == *reason) continue;
    Task task = *before;
    if (reason) {
      task.status.message = "pending task scheduling";
    } else {
      task.node = candidates.best();
      task.status.state = TaskState::assigned;
      task.status.message = "scheduler assigned task to node";
    }
    task.status.error = reason.value_or("");
    task.status.timestamp = now;
    task.status.applied_at = now;
    draft.put(task);
    loads.follow(draft, store::Replaced<Task>{before, draft.task(id)});
    if (!reason) candidates.placed();
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
