// The two shapes, and the words for ages that `docker ps` prints as they come.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/container_view.hpp"

#include <nlohmann/json.hpp>

#include "core/model/mounts.hpp"
#include "daemon/api/docker_json/time_text.hpp"

namespace skep::api {
namespace {

using Json = nlohmann::ordered_json;
using agent::Container;
using agent::ContainerState;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// "5 seconds", "About a minute", "3 hours", ... the coarsest unit that says something.
std::string age_in_words(model::Nanoseconds age) {
  const int64_t seconds = std::max<int64_t>(age.count() / 1'000'000'000, 0);
  const auto plural = [](int64_t n, const char* unit) { return std::to_string(n) + " " + unit; };
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return plural(seconds, "seconds");
  const int64_t minutes = seconds / 60;
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return plural(minutes, "minutes");
  const int64_t hours = (seconds + 1800) / 3600;
  if (hours == 1) return "About an hour";
  if (hours < 48) return plural(hours, "hours");
  const int64_t days = hours / 24;
  if (days < 14) return plural(days, "days");
  if (days < 60) return plural(days / 7, "weeks");
  if (days < 730) return plural(days / 30, "months");
  return plural(days / 365, "years");
}

std::string status_words(const Container& c, model::WallTime now) {
  switch (c.state) {
    case ContainerState::created:
      return "Created";
    case ContainerState::running:
      return "Up " + age_in_words(now - c.started_at);
    case ContainerState::paused:
      return "Up " + age_in_words(now - c.started_at) + " (Paused)";
    case ContainerState::exited:
      return "Exited (" + std::to_string(c.exit_code) + ") " + age_in_words(now - c.finished_at) +
             " ago";
    case ContainerState::dead:
      return "Dead";
  }
  return "";
}

Json networks_json(const Container& container) {
  Json networks = Json::object();
  for (const agent::ContainerNetwork& network : container.networks) {
    networks[network.name] = Json{{"IPAMConfig", nullptr},
                                  {"Links", nullptr},
                                  {"Aliases", nullptr},
                                  {"MacAddress", network.mac},
                                  {"NetworkID", network.network_id},
                                  {"EndpointID", network.endpoint_id},
                                  {"Gateway", network.gateway},
                                  {"IPAddress", network.address},
                                  {"IPPrefixLen", network.prefix_length},
                                  {"IPv6Gateway", ""},
                                  {"GlobalIPv6Address", ""},
                                  {"GlobalIPv6PrefixLen", 0},
                                  {"DNSNames", nullptr}};
  }
  return networks;
}

std::string network_mode(const Container& container) {
  return container.networks.empty() ? "none" : container.networks.front().name;
}

std::string command_line(const Container& container) {
  std::string line;
  for (const std::string& word : container.argv) line += (line.empty() ? "" : " ") + word;
  return line;
}

Json mounts_json(const Container& c) {
  Json list = Json::array();
  for (const agent::ContainerMount& mount : c.mounts) {
    const bool bind = mount.type == model::MountType::bind;
    Json shown = {{"Type", model::mount_type_name(mount.type)}};
    if (!mount.name.empty()) shown["Name"] = mount.name;
    shown["Source"] = mount.source;
    shown["Destination"] = mount.target;
    if (!mount.driver.empty()) shown["Driver"] = mount.driver;
    shown["Mode"] = "";
    shown["RW"] = !mount.read_only;
    shown["Propagation"] = bind ? "rprivate" : "";
    list.push_back(std::move(shown));
  }
  return list;
}

Json summary(const Container& c, model::WallTime now) {
  return Json{{"Id", c.id},
              {"Names", Json::array({"/" + c.name})},
              {"Image", c.image},
              {"ImageID", c.image_id},
              {"Command", command_line(c)},
              {"Created", c.created_at.unix_ns / 1'000'000'000},
              {"Ports", Json::array()},
              {"Labels", Json(c.labels)},
              {"State", container_state(c)},
              {"Status", status_words(c, now)},
              {"HostConfig", Json{{"NetworkMode", network_mode(c)}}},
              {"NetworkSettings", Json{{"Networks", networks_json(c)}}},
              {"Mounts", mounts_json(c)}};
}

Json state_json(const Container& c) {
  return Json{{"Status", container_state(c)},
              {"Running", c.state == ContainerState::running || c.state == ContainerState::paused},
              {"Paused", c.state == ContainerState::paused},
              {"Restarting", false},
              {"OOMKilled", c.oom_killed},
              {"Dead", c.state == ContainerState::dead},
              {"Pid", c.pid},
              {"ExitCode", c.exit_code},
              {"Error", c.error},
              {"StartedAt", docker_json::time_text(c.started_at)},
              {"FinishedAt", docker_json::time_text(c.finished_at)}};
}

Json list_or_null(const std::vector<std::string>& values) {
  return values.empty() ? Json(nullptr) : Json(values);
}

Json config_json(const Container& c) {
  Json json = {
      {"Hostname", c.spec.hostname.empty() ? c.id.substr(0, 12) : c.spec.hostname},
      {"Domainname", ""},
      {"User", c.user},
      {"AttachStdin", false},
      {"AttachStdout", false},
      {"AttachStderr", false},
      {"Tty", c.spec.tty},
      {"OpenStdin", c.spec.stdin_open},
      {"StdinOnce", false},
      {"Env", Json(c.env)},
      {"Cmd", list_or_null(c.spec.args.empty() && c.spec.command.empty() ? c.argv : c.spec.args)},
      {"Image", c.image},
      {"Volumes", nullptr},
      {"WorkingDir", c.working_dir},
      {"Entrypoint", list_or_null(c.spec.command)},
      {"OnBuild", nullptr},
      {"Labels", Json(c.labels)}};
  if (!c.stop_signal.empty()) json["StopSignal"] = c.stop_signal;
  return json;
}

Json host_config_json(const Container& c) {
  Json json = {{"NetworkMode", network_mode(c)},
               {"RestartPolicy", Json{{"Name", "no"}, {"MaximumRetryCount", 0}}},
               {"AutoRemove", false},
               {"Privileged", false},
               {"ReadonlyRootfs", c.spec.read_only},
               {"Binds", nullptr},
               {"PortBindings", Json::object()},
               {"LogConfig", Json{{"Type", "json-file"}, {"Config", Json::object()}}},
               {"CapAdd", list_or_null(c.spec.capability_add)},
               {"CapDrop", list_or_null(c.spec.capability_drop)},
               {"OomScoreAdj", c.spec.oom_score_adj},
               {"Memory", c.limits ? c.limits->memory_bytes : 0},
               {"NanoCpus", c.limits ? c.limits->nano_cpus : 0},
               {"PidsLimit", c.limits && c.limits->pids > 0 ? Json(c.limits->pids) : Json(nullptr)},
               {"Init", c.spec.init ? Json(*c.spec.init) : Json(nullptr)}};
  return json;
}

Json network_settings_json(const Container& c) {
  Json json = {{"Bridge", ""}, {"SandboxID", ""}, {"Ports", Json::object()}};
  // The address of the local bridge stands at the top too, where scripts look for it.
  for (const agent::ContainerNetwork& network : c.networks) {
    if (network.name != "bridge") continue;
    json["Gateway"] = network.gateway;
    json["IPAddress"] = network.address;
    json["IPPrefixLen"] = network.prefix_length;
    json["MacAddress"] = network.mac;
    json["EndpointID"] = network.endpoint_id;
  }
  json["Networks"] = networks_json(c);
  return json;
}

}  // namespace

std::string_view container_state(const Container& container) {
  switch (container.state) {
    case ContainerState::created:
      return "created";
    case ContainerState::running:
      return "running";
    case ContainerState::paused:
      return "paused";
    case ContainerState::exited:
      return "exited";
    case ContainerState::dead:
      return "dead";
  }
  return "dead";
}

std::string containers_to_json(const std::vector<std::shared_ptr<const Container>>& rows,
                               model::WallTime now) {
  Json list = Json::array();
  for (const auto& row : rows) list.push_back(summary(*row, now));
  return text_of(list);
}

std::string container_to_json(const Container& c) {
  Json args = Json::array();
  for (size_t i = 1; i < c.argv.size(); ++i) args.push_back(c.argv[i]);
  const Json json = {{"Id", c.id},
                     {"Created", docker_json::time_text(c.created_at)},
                     {"Path", c.argv.empty() ? "" : c.argv.front()},
                     {"Args", std::move(args)},
                     {"State", state_json(c)},
                     {"Image", c.image_id},
                     {"LogPath", c.log_path},
                     {"Name", "/" + c.name},
                     {"RestartCount", 0},
                     {"Driver", "containerd"},
                     {"Platform", "linux"},
                     {"MountLabel", ""},
                     {"ProcessLabel", ""},
                     {"AppArmorProfile", ""},
                     {"ExecIDs", nullptr},
                     {"HostConfig", host_config_json(c)},
                     {"GraphDriver", Json{{"Name", "containerd"}, {"Data", nullptr}}},
                     {"Mounts", mounts_json(c)},
                     {"Config", config_json(c)},
                     {"NetworkSettings", network_settings_json(c)}};
  return text_of(json);
}

}  // namespace skep::api
