// The rules of convergence, look by look.
// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace skep::cli {
namespace {

// In the order a task goes through them; the number is the length of the bar.
constexpr std::array<std::string_view, 13> kStates = {
    "new",      "allocated", "pending",  "assigned", "accepted", "preparing", "ready",
    "starting", "running",   "complete", "shutdown", "failed",   "rejected"};
constexpr int kRunning = 9;
constexpr size_t kLongestStateCharacters = 9;
constexpr uint64_t kTaskLinesMax = 20;

// 1 for "new" to 13; 0 for states that no longer stand for their slot (remove, orphaned).
int state_number(std::string_view state) {
  const auto* found = std::ranges::find(kStates, state);
  return found == kStates.end() ? 0 : static_cast<int>(found - kStates.begin()) + 1;
}

bool is_terminal(std::string_view state) {
  const int number = state_number(state);
  return number == 0 || number > kRunning;
}

std::string task_key(const ProgressView& view, const ProgressTask& task) {
  return view.replicas ? std::to_string(task.slot) : task.node;
}

// The one task that stands for each slot (or node).
std::map<std::string, const ProgressTask*> tasks_by_slot(const ProgressView& view) {
  std::map<std::string, const ProgressTask*> chosen;
  for (const ProgressTask& task : view.tasks) {
    const int desired = state_number(task.desired);
    const int state = state_number(task.state);
    if (desired == 0 || state == 0) continue;
    if (!view.replicas && task.node.empty()) continue;
    if (!task.node.empty() && !view.live_nodes.contains(task.node)) continue;
    const ProgressTask*& place = chosen[task_key(view, task)];
    if (place != nullptr) {
      const int rival_desired = state_number(place->desired);
      const int rival_state = state_number(place->state);
      if (rival_desired < desired) continue;
      if (rival_desired == desired && rival_state <= state) continue;
    }
    place = &task;
  }
  return chosen;
}

std::string padded_state(std::string state) {
  state.resize(std::max(state.size(), kLongestStateCharacters), ' ');
  return state;
}

std::string one_line(std::string text) {
  constexpr size_t kErrorCharactersMax = 75;
  std::ranges::replace(text, '\n', ' ');
  if (text.size() > kErrorCharactersMax) text = text.substr(0, kErrorCharactersMax - 1) + "…";
  return text;
}

std::string line_name(uint64_t line, uint64_t of) {
  const std::string total = std::to_string(of);
  std::string name = std::to_string(line);
  name.insert(0, total.size() - std::min(total.size(), name.size()), ' ');
  return name + "/" + total;
}

ProgressLine overall(uint64_t running, uint64_t of, bool rolling_back) {
  return {.name = "overall progress",
          .text = (rolling_back ? "rolling back update: " : "") + std::to_string(running) +
                  " out of " + std::to_string(of) + " tasks"};
}

}  // namespace

bool Progress::finished_by_update(const ProgressView& view, ProgressStep& step) {
  const std::string& state = view.update_state;
  if (state == "updating") rolling_back_ = false;
  if (state == "paused" || state == "rollback_paused") {
    step.end = ProgressEnd::failed;
    step.failure = (state == "paused" ? "service update paused: " : "service rollback paused: ") +
                   view.update_message;
    return true;
  }
  if (state == "rollback_started") {
    if (!rolling_back_ && !view.update_message.empty()) {
      step.lines.push_back({.name = "rollback", .text = view.update_message});
    }
    rolling_back_ = true;
  }
  // Once the tasks have converged the monitor time decides, whatever the updater says.
  const bool ended = state == "completed" || state == "rollback_completed";
  if (!ended || converged_at_) return false;
  if (state == "rollback_completed") {
    step.lines.push_back({.name = "rollback", .text = view.update_message});
  }
  step.end = ProgressEnd::succeeded;
  return true;
}

void Progress::draw_tasks(const ProgressView& view, std::vector<ProgressLine>& lines) {
  const uint64_t wanted = view.replicas.value_or(view.eligible_nodes);
  if (!drawn_) {
    drawn_ = true;
    lines.push_back(overall(0, wanted, rolling_back_));
    for (uint64_t i = 1; i <= wanted && wanted <= kTaskLinesMax; ++i) {
      lines.push_back({.name = line_name(i, wanted), .text = " "});
    }
  }
  const auto chosen = tasks_by_slot(view);
  const auto is_running = [](const auto& entry) { return entry.second->state == "running"; };
  const uint64_t running = static_cast<uint64_t>(std::ranges::count_if(chosen, [](const auto& e) {
    return !is_terminal(e.second->desired) && e.second->state == "running";
  }));
  if (complete_ && !std::ranges::all_of(chosen, is_running)) complete_ = false;
  for (const auto& [key, task] : chosen) {
    const auto [place, added] = line_of_slot_.try_emplace(key, line_of_slot_.size() + 1);
    const uint64_t line = place->second;
    if (complete_ || wanted > kTaskLinesMax || line > wanted) continue;
    if (!task->error.empty()) {
      lines.push_back({.name = line_name(line, wanted), .text = one_line(task->error)});
    } else if (!is_terminal(task->desired) && !is_terminal(task->state)) {
      const int number = state_number(task->state);
      lines.push_back({.name = line_name(line, wanted),
                       .text = padded_state(task->state),
                       .done_of_nine = rolling_back_ ? kRunning - number : number});
    }
  }
  if (!complete_) {
    lines.push_back(overall(running, wanted, rolling_back_));
    complete_ = running == wanted;
  }
  if (running != wanted) complete_ = false;
}

ProgressStep Progress::step(const ProgressView& view, model::WallTime now) {
  constexpr int64_t kSecondNs = 1'000'000'000;
  ProgressStep step;
  if (finished_by_update(view, step)) return step;
  if (converged_at_ && now - *converged_at_ >= view.monitor) {
    step.lines.push_back({.name = "verify", .text = "Service " + view.service_id + " converged"});
    step.end = ProgressEnd::succeeded;
    return step;
  }
  draw_tasks(view, step.lines);
  if (complete_) {
    if (!converged_at_) converged_at_ = now;
    const int64_t wait_ns = (view.monitor - (now - *converged_at_)).count();
    if (wait_ns >= 0) {
      step.lines.push_back(
          {.name = "verify",
           .text = "Waiting " +
                   std::to_string(std::max<int64_t>(1, (wait_ns + kSecondNs - 1) / kSecondNs)) +
                   " seconds to verify that tasks are stable..."});
    }
  } else if (converged_at_) {
    step.lines.push_back({.name = "verify", .text = "Detected task failure"});
    converged_at_.reset();
  }
  return step;
}

}  // namespace skep::cli
