// Member by member, in the order of skep/runtime.h.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/runtime_documents.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace skep::drivers {
namespace {

using nlohmann::json;

template <class T>
void put(json& document, const char* member, const T& value) {
  if (value != T{}) document[member] = value;
}

// A member that may be absent or null.
template <class T>
void get(const json& document, const char* member, T& value) {
  const auto found = document.find(member);
  if (found != document.end() && !found->is_null()) found->get_to(value);
}
template <class T>
void get(const json& document, const char* member, std::optional<T>& value) {
  const auto found = document.find(member);
  if (found != document.end() && !found->is_null()) value = found->get<T>();
}

// The enumerator whose name stands in `member`; an unknown name throws as a wrong type would.
template <class E, size_t N>
E named(const json& document, const char* member,
        const std::array<std::pair<std::string_view, E>, N>& names) {
  const auto& text = document.at(member).get_ref<const std::string&>();
  for (const auto& [name, value] : names) {
    if (text == name) return value;
  }
  throw json::other_error::create(501, std::string(member) + " has the unknown value " + text,
                                  &document);
}

constexpr std::array<std::pair<std::string_view, ContainerState::State>, 4> state_names = {{
    {"created", ContainerState::State::created},
    {"running", ContainerState::State::running},
    {"paused", ContainerState::State::paused},
    {"stopped", ContainerState::State::stopped},
}};

constexpr std::array<std::pair<std::string_view, RuntimeEvent::Type>, 6> event_names = {{
    {"create", RuntimeEvent::Type::created},
    {"start", RuntimeEvent::Type::started},
    {"oom", RuntimeEvent::Type::oom},
    {"exit", RuntimeEvent::Type::exited},
    {"delete", RuntimeEvent::Type::deleted},
    {"gap", RuntimeEvent::Type::gap},
}};

constexpr std::array<std::pair<std::string_view, ContainerMount::Type>, 2> mount_names = {{
    {"bind", ContainerMount::Type::bind},
    {"tmpfs", ContainerMount::Type::tmpfs},
}};

json mount_json(const ContainerMount& mount) {
  json document = json::object();
  document["type"] = mount.type == ContainerMount::Type::bind ? "bind" : "tmpfs";
  put(document, "source", mount.source);
  document["target"] = mount.target;
  put(document, "read_only", mount.read_only);
  put(document, "populate", mount.populate);
  put(document, "volume", mount.volume);
  put(document, "size_bytes", mount.size_bytes);
  put(document, "mode", mount.mode);
  return document;
}

json ulimit_json(const Ulimit& ulimit) {
  json document = json::object();
  document["name"] = ulimit.name;
  document["soft"] = ulimit.soft;
  document["hard"] = ulimit.hard;
  return document;
}

void read_lists(const json& document, ContainerRequest& request) {
  if (const auto list = document.find("ulimits"); list != document.end()) {
    for (const json& entry : *list) {
      request.ulimits.push_back({entry.at("name").get<std::string>(),
                                 entry.at("soft").get<int64_t>(), entry.at("hard").get<int64_t>()});
    }
  }
  if (const auto list = document.find("mounts"); list != document.end()) {
    for (const json& entry : *list) {
      ContainerMount mount;
      mount.type = named(entry, "type", mount_names);
      get(entry, "source", mount.source);
      entry.at("target").get_to(mount.target);
      get(entry, "read_only", mount.read_only);
      get(entry, "populate", mount.populate);
      get(entry, "volume", mount.volume);
      get(entry, "size_bytes", mount.size_bytes);
      get(entry, "mode", mount.mode);
      request.mounts.push_back(std::move(mount));
    }
  }
}

}  // namespace

json to_json(const ContainerRequest& request) {
  json document = json::object();
  document["id"] = request.id;
  document["image"] = request.image;
  if (request.command) document["command"] = *request.command;
  if (request.args) document["args"] = *request.args;
  put(document, "env", request.env);
  put(document, "working_dir", request.working_dir);
  put(document, "user", request.user);
  put(document, "groups", request.groups);
  put(document, "hostname", request.hostname);
  put(document, "tty", request.tty);
  put(document, "stdin_open", request.stdin_open);
  put(document, "read_only", request.read_only);
  put(document, "init", request.init);
  put(document, "privileged", request.privileged);
  put(document, "cap_add", request.cap_add);
  put(document, "cap_drop", request.cap_drop);
  put(document, "sysctls", request.sysctls);
  for (const Ulimit& ulimit : request.ulimits) document["ulimits"].push_back(ulimit_json(ulimit));
  if (request.oom_score_adj) document["oom_score_adj"] = *request.oom_score_adj;
  document["netns"] = request.netns;
  document["cgroup_parent"] = request.cgroup_parent;
  json resources = json::object();
  put(resources, "nano_cpus", request.nano_cpus);
  put(resources, "memory_bytes", request.memory_bytes);
  put(resources, "pids", request.pids);
  if (!resources.empty()) document["resources"] = std::move(resources);
  for (const ContainerMount& mount : request.mounts) {
    document["mounts"].push_back(mount_json(mount));
  }
  put(document, "labels", request.labels);
  json& log = document["log"] = json::object();
  log["dir"] = request.log_dir;
  log["max_bytes"] = request.log_max_bytes;
  log["max_files"] = request.log_max_files;
  return document;
}

json to_json(const ExecRequest& request) {
  json document = json::object();
  document["id"] = request.id;
  document["exec_id"] = request.exec_id;
  document["argv"] = request.argv;
  put(document, "env", request.env);
  put(document, "user", request.user);
  put(document, "working_dir", request.working_dir);
  put(document, "tty", request.tty);
  put(document, "privileged", request.privileged);
  put(document, "stdin", request.stdin_fifo);
  put(document, "stdout", request.stdout_fifo);
  put(document, "stderr", request.stderr_fifo);
  put(document, "rows", request.rows);
  put(document, "cols", request.columns);
  return document;
}

