// Tasks: list with all filters, look.
//
// `_up-to-date` is what the waiting clients use: only tasks made from the service's present spec.
// Since an update here never changes what a task runs, a task of an older spec version whose
// template means the same is up to date too: a scale must not make running tasks disappear from
// the count.
// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/docker_json.hpp"
#include "daemon/api/filters.hpp"
#include "daemon/api/lookup.hpp"

namespace skep::api {
namespace {

// What the service and node filters name, resolved once; unknown names match nothing.
struct Selection {
  std::set<model::ServiceId> services;
  std::set<model::NodeId> nodes;
};

Selection select(const store::View& store, const Filters& filters) {
  Selection selection;
  for (const std::string& reference : filters.values("service")) {
    if (const auto found = find_service(store, reference)) selection.services.insert((*found)->id);
  }
  for (const std::string& reference : filters.values("node")) {
    if (const auto found = find_node(store, reference)) selection.nodes.insert((*found)->id);
  }
  return selection;
}

bool up_to_date(const store::View& store, const model::Task& task) {
  const auto service = store.service(task.service);
  if (!service) return false;
  if (service->spec_version == task.spec_version) return true;
  const auto made_from = store.spec_of(task);
  const auto present = store.spec_of(*service);
  return made_from && present &&
         !docker_json::first_template_difference(made_from->task, present->task);
}

bool listed(const store::View& store, const Filters& filters, const Selection& selection,
            const model::Task& task) {
  if (filters.has("service") && !selection.services.contains(task.service)) return false;
  if (filters.has("node") && !selection.nodes.contains(task.node)) return false;
  if (!filters.allows_prefix("id", task.id.str()) ||
      !filters.allows_prefix("name", model::task_name(task)) ||
      !filters.allows_equal("runtime", "container")) {
    return false;
  }
  if (filters.has("label")) {
    const auto spec = store.spec_of(task);
    if (!spec || !filters.allows_label("label", spec->labels)) return false;
  }
  const bool desired_fits = filters.allows("desired-state", [&](const std::string& wanted) {
    return wanted == model::task_state_name(task.desired);
  });
  if (!desired_fits) return false;
  return filters.allows("_up-to-date", [&](const std::string& wanted) {
    const bool want = wanted == "true" || wanted == "1";
    return !want || up_to_date(store, task);
  });
}

asio::awaitable<Result<Response>> list(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const Filters filters,
                     Filters::parse(request, {"id", "name", "service", "node", "desired-state",
                                              "label", "runtime", "_up-to-date"}));
  for (const std::string& state : filters.values("desired-state")) {
    if (!model::parse_task_state(state)) {
      co_return fail(ErrorKind::invalid, "Invalid filter 'desired-state=" + state + "'");
    }
  }
  const Selection selection = select(*store, filters);
  std::vector<docker_json::TaskView> views;
  const auto visit = [&](const store::Row<model::Task>& task) {
    if (listed(*store, filters, selection, *task)) views.push_back(task_view(*store, *task));
  };
  if (filters.has("service")) {
    for (const model::ServiceId& id : selection.services) store->each_task_of_service(id, visit);
  } else if (filters.has("node")) {
    for (const model::NodeId& id : selection.nodes) store->each_task_of_node(id, visit);
  } else {
    store->each_task(visit);
  }
  co_return Response::json(docker_json::tasks_to_json(views));
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const store::Row<model::Task> task,
                     find_task(*store, request.parameter("id")));
  co_return Response::json(docker_json::task_to_json(task_view(*store, *task)));
}

}  // namespace

std::span<const Route> task_routes() {
  static const Route routes[] = {
      {"GET", "/tasks", &list},
      {"GET", "/tasks/{id}", &inspect},
  };
  return routes;
}

}  // namespace skep::api
