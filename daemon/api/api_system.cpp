// _ping, version, info, auth, distribution: what clients ask before they ask for anything.
//
// /info is asked twice by `node ls` and once by nearly every command: it reads only memory.
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/docker_json.hpp"
#include "daemon/api/docker_json/time_text.hpp"
#include "daemon/api/host_facts.hpp"
#include "daemon/api/lookup.hpp"

namespace skep::api {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

asio::awaitable<Result<Response>> ping(Context&, const Request&, Exchange&) {
  co_return Response::text("OK");
}

asio::awaitable<Result<Response>> version(Context& context, const Request&, Exchange&) {
  const HostFacts host = read_host_facts();
  const Options& options = context.options;
  const Json details = {{"ApiVersion", kApiVersion},
                        {"Arch", host.go_architecture},
                        {"BuildTime", ""},
                        {"Experimental", "false"},
                        {"GitCommit", options.git_commit},
                        {"GoVersion", "none (C++20)"},
                        {"KernelVersion", host.kernel},
                        {"MinAPIVersion", kMinApiVersion},
                        {"Os", "linux"}};
  Json json = {
      {"Platform", Json{{"Name", "skep"}}},
      {"Components",
       Json::array({Json{{"Name", "Engine"}, {"Version", options.version}, {"Details", details}}})},
      {"Version", options.version},
      {"ApiVersion", kApiVersion},
      {"MinAPIVersion", kMinApiVersion},
      {"GitCommit", options.git_commit},
      {"GoVersion", "none (C++20)"},
      {"Os", "linux"},
      {"Arch", host.go_architecture},
      {"KernelVersion", host.kernel},
      {"BuildTime", ""}};
  co_return Response::json(text_of(json));
}

std::string_view state_name(manager::LocalState state) {
  switch (state) {
    case manager::LocalState::inactive:
      return "inactive";
    case manager::LocalState::pending:
      return "pending";
    case manager::LocalState::active:
      return "active";
    case manager::LocalState::error:
      return "error";
    case manager::LocalState::locked:
      return "locked";
  }
  return "error";
}

Json swarm_section(const Context& context) {
  const manager::Membership membership = context.control.membership();
  Json swarm = {{"NodeID", membership.node ? membership.node.str() : ""},
                {"NodeAddr", membership.node_address},
                {"LocalNodeState", state_name(membership.state)},
                {"ControlAvailable", membership.is_manager},
                {"Error", membership.error},
                {"RemoteManagers", nullptr}};
  for (const manager::Membership::Manager& manager : membership.managers) {
    swarm["RemoteManagers"].push_back(
        Json{{"NodeID", manager.node ? manager.node.str() : ""}, {"Addr", manager.address}});
  }
  const store::View* store = context.control.store();
  if (!store || !store->cluster()) return swarm;
  uint64_t nodes = 0;
  uint64_t managers = 0;
  store->each_node([&](const store::Row<model::Node>& node) {
    ++nodes;
    if (node->manager) ++managers;
  });
  swarm["Nodes"] = nodes;
  swarm["Managers"] = managers;
  docker_json::SwarmView view;
  view.cluster = *store->cluster();
  view.trust = trust_view(context);
  swarm["Cluster"] = Json::parse(docker_json::cluster_info_to_json(view));
  return swarm;
}

void add_container_counts(const Context& context, Json& json) {
  uint64_t running = 0;
  uint64_t paused = 0;
  const auto containers = context.containers.list();
  for (const auto& container : containers) {
    running += container->state == agent::ContainerState::running;
    paused += container->state == agent::ContainerState::paused;
  }
  json["Containers"] = containers.size();
  json["ContainersRunning"] = running;
  json["ContainersPaused"] = paused;
  json["ContainersStopped"] = containers.size() - running - paused;
}

void add_host(const Context& context, const HostFacts& host, Json& json) {
  json["KernelVersion"] = host.kernel;
  json["OperatingSystem"] = host.operating_system;
  json["OSType"] = "linux";
  json["Architecture"] = host.architecture;
  json["NCPU"] = host.cpus;
  json["MemTotal"] = host.memory_bytes;
  json["Name"] = context.options.hostname.empty() ? host.hostname : context.options.hostname;
  json["CgroupDriver"] = "cgroupfs";
  json["CgroupVersion"] = host.cgroup_version;
  for (const char* key : {"MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares",
                          "CPUSet", "PidsLimit", "IPv4Forwarding", "OomKillDisable"}) {
    json[key] = true;
  }
}

asio::awaitable<Result<Response>> info_of_node(Context& context, const Request&, Exchange&) {
  const HostFacts host = read_host_facts();
  const manager::Membership membership = context.control.membership();
  Json json = {{"ID", membership.node ? membership.node.str() : ""}};
  add_container_counts(context, json);
  json["Images"] = context.containers.image_count();
  json["Driver"] = "containerd";
  json["DriverStatus"] =
      Json::array({Json::array({"runtime", context.containers.runtime_version()})});
  json["Plugins"] = Json{{"Volume", context.volumes.drivers()},
                         {"Network", Json::array({"bridge", "overlay"})},
                         {"Authorization", nullptr},
                         {"Log", Json::array({"json-file"})}};
  add_host(context, host, json);
  json["LoggingDriver"] = "json-file";
  json["Debug"] = false;
  json["NFd"] = 0;
  json["NGoroutines"] = 0;
  json["NEventsListener"] = context.events.readers();
  json["SystemTime"] = docker_json::time_text(context.options.now());
  json["IndexServerAddress"] = "";
  json["RegistryConfig"] = Json{{"InsecureRegistryCIDRs", Json::array()},
                                {"IndexConfigs", Json::object()},
                                {"Mirrors", Json::array()}};
  json["DockerRootDir"] = context.options.data_dir;
  json["HttpProxy"] = json["HttpsProxy"] = json["NoProxy"] = "";
  json["Labels"] = Json::array();
  json["ExperimentalBuild"] = false;
  json["ServerVersion"] = context.options.version;
  json["Runtimes"] = Json{{"runc", Json{{"path", "runc"}}}};
  json["DefaultRuntime"] = "runc";
  json["Swarm"] = swarm_section(context);
  json["LiveRestoreEnabled"] = true;
  json["Isolation"] = "";
  json["InitBinary"] = "";
  json["ContainerdCommit"] = json["RuncCommit"] = json["InitCommit"] = Json{{"ID", ""}};
  json["SecurityOptions"] = Json::array();
  json["Warnings"] = Json::array();
  if (const std::string trouble = context.containers.runtime_trouble(); !trouble.empty()) {
    json["Warnings"].push_back("WARNING: " + trouble);
  }
  co_return Response::json(text_of(json));
}

asio::awaitable<Result<Response>> auth(Context&, const Request&, Exchange&) {
  co_return fail(ErrorKind::unimplemented, "not implemented yet: checking a registry login");
}

// Asked before each service create; any error lets the client go on without a digest. Looking at
// the registry here would make every create wait for it.
asio::awaitable<Result<Response>> distribution(Context&, const Request& request, Exchange&) {
  co_return fail(ErrorKind::not_found, "no distribution information for " +
                                           request.parameter("name") +
                                           ": digests are resolved by the nodes");
}

}  // namespace

std::string swarm_header(const manager::Membership& membership) {
  std::string text(state_name(membership.state));
  if (membership.state == manager::LocalState::active) {
    text += membership.is_manager ? "/manager" : "/worker";
  }
  return text;
}

std::span<const Route> system_routes() {
  static const Route routes[] = {
      {"GET", "/_ping", &ping},
      {"GET", "/version", &version},
      {"GET", "/info", &info_of_node},
      {"POST", "/auth", &auth},
      {"GET", "/distribution/{name...}/json", &distribution},
  };
  return routes;
}

}  // namespace skep::api
