// Services: create, list, look, change what can be changed without touching a task, remove.
//
// A rolling update isn't built yet. Rather than store a new template that no task follows, an
// update that changes the template (other than its constraints) is refused and names the first
// field.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/validate.hpp"
#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/docker_json.hpp"
#include "daemon/api/filters.hpp"
#include "daemon/api/lookup.hpp"

namespace skep::api {
namespace {

asio::awaitable<Result<Response>> create(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY(need_store(context));
  SKEP_CO_TRY_ASSIGN(model::ServiceSpec spec, docker_json::parse_service_spec(request.body));
  SKEP_CO_TRY(model::validate_service_spec(spec));
  spec.task.registry_auth = request.registry_auth;
  SKEP_CO_TRY_ASSIGN(const model::ServiceId id,
                     co_await context.control.create_service(std::move(spec)));
  co_return Response::json(docker_json::created_to_json(id.str()), 201);
}

asio::awaitable<Result<Response>> list(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const Filters filters,
                     Filters::parse(request, {"id", "name", "label", "mode", "runtime"}));
  const bool with_counts = request.query_flag("status");
  std::vector<docker_json::ServiceView> views;
  store->each_service([&](const store::Row<model::Service>& service) {
    const auto spec = store->spec_of(*service);
    if (!spec || !filters.allows_prefix("id", service->id.str()) ||
        !filters.allows_prefix("name", service->name) ||
        !filters.allows_label("label", spec->labels) ||
        !filters.allows_equal("mode", "replicated") ||
        !filters.allows_equal("runtime", "container")) {
      return;
    }
    views.push_back(service_view(*store, *service));
    if (with_counts) views.back().counts = count_tasks(*store, *service);
  });
  co_return Response::json(docker_json::services_to_json(views));
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const store::Row<model::Service> service,
                     find_service(*store, request.parameter("id")));
  docker_json::ServiceView view = service_view(*store, *service);
  if (request.query_flag("insertDefaults")) {
    view.spec = docker_json::with_defaults(std::move(view.spec));
  }
  co_return Response::json(docker_json::service_to_json(view));
}

// The spec to store: the client's, with the template we have and the client's constraints.
Result<model::ServiceSpec> updated_spec(const model::ServiceSpec& before,
                                        model::ServiceSpec after) {
  if (after.name != before.name) {
    return fail(ErrorKind::unimplemented, "renaming services is not supported");
  }
  if (const auto field = docker_json::first_template_difference(before.task, after.task)) {
    return fail(ErrorKind::unimplemented, "not implemented yet: changing " + *field);
  }
  std::vector<std::string> constraints;
  if (after.task.placement) constraints = std::move(after.task.placement->constraints);
  // Equal in meaning isn't equal in bytes: the stored template stays as it is, so that no task ever
  // looks out of date because of how a client spells a default.
  after.task = before.task;
  if (!constraints.empty() && !after.task.placement) after.task.placement.emplace();
  if (after.task.placement) after.task.placement->constraints = std::move(constraints);
  return after;
}

asio::awaitable<Result<Response>> update(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const uint64_t version, need_version(request));
  SKEP_CO_TRY_ASSIGN(const store::Row<model::Service> service,
                     find_service(*store, request.parameter("id")));
  if (request.query_value("rollback") == "previous") {
    co_return fail(ErrorKind::unimplemented, "not implemented yet: rollback=previous");
  }
  const std::string_view mode_change = "service mode change is not allowed";
  Result<model::ServiceSpec> parsed = docker_json::parse_service_spec(request.body);
  if (!parsed) {
    const bool about_mode = parsed.error().message.find(": Mode.") != std::string::npos;
    if (parsed.error().kind != ErrorKind::unimplemented || !about_mode) {
      co_return fail(std::move(parsed).error());
    }
    co_return fail(ErrorKind::unimplemented, std::string(mode_change));
  }
  SKEP_CO_TRY(model::validate_service_spec(*parsed));
  const auto before = store->spec_of(*service);
  if (!before) co_return fail(ErrorKind::internal, "the service's spec is missing");
  SKEP_CO_TRY_ASSIGN(model::ServiceSpec after, updated_spec(*before, std::move(*parsed)));
  SKEP_CO_TRY(co_await context.control.update_service(service->id, version, std::move(after)));
  co_return Response::json("{\"Warnings\":null}");
}

asio::awaitable<Result<Response>> remove(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const store::Row<model::Service> service,
                     find_service(*store, request.parameter("id")));
  SKEP_CO_TRY(co_await context.control.remove_service(service->id));
  co_return Response::empty(200);
}

}  // namespace

std::span<const Route> service_routes() {
  static const Route routes[] = {
      {"POST", "/services/create", &create}, {"GET", "/services", &list},
      {"GET", "/services/{id}", &inspect},   {"POST", "/services/{id}/update", &update},
      {"DELETE", "/services/{id}", &remove},
  };
  return routes;
}

}  // namespace skep::api
