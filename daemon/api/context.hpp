// What every handler may use, and the list of routes each noun contributes.
//
// A handler is a coroutine from (Context, Request, Exchange) to a Result<Response>; an Error it
// returns becomes {"message": ...} with the status of its kind. Handlers hold no state: whatever
// outlives a request is in the Context, which lives as long as the server.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "daemon/agent/containers.hpp"
#include "daemon/agent/volumes.hpp"
#include "daemon/api/event_log.hpp"
#include "daemon/api/http.hpp"
#include "daemon/api/options.hpp"
#include "daemon/manager/control.hpp"

namespace skep::drivers {
class DriverSet;
}

namespace skep::api {

struct Context {
  asio::io_context& loop;
  manager::Control& control;
  agent::Containers& containers;
  agent::Volumes& volumes;
  drivers::DriverSet& drivers;
  EventLog& events;
  const Options& options;
};

using Handler = asio::awaitable<Result<Response>> (*)(Context& context, const Request& request,
                                                      Exchange& exchange);

// A pattern is "/nodes/{id}/update"; {name...} takes several segments. Of two patterns that match,
// the earlier one wins.
struct Route {
  std::string_view method;
  std::string_view pattern;
  Handler handler;
};

std::span<const Route> system_routes();
std::span<const Route> swarm_routes();
std::span<const Route> node_routes();
std::span<const Route> service_routes();
std::span<const Route> task_routes();
std::span<const Route> container_routes();
std::span<const Route> exec_routes();
std::span<const Route> image_routes();
std::span<const Route> event_routes();
std::span<const Route> network_routes();
std::span<const Route> volume_routes();
std::span<const Route> snapshot_routes();
std::span<const Route> plugin_routes();
// Docker's other endpoints: 404 for what is probed by name, empty lists, 501 for the rest.
std::span<const Route> absent_routes();

// The committed state, or Docker's 503 when this node is not a manager.
Result<const store::View*> need_store(const Context& context);

// ?version=N, which every update of a cluster object must carry.
Result<uint64_t> need_version(const Request& request);

// The value of the Swarm header: "inactive", "active/manager", ...
std::string swarm_header(const manager::Membership& membership);

}  // namespace skep::api
