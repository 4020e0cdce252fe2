// Nodes: list, look, change availability, labels and role, remove.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/validate.hpp"
#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/docker_json.hpp"
#include "daemon/api/filters.hpp"
#include "daemon/api/lookup.hpp"

namespace skep::api {
namespace {

std::string_view role_name(model::NodeRole role) {
  return role == model::NodeRole::manager ? "manager" : "worker";
}

bool listed(const Filters& filters, const model::Node& node) {
  const std::string id = node.id.str();
  return filters.allows_prefix("id", id) &&
         filters.allows_prefix("name", node.description.hostname) &&
         filters.allows_label("label", node.description.engine_labels) &&
         filters.allows_label("node.label", node.spec.labels) &&
         filters.allows_equal("role", role_name(node.role)) &&
         // Every node of ours has been accepted by its token.
         filters.allows_equal("membership", "accepted");
}

asio::awaitable<Result<Response>> list(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(
      const Filters filters,
      Filters::parse(request, {"id", "label", "node.label", "membership", "name", "role"}));
  std::vector<docker_json::NodeView> views;
  store->each_node([&](const store::Row<model::Node>& node) {
    if (listed(filters, *node)) views.push_back(node_view(context, *node));
  });
  co_return Response::json(docker_json::nodes_to_json(views));
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const store::Row<model::Node> node,
                     find_node(*store, request.parameter("id")));
  co_return Response::json(docker_json::node_to_json(node_view(context, *node)));
}

asio::awaitable<Result<Response>> update(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const uint64_t version, need_version(request));
  SKEP_CO_TRY_ASSIGN(const model::NodeSpec spec, docker_json::parse_node_spec(request.body));
  SKEP_CO_TRY(model::validate_node_spec(spec));
  SKEP_CO_TRY_ASSIGN(const store::Row<model::Node> node,
                     find_node(*store, request.parameter("id")));
  SKEP_CO_TRY(co_await context.control.update_node(node->id, version, spec));
  co_return Response::empty(200);
}

asio::awaitable<Result<Response>> remove(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const store::Row<model::Node> node,
                     find_node(*store, request.parameter("id")));
  SKEP_CO_TRY(co_await context.control.remove_node(node->id, request.query_flag("force")));
  co_return Response::empty(200);
}

}  // namespace

std::span<const Route> node_routes() {
  static const Route routes[] = {
      {"GET", "/nodes", &list},
      {"GET", "/nodes/{id}", &inspect},
      {"POST", "/nodes/{id}/update", &update},
      {"DELETE", "/nodes/{id}", &remove},
  };
  return routes;
}

}  // namespace skep::api
