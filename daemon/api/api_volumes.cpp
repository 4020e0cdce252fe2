// Volumes of this node: create, list, look, remove, prune. Nothing here knows the cluster: as with
// Docker, each node has volumes of its own.
//
// Lists come from the agent's table; only making, removing and counting bytes wait for a driver.
// `prune` removes what it can: what stays, or could not be counted, is told in `Warnings`, which
// Docker's answer doesn't have and its clients don't read, and in the log.
// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>

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
  SKEP_CO_TRY_ASSIGN(const std::optional<bool> dangling, filters.truth("dangling"));
  const std::function<bool(std::string_view)> named = filters.pattern("name");
  docker_json::VolumeList found;
  for (const agent::Volume& volume : context.volumes.list()) {
    const bool listed = (!dangling || *dangling == volume.holders.empty()) &&
                        filters.allows("driver",
                                       [&](const std::string& wanted) {
                                         return model::volume_driver_name(wanted) == volume.driver;
                                       }) &&
                        filters.allows_label("label", volume.labels) && named(volume.name);
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

// What `all` says: a boolean as Go reads them, once.
Result<bool> takes_named(const Filters& filters, const Request& request) {
  std::vector<std::string> given = filters.values("all");
  const bool old = request.minor_version && *request.minor_version < kPruneSparesNamedSince;
  if (old && std::find(given.begin(), given.end(), "true") == given.end()) given.push_back("true");
  if (given.empty()) return false;
  if (given.size() > 1) {
    return fail(ErrorKind::invalid,
                "invalid filter 'all=[" + joined(given) + "]': only one value is expected");
  }
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (given.front() == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (given.front() == no) return false;
  }
  return fail(ErrorKind::invalid, "invalid filter 'all': strconv.ParseBool: parsing \"" +
                                      given.front() + "\": invalid syntax");
}

// Docker's choice: nobody has it, it is local, nothing was said about how to make it, and nobody
// named it unless all are to go.
bool may_be_pruned(const agent::Volume& volume, const Filters& filters, bool named_too) {
  const bool anonymous = volume.labels.contains(agent::kAnonymousVolumeLabel);
  const bool spared = filters.has("label!") && filters.allows_label("label!", volume.labels);
  return volume.holders.empty() && volume.driver == model::kLocalVolumeDriver &&
         volume.options.empty() && (anonymous || named_too) && !spared &&
         filters.allows_label("label", volume.labels);
}

struct Pruned {
  std::vector<std::string> names;
  uint64_t bytes = 0;
  std::vector<std::string> warnings;
};

// One volume's trouble holds up no other. `may_go` is asked again after the counting, which may
// take long: somebody could have taken the volume away meanwhile, and made another of its name.
asio::awaitable<void> prune_one(Context& context, const agent::Volume& volume,
                                const std::function<bool(const agent::Volume&)>& may_go,
                                Pruned& pruned) {
  const std::string& name = volume.name;
  const Result<int64_t> used = co_await context.volumes.usage(name);
  if (!may_go(volume)) co_return;
  const Status gone = co_await context.volumes.remove(name, /*force=*/false);
  if (!gone) {
    // If not, it was taken into use or away in this moment, which is nobody's trouble.
    if (may_go(volume)) pruned.warnings.push_back(gone.error().message);
    co_return;
  }
  if (!used) {
    pruned.warnings.push_back("could not determine size of volume " + name + ": " +
                              used.error().message);
  }
  if (used && *used > 0) pruned.bytes += static_cast<uint64_t>(*used);
  pruned.names.push_back(name);
}

asio::awaitable<Result<Response>> prune(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const Filters filters, Filters::parse(request, {"all", "label", "label!"}));
  SKEP_CO_TRY_ASSIGN(const bool named_too, takes_named(filters, request));
  Pruned pruned;
  const std::vector<agent::Volume> volumes = context.volumes.list();
  const std::function<bool(const agent::Volume&)> may_go = [&](const agent::Volume& seen) {
    const Result<agent::Volume> now = context.volumes.find(seen.name);
    return now && now->created_at == seen.created_at && may_be_pruned(*now, filters, named_too);
  };
  for (const agent::Volume& volume : volumes) {
    if (may_go(volume)) co_await prune_one(context, volume, may_go, pruned);
  }
  for (const std::string& warning : pruned.warnings) spdlog::warn("volume prune: {}", warning);
  model::Labels attributes;
  attributes["reclaimed"] = std::to_string(pruned.bytes);
  context.events.tell("volume", "prune", "", std::move(attributes));
  co_return Response::json(
      docker_json::pruned_volumes_to_json(pruned.names, pruned.bytes, pruned.warnings));
}

}  // namespace

std::span<const Route> volume_routes() {
  static const Route routes[] = {
      {"POST", "/volumes/create", &create},
      {"POST", "/volumes/prune", &prune},
      {"GET", "/volumes", &list},
      {"GET", "/volumes/{name...}", &inspect},
      {"DELETE", "/volumes/{name...}", &remove},
  };
  return routes;
}

}  // namespace skep::api
