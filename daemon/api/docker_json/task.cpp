// Task: what the clients' ps and progress displays read. Spec.ContainerSpec is always there, since
// the CLI's templates fail without it.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {

template <>
struct Codec<model::TaskState> {
  static Status parse(const Json& json, model::TaskState& out, const Path& path) {
    std::string text;
    SKEP_TRY(Codec<std::string>::parse(json, text, path));
    // "" is what other servers print for a task that has no desired state yet.
    if (text.empty()) return {};
    const auto state = model::parse_task_state(text);
    if (!state) return wrong_value(path, "unknown state '" + text + "'");
    out = *state;
    return {};
  }
  static Json print(model::TaskState state) { return std::string(model::task_state_name(state)); }
};

namespace {

std::span<const Field<TaskView>> status_rows() {
  using T = TaskView;
  static const Field<T> rows[] = {field < T, [](auto& t) -> auto& {return t.task.status.timestamp;
}
> ("Timestamp"), field < T, [](auto& t) -> auto& {
  return t.task.status.state;
}
> ("State"), field < T, [](auto& t) -> auto& {
  return t.task.status.message;
}
> ("Message"), field < T, [](auto& t) -> auto& {
  return t.task.status.error;
}
> ("Err", Show::if_not_empty), field < T, [](auto& t) -> auto& {
  return t.task.status.container;
}
> ("ContainerStatus", Show::if_not_null), shown<T>("PortStatus", [](const T&) -> Json {
  return Json::object();
}),
};  // namespace
return rows;
}  // namespace skep::docker_json

}  // namespace

std::span<const Field<model::ContainerStatus>> Table<model::ContainerStatus>::fields() {
  using T = model::ContainerStatus;
  static const Field<T> rows[] = {
      field<T, &T::container_id>("ContainerID"),
      field<T, &T::pid>("PID"),
      field<T, &T::exit_code>("ExitCode"),
  };
  return rows;
}

std::span<const Field<TaskView>> Table<TaskView>::fields() {
  using T = TaskView;
  constexpr auto meta = [](auto& t) -> auto& {
    return t.task.meta;
  };
  static const Field<T> rows[] = {field < T, [](auto& t) -> auto& {return t.task.id;
}
> ("ID"), version_row<T, meta>(), created_row<T, meta>(),
    updated_row<T, meta>(), shown<T>("Labels", [](const T&) -> Json { return Json::object(); }),
    field<T, &T::spec>("Spec"), field < T, [](auto& t) -> auto& {
  return t.task.service;
}
> ("ServiceID"), field < T, [](auto& t) -> auto& {
  return t.task.slot;
}
> ("Slot", Show::if_not_empty), field < T, [](auto& t) -> auto& {
  return t.task.node;
}
> ("NodeID", Show::if_not_empty), group<T, &status_rows>("Status"), field < T,
    [](auto& t) -> auto& {
  return t.task.desired;
}
> ("DesiredState"),
}
;
return rows;
}

std::string task_to_json(const TaskView& task) {
  return value_text(task);
}
std::string tasks_to_json(const std::vector<TaskView>& tasks) {
  return value_text(tasks);
}
Result<TaskView> parse_task(std::string_view json) {
  return parse_value<TaskView>(json);
}
Result<std::vector<TaskView>> parse_tasks(std::string_view json) {
  return parse_value<std::vector<TaskView>>(json);
}

}  // namespace skep::docker_json
