// Volumes of this node: create, list, look, remove, prune. Nothing here knows the cluster: as with
// Docker, each node has volumes of its own.
//
// Lists come from the agent's table; only making, removing and counting bytes wait for a driver.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/model/mounts.hpp"
#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/docker_json.hpp"
#include "daemon/api/filters.hpp"

namespace skep::api {
namespace {

// From this version on `prune` leaves volumes alone that have a name, unless it is told otherwise.
constexpr unsigned kPruneSparesNamedSince = 42;

docker_json::VolumeView view_of(const agent::Volume& volume) {
  docker_json::VolumeView view;
  view.name = volume.name;
  view.driver = volume.driver;
  view.mountpoint = volume.path;
  view.created_at = volume.created_at;
  view.scope = volume.scope;
  view.options = volume.options;
  view.labels = volume.labels;
  return view;
}

Result<bool> truth_of(const std::string& name, const std::string& text) {
  if (text == "true" || text == "1" || text == "True" || text == "t") return true;
  if (text == "false" || text == "0" || text == "False" || text == "f") return false;
  return fail(ErrorKind::invalid, "invalid filter '" + name + "=[" + text + "]'");
}

// The one truth value of a filter; absent when it isn't there.
Result<std::optional<bool>> truth_filter(const Filters& filters, const std::string& name) {
  std::optional<bool> wanted;
  for (const std::string& text : filters.values(name)) {
    SKEP_TRY_ASSIGN(const bool value, truth_of(name, text));
    if (wanted && *wanted != value) {
      return fail(ErrorKind::invalid, "invalid filter '" + name + "': true and false at once");
    }
    wanted = value;
  }
  return wanted;
}

asio::awaitable<Result<Response>> create(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(docker_json::VolumeCreate asked,
                     docker_json::parse_volume_create(request.body));
  agent::VolumeWish wish;
  wish.name = std::move(asked.name);
  wish.driver = std::move(asked.driver);
  wish.options = std::move(asked.options);
  wish.labels = std::move(asked.labels);
  SKEP_CO_TRY_ASSIGN(const agent::Volume volume, co_await context.volumes.create(std::move(wish)));
  co_return Response::json(docker_json::volume_to_json(view_of(volume)), 201);
}

asio::awaitable<Result<Response>> list(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const Filters filters,
                     Filters::parse(request, {"dangling", "driver", "label", "name"}));
  SKEP_CO_TRY_ASSIGN(const std::optional<bool> dangling, truth_filter(filters, "dangling"));
  docker_json::VolumeList found;
  for (const agent::Volume& volume : context.volumes.list()) {
    const bool listed = (!dangling || *dangling == volume.holders.empty()) &&
                        filters.allows("driver",
                                       [&](const std::string& wanted) {
                                         return model::volume_driver_name(wanted) == volume.driver;
                                       }) &&
                        filters.allows_label("label", volume.labels) &&
                        filters.allows("name", [&](const std::string& wanted) {
                          return volume.name.find(wanted) != std::string::npos;
                        });
    if (listed) found.volumes.push_back(view_of(volume));
  }
  co_return Response::json(docker_json::volumes_to_json(found));
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const agent::Volume volume, context.volumes.find(request.parameter("name")));
  co_return Response::json(docker_json::volume_to_json(view_of(volume)));
}

asio::awaitable<Result<Response>> remove(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY(
      co_await context.volumes.remove(request.parameter("name"), request.query_flag("force")));
  co_return Response::empty(204);
}

// Docker's choice: nobody has it, it is local, and nothing was said about how to make it.
bool may_be_pruned(const agent::Volume& volume) {
  return volume.holders.empty() && volume.driver == model::kLocalVolumeDriver &&
         volume.options.empty();
}

asio::awaitable<Result<Response>> prune(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const Filters filters, Filters::parse(request, {"all", "label", "label!"}));
  SKEP_CO_TRY_ASSIGN(std::optional<bool> all, truth_filter(filters, "all"));
  if (request.minor_version && *request.minor_version < kPruneSparesNamedSince) all = true;
  std::vector<std::string> removed;
  uint64_t bytes = 0;
  const std::vector<agent::Volume> volumes = context.volumes.list();
  for (const agent::Volume& volume : volumes) {
    const bool anonymous = volume.labels.contains(agent::kAnonymousVolumeLabel);
    const bool kept_by_label =
        filters.has("label!") && filters.allows_label("label!", volume.labels);
    if (!may_be_pruned(volume) || (!anonymous && !all.value_or(false)) || kept_by_label ||
        !filters.allows_label("label", volume.labels)) {
      continue;
    }
    const Result<int64_t> used = co_await context.volumes.usage(volume.name);
    const Status gone = co_await context.volumes.remove(volume.name, /*force=*/false);
    // Taken into use, or removed by somebody else, since the list was made.
    const bool passed_by = !gone && (gone.error().kind == ErrorKind::conflict ||
                                     gone.error().kind == ErrorKind::not_found);
    if (passed_by) continue;
    SKEP_CO_TRY(gone);
    removed.push_back(volume.name);
    if (used && *used > 0) bytes += static_cast<uint64_t>(*used);
  }
  co_return Response::json(docker_json::pruned_volumes_to_json(removed, bytes));
}

}  // namespace

std::span<const Route> volume_routes() {
  static const Route routes[] = {
      {"POST", "/volumes/create", &create},
      {"POST", "/volumes/prune", &prune},
      {"GET", "/volumes", &list},
      {"GET", "/volumes/{name}", &inspect},
      {"DELETE", "/volumes/{name}", &remove},
  };
  return routes;
}

}  // namespace skep::api
