// Service and ServiceSpec. Replicated is the one mode; a request that leaves the mode or the number
// out means one replica, because the clients' display can't do without the number.
//
// Endpoint and UpdateStatus are the managers' findings: printed, ignored when they come back.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {

template <>
struct Words<model::UpdateFailureAction> {
  static constexpr std::pair<model::UpdateFailureAction, std::string_view> words[] = {
      {model::UpdateFailureAction::pause, "pause"},
      {model::UpdateFailureAction::proceed, "continue"},
      {model::UpdateFailureAction::rollback, "rollback"},
  };
};

template <>
struct Words<model::UpdateOrder> {
  static constexpr std::pair<model::UpdateOrder, std::string_view> words[] = {
      {model::UpdateOrder::stop_first, "stop-first"},
      {model::UpdateOrder::start_first, "start-first"},
  };
};

template <>
struct Words<model::EndpointMode> {
  static constexpr std::pair<model::EndpointMode, std::string_view> words[] = {
      {model::EndpointMode::vip, "vip"},
      {model::EndpointMode::dnsrr, "dnsrr"},
  };
};

namespace {

Status parse_mode(const Json& json, model::ServiceSpec& spec, const Path& path) {
  if (!json.is_object()) return wrong_type(path, "an object", json);
  const auto replicated = json.find("Replicated");
  if (replicated == json.end() || replicated->is_null()) return {};
  const Path inner{&path, "Replicated"};
  if (!replicated->is_object()) return wrong_type(inner, "an object", *replicated);
  const auto replicas = replicated->find("Replicas");
  if (replicas == replicated->end() || replicas->is_null()) return {};
  const Path innermost{&inner, "Replicas"};
  return Codec<uint64_t>::parse(*replicas, spec.replicas, innermost);
}

Json print_mode(const model::ServiceSpec& spec) {
  return Json{{"Replicated", Json{{"Replicas", spec.replicas}}}};
}

Json print_endpoint(const ServiceView& service) {
  const model::EndpointSpec spec = service.spec.endpoint.value_or(model::EndpointSpec{});
  return Json{{"Spec", Codec<model::EndpointSpec>::print(spec)}};
}

}  // namespace

std::span<const Field<model::UpdateConfig>> Table<model::UpdateConfig>::fields() {
  using T = model::UpdateConfig;
  static const Field<T> rows[] = {
      field<T, &T::parallelism>("Parallelism"),
      field<T, &T::delay>("Delay", Show::if_not_empty),
      field<T, &T::failure_action>("FailureAction"),
      {"Monitor", Show::if_not_empty,
       [](const Json& json, T& update, const Path& path) -> Status {
         model::Nanoseconds monitor{0};
         SKEP_TRY(Codec<model::Nanoseconds>::parse(json, monitor, path));
         if (monitor.count() != 0) update.monitor = monitor;  // 0 is "the default"
         return {};
       },
       [](const T& update) -> Json { return update.monitor.count(); }},
      field<T, &T::max_failure_ratio>("MaxFailureRatio"),
      field<T, &T::order>("Order"),
  };
  return rows;
}

std::span<const Field<model::EndpointSpec>> Table<model::EndpointSpec>::fields() {
  using T = model::EndpointSpec;
  static const Field<T> rows[] = {field<T, &T::mode>("Mode")};
  return rows;
}

std::span<const Field<model::ServiceSpec>> Table<model::ServiceSpec>::fields() {
  using T = model::ServiceSpec;
  static const Field<T> rows[] = {
      field<T, &T::name>("Name"),
      field<T, &T::labels>("Labels"),
      field<T, &T::task>("TaskTemplate"),
      {"Mode", Show::always, &parse_mode, &print_mode},
      field<T, &T::update>("UpdateConfig", Show::if_not_null),
      field<T, &T::rollback>("RollbackConfig", Show::if_not_null),
      field<T, &T::endpoint>("EndpointSpec", Show::if_not_null),
  };
  return rows;
}

std::span<const Field<ServiceCounts>> Table<ServiceCounts>::fields() {
  using T = ServiceCounts;
  static const Field<T> rows[] = {
      field<T, &T::running>("RunningTasks"),
      field<T, &T::desired>("DesiredTasks"),
      field<T, &T::completed>("CompletedTasks"),
  };
  return rows;
}

std::span<const Field<ServiceView>> Table<ServiceView>::fields() {
  using T = ServiceView;
  static const Field<T> rows[] = {
      field<T, &T::id>("ID"),
      version_row<T, &T::meta>(),
      created_row<T, &T::meta>(),
      updated_row<T, &T::meta>(),
      field<T, &T::spec>("Spec"),
      field<T, &T::previous>("PreviousSpec", Show::if_not_null),
      shown<T>("Endpoint", &print_endpoint),
      field<T, &T::counts>("ServiceStatus", Show::if_not_null),
  };
  return rows;
}

Result<model::ServiceSpec> parse_service_spec(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  SKEP_TRY(refuse_unsupported("ServiceSpec", json));
  SKEP_TRY(refuse_unsupported_mounts(json));
  model::ServiceSpec spec;
  SKEP_TRY(Codec<model::ServiceSpec>::parse(json, spec, Path{}));
  return spec;
}

std::string service_spec_to_json(const model::ServiceSpec& spec) {
  return value_text(spec);
}
std::string service_to_json(const ServiceView& service) {
  return value_text(service);
}
std::string services_to_json(const std::vector<ServiceView>& services) {
  return value_text(services);
}
Result<ServiceView> parse_service(std::string_view json) {
  return parse_value<ServiceView>(json);
}
Result<std::vector<ServiceView>> parse_services(std::string_view json) {
  return parse_value<std::vector<ServiceView>>(json);
}

model::ServiceSpec with_defaults(model::ServiceSpec spec) {
  if (!spec.task.restart) spec.task.restart.emplace();
  if (!spec.task.restart->delay) spec.task.restart->delay = std::chrono::seconds(5);
  if (!spec.task.container.stop_grace_period) {
    spec.task.container.stop_grace_period = std::chrono::seconds(10);
  }
  if (!spec.update) spec.update.emplace();
  if (!spec.rollback) spec.rollback.emplace();
  if (!spec.endpoint) spec.endpoint.emplace();
  return spec;
}

}  // namespace skep::docker_json
