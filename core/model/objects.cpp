// Names of the states, and the one place that spells a task's name.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/objects.hpp"

#include <array>
#include <utility>

namespace skep::model {
namespace {

constexpr std::array<std::pair<TaskState, std::string_view>, 14> kTaskStates = {{
    {TaskState::fresh, "new"},
    {TaskState::pending, "pending"},
    {TaskState::assigned, "assigned"},
    {TaskState::accepted, "accepted"},
    {TaskState::preparing, "preparing"},
    {TaskState::ready, "ready"},
    {TaskState::starting, "starting"},
    {TaskState::running, "running"},
    {TaskState::complete, "complete"},
    {TaskState::shutdown, "shutdown"},
    {TaskState::failed, "failed"},
    {TaskState::rejected, "rejected"},
    {TaskState::remove, "remove"},
    {TaskState::orphaned, "orphaned"},
}};

}  // namespace

std::string_view task_state_name(TaskState state) {
  for (const auto& [value, name] : kTaskStates) {
    if (value == state) return name;
  }
  return "new";
}

std::optional<TaskState> parse_task_state(std::string_view name) {
  for (const auto& [value, text] : kTaskStates) {
    if (text == name) return value;
  }
  return std::nullopt;
}

std::string task_name(const Task& task) {
  return task.service_name + "." + std::to_string(task.slot) + "." + task.id.str();
}

}  // namespace skep::model
