// Field by field.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/container_request.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/model/mounts.hpp"
#include "daemon/agent/container_files.hpp"
#include "daemon/agent/identity_text.hpp"
#include "daemon/agent/image_name.hpp"

namespace skep::agent {
namespace {

constexpr size_t kShortId = 12;
constexpr std::chrono::nanoseconds kGraceDefault = std::chrono::seconds(10);

model::Labels task_labels(const AssignedTask& assigned) {
  model::Labels labels = assigned.spec->container.labels;
  labels["com.docker.swarm.node.id"] = assigned.task.node.str();
  labels["com.docker.swarm.service.id"] = assigned.task.service.str();
  labels["com.docker.swarm.service.name"] = assigned.task.service_name;
  labels["com.docker.swarm.task"] = "";
  labels["com.docker.swarm.task.id"] = assigned.task.id.str();
  labels["com.docker.swarm.task.name"] = model::task_name(assigned.task);
  return labels;
}

drivers::ContainerMount bind_mount(const std::string& source, const char* target) {
  drivers::ContainerMount mount;
  mount.source = source;
  mount.target = target;
  return mount;
}

int64_t log_option(const model::TaskSpec& spec, const char* name, int64_t otherwise) {
  if (!spec.log_driver) return otherwise;
  const auto at = spec.log_driver->options.find(name);
  if (at == spec.log_driver->options.end()) return otherwise;
  return parse_byte_size(at->second).value_or(otherwise);
}

void put_limits(const model::TaskSpec& spec, drivers::ContainerRequest* request) {
  if (!spec.limits) return;
  request->nano_cpus = spec.limits->nano_cpus;
  request->memory_bytes = spec.limits->memory_bytes;
  request->pids = spec.limits->pids;
}

std::string text_member(const nlohmann::json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

std::string container_hostname(const AssignedTask& assigned) {
  const std::string& wanted = assigned.spec->container.hostname;
  if (!wanted.empty()) return wanted;
  return container_id_of(assigned.task.id).substr(0, kShortId);
}

std::string container_files_folder(const AgentOptions& options, const std::string& id) {
  return options.data_dir + "/containers/" + id;
}

std::string container_log_folder(const AgentOptions& options, const std::string& id) {
  return options.data_dir + "/logs/" + id;
}

Result<drivers::ContainerRequest> container_request(const AssignedTask& assigned,
                                                    const AgentOptions& options,
                                                    const std::string& netns_path) {
  const model::ContainerSpec& spec = assigned.spec->container;
  drivers::ContainerRequest request;
  request.id = container_id_of(assigned.task.id);
  SKEP_TRY_ASSIGN(request.image, normalize_image_name(spec.image));
  if (!spec.command.empty()) request.command = spec.command;
  if (!spec.args.empty()) request.args = spec.args;
  request.env = spec.env;
  request.working_dir = spec.working_dir;
  request.user = spec.user;
  request.groups = spec.groups;
  request.hostname = container_hostname(assigned);
  request.tty = spec.tty;
  request.stdin_open = spec.stdin_open;
  request.read_only = spec.read_only;
  request.init = spec.init.value_or(false);
  request.cap_add = spec.capability_add;
  request.cap_drop = spec.capability_drop;
  request.sysctls = spec.sysctls;
  for (const model::Ulimit& limit : spec.ulimits) {
    request.ulimits.push_back({limit.name, limit.soft, limit.hard});
  }
  if (spec.oom_score_adj != 0) request.oom_score_adj = spec.oom_score_adj;
  request.netns = netns_path;
  request.cgroup_parent = options.cgroup_parent;
  put_limits(*assigned.spec, &request);
  const ContainerFiles files{container_files_folder(options, request.id)};
  request.mounts = {bind_mount(files.hosts(), "/etc/hosts"),
                    bind_mount(files.hostname(), "/etc/hostname"),
                    bind_mount(files.resolv(), "/etc/resolv.conf")};
  request.labels = task_labels(assigned);
  request.log_dir = container_log_folder(options, request.id);
  request.log_max_bytes = log_option(*assigned.spec, "max-size", options.log_max_bytes);
  request.log_max_files = log_option(*assigned.spec, "max-file", options.log_max_files);
  return request;
}

drivers::ContainerMount runtime_mount(const model::Mount& mount) {
  drivers::ContainerMount made;
  made.target = model::clean_path(mount.target);
  made.read_only = mount.read_only;
  if (mount.type == model::MountType::bind) made.source = mount.source;
  if (mount.type != model::MountType::tmpfs) return made;
  made.type = drivers::ContainerMount::Type::tmpfs;
  if (mount.tmpfs) {
    made.size_bytes = mount.tmpfs->size_bytes;
    made.mode = mount.tmpfs->mode;
  }
  return made;
}

void put_mounts(std::vector<drivers::ContainerMount> mounts, drivers::ContainerRequest* request) {
  std::vector<drivers::ContainerMount>& all = request->mounts;
  all.insert(all.end(), std::make_move_iterator(mounts.begin()),
             std::make_move_iterator(mounts.end()));
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.target < b.target; });
}

Container container_record(const AssignedTask& assigned, const AgentOptions& options) {
  Container container;
  container.id = container_id_of(assigned.task.id);
  container.name = model::task_name(assigned.task);
  container.image = assigned.spec->container.image;
  container.labels = task_labels(assigned);
  container.spec = assigned.spec->container;
  container.limits = assigned.spec->limits;
  container.stop_signal = assigned.spec->container.stop_signal;
  container.log_path = container_log_folder(options, container.id) + "/json.log";
  return container;
}

void apply_state(const drivers::ContainerState& state, Container* container) {
  using Seen = drivers::ContainerState::State;
  switch (state.state) {
    case Seen::created:
      container->state = ContainerState::created;
      break;
    case Seen::running:
      container->state = ContainerState::running;
      break;
    case Seen::paused:
      container->state = ContainerState::paused;
      break;
    case Seen::stopped:
      container->state = ContainerState::exited;
      break;
  }
  container->image_id = state.image_id;
  container->pid = state.state == Seen::stopped ? 0 : state.pid;
  container->exit_code = state.exit_code.value_or(0);
  container->oom_killed = state.oom_killed;
  container->argv = state.argv;
  container->env = state.env;
  container->working_dir = state.working_dir;
  container->user = state.user;
  container->created_at = parse_time_text(state.created_at);
  container->started_at = parse_time_text(state.started_at);
  container->finished_at = parse_time_text(state.finished_at);
}

std::optional<drivers::RegistryAuth> registry_auth(const std::string& text) {
  std::string base64 = text;
  std::replace(base64.begin(), base64.end(), '-', '+');
  std::replace(base64.begin(), base64.end(), '_', '/');
  while (!base64.empty() && base64.back() == '=') base64.pop_back();
  if (base64.empty()) return std::nullopt;
  const size_t padding = (4 - base64.size() % 4) % 4;
  base64.append(padding, '=');
  std::vector<unsigned char> bytes(base64.size());
  const int size =
      EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(base64.data()),
                      static_cast<int>(base64.size()));
  if (size < static_cast<int>(padding)) return std::nullopt;
  const nlohmann::json object = nlohmann::json::parse(
      bytes.begin(), bytes.begin() + (size - static_cast<int>(padding)), nullptr, false);
  if (!object.is_object()) return std::nullopt;
  drivers::RegistryAuth auth{text_member(object, "username"), text_member(object, "password"),
                             text_member(object, "serveraddress"),
                             text_member(object, "identitytoken")};
  if (auth.username.empty() && auth.identity_token.empty()) return std::nullopt;
  return auth;
}

int64_t stop_grace_ms(const model::ContainerSpec& spec) {
  const std::chrono::nanoseconds grace = spec.stop_grace_period.value_or(kGraceDefault);
  return std::chrono::duration_cast<std::chrono::milliseconds>(grace).count();
}

std::optional<int64_t> parse_byte_size(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || value <= 0 || end - at > 1) return std::nullopt;
  if (at == end) return value;
  int shift = 0;
  switch (*at) {
    case 'k':
    case 'K':
      shift = 10;
      break;
    case 'm':
    case 'M':
      shift = 20;
      break;
    case 'g':
    case 'G':
      shift = 30;
      break;
    default:
      return std::nullopt;
  }
  if (value > (INT64_MAX >> shift)) return std::nullopt;
  return value << shift;
}

}  // namespace skep::agent
