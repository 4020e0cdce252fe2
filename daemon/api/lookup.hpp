// From what a person typed to an object: exact id, then exact name, then unique id prefix.
//
// And from stored rows to what the API shows of them. Errors: not_found "service x not found";
// an ambiguous prefix is `invalid`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/store/view.hpp"
#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/docker_json.hpp"

namespace skep::api {

Result<store::Row<model::Node>> find_node(const store::View& store, std::string_view reference);
Result<store::Row<model::Service>> find_service(const store::View& store,
                                                std::string_view reference);
Result<store::Row<model::Task>> find_task(const store::View& store, std::string_view reference);
Result<store::Row<model::Network>> find_network(const store::View& store,
                                                std::string_view reference);
Result<store::Row<model::Config>> find_config(const store::View& store, std::string_view reference);

docker_json::TrustView trust_view(const Context& context);
docker_json::NodeView node_view(const Context& context, const model::Node& node);
docker_json::ServiceView service_view(const store::View& store, const model::Service& service);
docker_json::ServiceCounts count_tasks(const store::View& store, const model::Service& service);
docker_json::TaskView task_view(const store::View& store, const model::Task& task);

}  // namespace skep::api
