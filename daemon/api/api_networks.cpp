// Networks: this node's own and the cluster's, in one list. Making them comes with overlays.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/docker_json.hpp"
#include "daemon/api/filters.hpp"

namespace skep::api {
namespace {

using docker_json::NetworkView;

std::vector<NetworkView> all_networks(const Context& context) {
  std::vector<NetworkView> views;
  for (const agent::Containers::LocalNetwork& network : context.containers.networks()) {
    NetworkView view;
    view.id = network.id;
    view.name = network.name;
    view.created_at = network.created_at;
    view.scope = "local";
    view.driver = network.driver;
    view.subnet = network.subnet;
    view.gateway = network.gateway;
    for (const auto& container : context.containers.list()) {
      for (const agent::ContainerNetwork& end : container->networks) {
        if (end.network_id != network.id && end.name != network.name) continue;
        view.containers[container->id] = {container->name, end.endpoint_id, end.mac,
                                          end.address + "/" + std::to_string(end.prefix_length)};
      }
    }
    views.push_back(std::move(view));
  }
  const store::View* store = context.control.store();
  if (!store) return views;
  store->each_network([&](const store::Row<model::Network>& network) {
    NetworkView view;
    view.id = network->id.str();
    view.name = network->name;
    view.created_at = network->meta.created_at;
    view.scope = "swarm";
    view.driver = network->driver;
    view.internal = network->internal;
    view.attachable = network->attachable;
    view.ingress = network->ingress;
    view.subnet = network->subnet;
    view.gateway = network->gateway;
    view.labels = network->labels;
    views.push_back(std::move(view));
  });
  return views;
}

bool predefined(const NetworkView& network) {
  return network.scope == "local";
}

asio::awaitable<Result<Response>> list(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(
      const Filters filters,
      Filters::parse(request, {"driver", "id", "label", "name", "scope", "type", "dangling"}));
  const std::function<bool(std::string_view)> named = filters.pattern("name");
  std::vector<NetworkView> views = all_networks(context);
  std::erase_if(views, [&](const NetworkView& network) {
    return !filters.allows_equal("driver", network.driver) ||
           !filters.allows_prefix("id", network.id) ||
           !filters.allows_label("label", network.labels) ||
           !filters.allows_equal("scope", network.scope) || !named(network.name) ||
           !filters.allows("type",
                           [&](const std::string& wanted) {
                             return wanted == (predefined(network) ? "builtin" : "custom");
                           }) ||
           !filters.allows("dangling", [&](const std::string& wanted) {
             const bool dangling = !predefined(network) && network.containers.empty();
             return dangling == (wanted == "true" || wanted == "1");
           });
  });
  co_return Response::json(docker_json::networks_to_json(views));
}

Result<NetworkView> find_view(const Context& context, const std::string& reference,
                              std::string_view scope) {
  std::vector<NetworkView> views = all_networks(context);
  if (!scope.empty()) {
    std::erase_if(views, [&](const NetworkView& network) { return network.scope != scope; });
  }
  const auto pick = [&](auto fits) -> const NetworkView* {
    const auto first = std::find_if(views.begin(), views.end(), fits);
    return first == views.end() ? nullptr : &*first;
  };
  if (const auto* exact = pick([&](const NetworkView& n) { return n.id == reference; })) {
    return *exact;
  }
  if (const auto* named = pick([&](const NetworkView& n) { return n.name == reference; })) {
    return *named;
  }
  const auto prefixed = [&](const NetworkView& n) { return n.id.starts_with(reference); };
  const auto matches = std::count_if(views.begin(), views.end(), prefixed);
  if (matches > 1) {
    return fail(ErrorKind::invalid, "network " + reference + " is ambiguous (" +
                                        std::to_string(matches) + " matches found on prefix)");
  }
  if (matches == 1) return *pick(prefixed);
  return fail(ErrorKind::not_found, "network " + reference + " not found");
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const NetworkView view,
                     find_view(context, request.parameter("id"), request.query_value("scope")));
  co_return Response::json(docker_json::network_to_json(view));
}

asio::awaitable<Result<Response>> remove(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const NetworkView view, find_view(context, request.parameter("id"), ""));
  if (predefined(view)) {
    co_return fail(ErrorKind::denied,
                   view.name + " is a pre-defined network and cannot be removed");
  }
  co_return fail(ErrorKind::unimplemented, "not implemented yet: removing a network");
}

}  // namespace

std::span<const Route> network_routes() {
  static const Route routes[] = {
      {"GET", "/networks", &list},
      {"GET", "/networks/{id}", &inspect},
      {"DELETE", "/networks/{id}", &remove},
  };
  return routes;
}

}  // namespace skep::api