json to_json(const RegistryAuth& auth) {
  json document = json::object();
  put(document, "username", auth.username);
  put(document, "password", auth.password);
  put(document, "server_address", auth.server_address);
  put(document, "identity_token", auth.identity_token);
  return document;
}

ContainerRequest container_request(const json& document) {
  ContainerRequest request;
  document.at("id").get_to(request.id);
  document.at("image").get_to(request.image);
  get(document, "command", request.command);
  get(document, "args", request.args);
  get(document, "env", request.env);
  get(document, "working_dir", request.working_dir);
  get(document, "user", request.user);
  get(document, "groups", request.groups);
  get(document, "hostname", request.hostname);
  get(document, "tty", request.tty);
  get(document, "stdin_open", request.stdin_open);
  get(document, "read_only", request.read_only);
  get(document, "init", request.init);
  get(document, "privileged", request.privileged);
  get(document, "cap_add", request.cap_add);
  get(document, "cap_drop", request.cap_drop);
  get(document, "sysctls", request.sysctls);
  get(document, "oom_score_adj", request.oom_score_adj);
  get(document, "netns", request.netns);
  get(document, "cgroup_parent", request.cgroup_parent);
  if (const auto resources = document.find("resources"); resources != document.end()) {
    get(*resources, "nano_cpus", request.nano_cpus);
    get(*resources, "memory_bytes", request.memory_bytes);
    get(*resources, "pids", request.pids);
  }
  read_lists(document, request);
  get(document, "labels", request.labels);
  if (const auto log = document.find("log"); log != document.end()) {
    get(*log, "dir", request.log_dir);
    get(*log, "max_bytes", request.log_max_bytes);
    get(*log, "max_files", request.log_max_files);
  }
  return request;
}

CreatedContainer created_container(const json& document) {
  CreatedContainer created;
  if (const auto handle = document.find("handle"); handle != document.end()) {
    created.handle = handle->dump();
  }
  get(document, "image_id", created.image_id);
  return created;
}

StartedContainer started_container(const json& document) {
  return {document.at("pid").get<int64_t>(), document.at("started_at").get<std::string>()};
}

ContainerExit container_exit(const json& document) {
  ContainerExit exit;
  document.at("exit_code").get_to(exit.exit_code);
  get(document, "finished_at", exit.finished_at);
  get(document, "oom_killed", exit.oom_killed);
  get(document, "lost", exit.lost);
  return exit;
}

ContainerState container_state(const json& document) {
  ContainerState container;
  document.at("id").get_to(container.id);
  container.spec = container_request(document.at("spec"));
  get(document, "image", container.image);
  get(document, "image_id", container.image_id);
  container.state = named(document, "state", state_names);
  get(document, "pid", container.pid);
  get(document, "exit_code", container.exit_code);
  get(document, "oom_killed", container.oom_killed);
  get(document, "created_at", container.created_at);
  get(document, "started_at", container.started_at);
  get(document, "finished_at", container.finished_at);
  if (const auto process = document.find("process"); process != document.end()) {
    get(*process, "argv", container.argv);
    get(*process, "env", container.env);
    get(*process, "working_dir", container.working_dir);
    get(*process, "user", container.user);
  }
  return container;
}

std::vector<ContainerState> container_states(const json& document) {
  std::vector<ContainerState> containers;
  for (const json& entry : document.at("containers")) containers.push_back(container_state(entry));
  return containers;
}

std::vector<ContainerStats> container_stats(const json& document) {
  std::vector<ContainerStats> all;
  for (const json& entry : document.at("stats")) {
    ContainerStats stats;
    entry.at("id").get_to(stats.id);
    get(entry, "memory_bytes", stats.memory_bytes);
    get(entry, "cpu_ns", stats.cpu_ns);
    get(entry, "pids", stats.pids);
    all.push_back(std::move(stats));
  }
  return all;
}

RuntimeHealth runtime_health(const json& document) {
  RuntimeHealth health;
  document.at("healthy").get_to(health.healthy);
  get(document, "reason", health.reason);
  get(document, "name", health.name);
  get(document, "version", health.version);
  get(document, "runtime_version", health.runtime_version);
  return health;
}

RuntimeEvent runtime_event(const json& document) {
  RuntimeEvent event;
  document.at("seq").get_to(event.seq);
  event.type = named(document, "type", event_names);
  get(document, "id", event.id);
  get(document, "exec_id", event.exec_id);
  get(document, "exit_code", event.exit_code);
  get(document, "time", event.time);
  return event;
}

ImageInfo image_info(const json& document) {
  ImageInfo image;
  document.at("id").get_to(image.id);
  get(document, "tags", image.tags);
  get(document, "digests", image.digests);
  get(document, "created_at", image.created_at);
  get(document, "size", image.size);
  get(document, "architecture", image.architecture);
  get(document, "os", image.os);
  image.config = document.contains("config") ? document.at("config").dump() : "{}";
  get(document, "layers", image.layers);
  return image;
}

std::vector<ImageInfo> image_infos(const json& document) {
  std::vector<ImageInfo> images;
  for (const json& entry : document.at("images")) images.push_back(image_info(entry));
  return images;
}

PullProgress pull_progress(const json& document) {
  PullProgress progress;
  get(document, "layer", progress.layer);
  get(document, "status", progress.status);
  get(document, "current", progress.current);
  get(document, "total", progress.total);
  return progress;
}

RemovedImage removed_image(const json& document) {
  RemovedImage removed;
  get(document, "untagged", removed.untagged);
  get(document, "deleted", removed.deleted);
  return removed;
}

}  // namespace skep::drivers
