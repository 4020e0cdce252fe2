// Making, running and removing. A container comes into being in this order, all of it under a lease
// so that garbage collection keeps off: lease and image lookup side by side, snapshot, record,
// task. Each step is undone when a later one fails; what a crash in between leaves is found by its
// label and deleted after the next restore.
//
// A record without a task is a container whose shim died (or whose machine was started anew): it is
// told as stopped with exit code 255 and as "lost", because nobody knows the real one any more.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/containers.hpp"

#include <google/protobuf/empty.pb.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "github.com/containerd/containerd/api/services/containers/v1/containers.pb.h"
#include "github.com/containerd/containerd/api/services/leases/v1/leases.pb.h"
#include "github.com/containerd/containerd/api/services/snapshots/v1/snapshots.pb.h"
#include "github.com/containerd/containerd/api/services/tasks/v1/tasks.pb.h"
#include "runtime-containerd/cgroup.hpp"
#include "runtime-containerd/oci_spec.hpp"
#include "runtime-containerd/text.hpp"
#include "runtime-containerd/user.hpp"

namespace skep::containerd {

namespace containers = ::containerd::services::containers::v1;
namespace fs = std::filesystem;
namespace leases = ::containerd::services::leases::v1;
namespace snapshots = ::containerd::services::snapshots::v1;
namespace tasks = ::containerd::services::tasks::v1;
namespace types = ::containerd::v1::types;
using google::protobuf::Empty;
using sdk::Failure;
using sdk::json;

namespace {

constexpr const char* request_extension = "io.skep/spec";
constexpr const char* image_id_label = "io.skep.image-id";
constexpr const char* spec_type_url = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
constexpr int lost_exit_code = 255;
constexpr int lease_lifetime_s = 3600;    // longer than any create may take
constexpr int kill_timeout_ms = 15'000;   // from SIGKILL to the end; more means a stuck kernel
constexpr int task_timeout_ms = 120'000;  // shim and runc, on a machine that is overloaded

std::string id_of(const json& request) {
  const std::string id = request.at("id").get<std::string>();
  if (id.empty() || id.size() > SKEP_ID_MAX) throw Failure(SKEP_E_INVALID, "id: empty or too long");
  return id;
}

json request_of(const ContainerRecord& record) {
  const auto found = record.extensions().find(request_extension);
  if (found == record.extensions().end()) return json::object();
  json request = json::parse(found->second.value(), nullptr, false);
  return request.is_object() ? request : json::object();
}

const char* state_name(types::Status status) {
  switch (status) {
    case types::CREATED:
      return "created";
    case types::RUNNING:
      return "running";
    case types::PAUSED:
    case types::PAUSING:
      return "paused";
    default:
      return "stopped";
  }
}

json ended(const std::string& cgroup, uint32_t exit_code, const google::protobuf::Timestamp& at) {
  return {{"exit_code", exit_code},
          {"finished_at", is_set(at) ? rfc3339(at) : now_rfc3339()},
          {"oom_killed", was_oom_killed(cgroup)}};
}

// Which life of the machine this is: its boot, and the start of its first process, because a
// machine that is itself a container has its host's boot.
std::string machine_life() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::ifstream file("/proc/1/stat");
  const std::string stat((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // The name, in parentheses, may hold anything; the start is the 20th field behind it.
  const size_t name_end = stat.rfind(')');
  std::istringstream fields(name_end == std::string::npos ? "" : stat.substr(name_end + 1));
  std::string started;
  for (int i = 0; i < 20; ++i) fields >> started;
  return boot + "/" + started;
}

Failure no_such_container(const std::string& id) {
  return Failure(SKEP_E_NOTFOUND, "No such container: " + id);
}

// The folders behind a snapshot's mounts, the uppermost first.
RootLayers layers_of(const snapshots::PrepareSnapshotResponse& snapshot) {
  RootLayers layers;
  for (const auto& mount : snapshot.mounts()) {
    if (mount.type() != "overlay") {
      layers.emplace_back(mount.source());
      continue;
    }
    for (const std::string& option : mount.options()) {
      if (!option.starts_with("lowerdir=")) continue;
      std::string_view rest = std::string_view(option).substr(9);
      while (!rest.empty()) {
        const size_t colon = std::min(rest.find(':'), rest.size());
        layers.emplace_back(rest.substr(0, colon));
        rest.remove_prefix(std::min(colon + 1, rest.size()));
      }
    }
  }
  return layers;
}

}  // namespace

std::string cgroup_path(const json& request) {
  return request.value("cgroup_parent", std::string("/skep")) + "/" +
         request.value("id", std::string("unknown"));
}

struct Containers::Draft {
  explicit Draft(const json& wanted) : request(wanted), id(id_of(wanted)) {}
  const json& request;
  std::string id;
  CallOptions under_lease;
  ImageFactsPtr image;
  snapshots::PrepareSnapshotResponse snapshot;
  json spec;
  bool has_lease = false;
  bool has_snapshot = false;
  bool has_record = false;
};

Containers::Containers(Rpc& rpc, const Config& config, ImageStore& images, Monitor& monitor)
    : rpc_(rpc), config_(config), images_(images), monitor_(monitor) {}

ContainerRecord Containers::record(const std::string& id) {
  containers::GetContainerRequest request;
  request.set_id(id);
  auto started = rpc_.begin<containers::GetContainerResponse>(
      "/containerd.services.containers.v1.Containers/Get", request);
  const RpcStatus status = started.status();
  if (status.code == RpcCode::not_found) throw no_such_container(id);
  throw_if_failed(status);
  ContainerRecord record = std::move(*started.reply().mutable_container());
  const auto node = record.labels().find(node_label);
  if (node == record.labels().end() || node->second != config_.node) throw no_such_container(id);
  return record;
}

// What an earlier call with the same id came to: its answer when it was the same request and is
// whole, nothing when there is none (remains of a crash are removed).
std::optional<json> Containers::existing(const json& request) {
  const std::string id = id_of(request);
  containers::GetContainerRequest ask;
  ask.set_id(id);
  auto found = rpc_.begin<containers::GetContainerResponse>(
      "/containerd.services.containers.v1.Containers/Get", ask);
  const RpcStatus exists = found.status();
  if (exists.code == RpcCode::not_found) {
    delete_snapshot(id);  // a crash came between snapshot and record
    return std::nullopt;
  }
  throw_if_failed(exists);
  const ContainerRecord& old = found.reply().container();
  const auto node = old.labels().find(node_label);
  if (node == old.labels().end() || node->second != config_.node) {
    throw Failure(SKEP_E_EXISTS, "the id " + id + " is in use by somebody else");
  }
  if (request_of(old) != request) {
    throw Failure(SKEP_E_EXISTS, "container " + id + " exists with other arguments");
  }
  tasks::GetRequest get;
  get.set_container_id(id);
  auto task = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const RpcStatus status = task.status();
  if (status.ok()) {
    return json{{"handle", {{"version", 1}}}, {"image_id", old.labels().at(image_id_label)}};
  }
  if (status.code != RpcCode::not_found) throw_if_failed(status);
  remove({{"id", id}, {"force", true}});
  return std::nullopt;
}

json Containers::create(const json& request) {
  const std::string id = id_of(request);
  {
    const std::lock_guard lock(mutex_);
    creating_.insert(id);
  }
  const std::shared_ptr<void> done(nullptr, [this, id](void*) {
    const std::lock_guard lock(mutex_);
    creating_.erase(id);
  });
  if (std::optional<json> answer = create_unless_remains(request)) return *answer;
  // What a crash had left of the same container is gone now.
  if (std::optional<json> answer = create_unless_remains(request)) return *answer;
  throw Failure(SKEP_E_BUSY, "the remains of an earlier container with the id " + id +
                                 " come back after they were removed");
}

std::optional<json> Containers::create_unless_remains(const json& request) {
  Draft draft(request);
  const std::string uri = log_uri(request);
  leases::CreateRequest lease;
  lease.set_id("skep-" + draft.id);
  (*lease.mutable_labels())[node_label] = config_.node;
  (*lease.mutable_labels())["containerd.io/gc.expire"] =
      rfc3339(time(nullptr) + lease_lifetime_s, 0);
  auto leased =
      rpc_.begin<leases::CreateResponse>("/containerd.services.leases.v1.Leases/Create", lease);
  draft.under_lease.lease = lease.id();
  try {
    draft.image = images_.find(request.at("image").get<std::string>());
    const RpcStatus status = leased.status();
    // One that a crashed create left behind serves as well.
    if (status.code != RpcCode::already_exists) throw_if_failed(status);
    draft.has_lease = true;
    prepare_snapshot(draft);
    create_record(draft);
    create_task(draft);
  } catch (const Failure& failure) {
    undo(draft);
    if (failure.code() != SKEP_E_EXISTS || draft.has_record) throw;
    return existing(request);
  } catch (const std::exception&) {
    undo(draft);
    throw;
  }
  leases::DeleteRequest over;
  over.set_id(lease.id());
  rpc_.async<Empty>("/containerd.services.leases.v1.Leases/Delete", over, {},
                    [](RpcStatus, Empty&) {});
  return json{{"handle", {{"version", 1}}}, {"image_id", draft.image->id}};
}

void Containers::prepare_snapshot(Draft& draft) {
  snapshots::PrepareSnapshotRequest request;
  request.set_snapshotter(config_.snapshotter);
  request.set_key(draft.id);
  request.set_parent(draft.image->chain_id);
  (*request.mutable_labels())[node_label] = config_.node;
  auto started = rpc_.begin<snapshots::PrepareSnapshotResponse>(
      "/containerd.services.snapshots.v1.Snapshots/Prepare", request, draft.under_lease);
  const RpcStatus status = started.status();
  if (status.code == RpcCode::not_found) {
    throw Failure(SKEP_E_PRECONDITION, "the image " + draft.request.at("image").get<std::string>() +
                                           " is not unpacked for the snapshotter " +
                                           config_.snapshotter + "; pull it again");
  }
  throw_if_failed(status);
  draft.has_snapshot = true;
  draft.snapshot = started.reply();
}

void Containers::create_record(Draft& draft) {
  const json& image = draft.image->run_config();
  const User user = resolve_user(user_text(draft.request, image),
                                 text_list(draft.request, "groups"), layers_of(draft.snapshot));
  draft.spec = container_spec(draft.request, image, user);
  containers::CreateContainerRequest request;
  ContainerRecord& record = *request.mutable_container();
  record.set_id(draft.id);
  record.set_image(normalise_reference(draft.request.at("image").get<std::string>()));
  record.mutable_runtime()->set_name(config_.runtime);
  record.set_snapshotter(config_.snapshotter);
  record.set_snapshot_key(draft.id);
  record.mutable_spec()->set_type_url(spec_type_url);
  record.mutable_spec()->set_value(draft.spec.dump());
  (*record.mutable_labels())[node_label] = config_.node;
  (*record.mutable_labels())[image_id_label] = draft.image->id;
  auto& extension = (*record.mutable_extensions())[request_extension];
  extension.set_type_url(request_extension);
  extension.set_value(draft.request.dump());
  rpc_.call<containers::CreateContainerResponse>(
      "/containerd.services.containers.v1.Containers/Create", request, draft.under_lease);
  draft.has_record = true;
}

void Containers::create_task(Draft& draft) {
  monitor_.own(draft.id);
  tasks::CreateTaskRequest request;
  request.set_container_id(draft.id);
  *request.mutable_rootfs() = draft.snapshot.mounts();
  request.set_terminal(draft.request.value("tty", false));
  const std::string uri = log_uri(draft.request);
  request.set_stdout(uri);
  if (!request.terminal()) request.set_stderr(uri);
  CallOptions options = draft.under_lease;
  options.timeout_ms = task_timeout_ms;
  auto started = rpc_.begin<tasks::CreateTaskResponse>("/containerd.services.tasks.v1.Tasks/Create",
                                                       request, options);
  const RpcStatus status = started.status();
  if (status.ok()) return;
  if (status.code == RpcCode::unavailable || status.code == RpcCode::deadline_exceeded) {
    throw_if_failed(status);
  }
  const std::string text = useful_part(status.message);
  if (says_missing_program(text) || says_not_executable(text)) throw Failure(SKEP_E_INVALID, text);
  throw Failure(SKEP_E_INTERNAL, text);
}

void Containers::undo(const Draft& draft) {
  // Best effort by nature: what can't be undone now is found by its label after the next restore,
  // and its lease is left to expire, so that the list of leases tells of it until then.
  bool leave_to_clean_up = false;
  const auto attempt = [&](auto action) {
    try {
      action();
    } catch (const std::exception&) {
      leave_to_clean_up = true;
    }
  };
  if (draft.has_record) {
    attempt([&] { delete_task(draft.id, true); });
    containers::DeleteContainerRequest request;
    request.set_id(draft.id);
    attempt(
        [&] { rpc_.call<Empty>("/containerd.services.containers.v1.Containers/Delete", request); });
    remove_cgroup(cgroup_path(draft.request));
    monitor_.disown(draft.id);
  }
  if (draft.has_snapshot) attempt([&] { delete_snapshot(draft.id); });
  if (leave_to_clean_up) return;
  // Waited for: a second try may be next, under a lease of the same name.
  leases::DeleteRequest over;
  over.set_id("skep-" + draft.id);
  attempt([&] { rpc_.call<Empty>("/containerd.services.leases.v1.Leases/Delete", over); });
}

std::string Containers::log_uri(const json& request) const {
  const json log = request.value("log", json::object());
  const std::string dir = log.value("dir", std::string());
  if (dir.empty()) return {};
  if (config_.log_program.empty()) {
    throw Failure(SKEP_E_PRECONDITION,
                  "skep-log was not found beside the driver; "
                  "set config.log_program");
  }
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw Failure(SKEP_E_INVALID, "log.dir: " + dir + ": " + error.message());
  return "binary://" + url_encoded(config_.log_program.string()) + "?dir=" + url_encoded(dir) +
         "&max_bytes=" + std::to_string(log.value("max_bytes", int64_t{0})) +
         "&max_files=" + std::to_string(log.value("max_files", int64_t{1}));
}

fs::path Containers::start_file(const std::string& id) const {
  return config_.data_dir / "started" / id;
}

std::string Containers::lost_reason(const std::string& id) const {
  std::ifstream in(start_file(id));
  std::string started_at;
  std::string life;
  in >> started_at >> life;
  if (life.empty()) {
    return "the node was restarted, or the container's shim was killed, while the task ran";
  }
  if (life != machine_life()) return "the node was restarted while the task ran";
  return "the container's shim was killed while the task ran";
}

json Containers::start(const json& request) {
  const std::string id = id_of(request);
  record(id);
  tasks::GetRequest get;
  get.set_container_id(id);
  auto before = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const RpcStatus known = before.status();
  if (known.code == RpcCode::not_found) {
    throw Failure(SKEP_E_PRECONDITION, "container " + id + " has ended and can't be started again");
  }
  throw_if_failed(known);
  const types::Process& process = before.reply().process();
  if (process.status() == types::RUNNING || process.status() == types::PAUSED) {
    std::ifstream in(start_file(id));
    std::string started_at;
    in >> started_at;
    return {{"pid", process.pid()},
            {"started_at", started_at.empty() ? now_rfc3339() : started_at}};
  }
  if (process.status() != types::CREATED) {
    throw Failure(SKEP_E_PRECONDITION, "container " + id + " has ended and can't be started again");
  }
  tasks::StartRequest start;
  start.set_container_id(id);
  // Taken before the call, so that a short-lived process never seems to have ended before it began.
  const std::string started_at = now_rfc3339();
  CallOptions options;
  options.timeout_ms = task_timeout_ms;
  auto started =
      rpc_.begin<tasks::StartResponse>("/containerd.services.tasks.v1.Tasks/Start", start, options);
  const RpcStatus status = started.status();
  if (!status.ok() &&
      (says_missing_program(status.message) || says_not_executable(status.message))) {
    throw Failure(SKEP_E_INVALID, useful_part(status.message));
  }
  throw_if_failed(status);
  std::error_code ignored;  // without the file started_at is absent later on, which is allowed
  fs::create_directories(config_.data_dir / "started", ignored);
  std::ofstream(start_file(id)) << started_at << " " << machine_life() << "\n";
  return {{"pid", started.reply().pid()}, {"started_at", started_at}};
}

// Ends `held` when the task has ended. With a timeout, `on_timeout` goes on instead.
void Containers::await_end(HeldPtr held, const std::string& id, int timeout_ms,
                           std::function<void()> on_timeout) {
  tasks::WaitRequest request;
  request.set_container_id(id);
  CallOptions options;
  options.timeout_ms = timeout_ms;
  const CallHandlePtr handle = rpc_.async<tasks::WaitResponse>(
      "/containerd.services.tasks.v1.Tasks/Wait", request, options,
      [held, on_timeout = std::move(on_timeout)](RpcStatus status, tasks::WaitResponse&) {
        if (status.code == RpcCode::deadline_exceeded && on_timeout) return on_timeout();
        if (status.ok() || status.code == RpcCode::not_found) return held->reply(json::object());
        held->fail(status);
      });
  held->on_abandon([handle] { handle->cancel(); });
}

void Containers::wait(HeldPtr held) {
  const std::string id = id_of(held->request());
  const std::string cgroup = cgroup_path(request_of(record(id)));
  tasks::WaitRequest request;
  request.set_container_id(id);
  CallOptions options;
  options.timeout_ms = 0;
  const CallHandlePtr handle = rpc_.async<tasks::WaitResponse>(
      "/containerd.services.tasks.v1.Tasks/Wait", request, options,
      [this, held, id, cgroup](RpcStatus status, tasks::WaitResponse& reply) {
        if (status.ok()) return held->reply(ended(cgroup, reply.exit_status(), reply.exited_at()));
        if (status.code != RpcCode::not_found) return held->fail(status);
        // The task is gone: either the container was removed meanwhile, or its shim has died.
        containers::GetContainerRequest get;
        get.set_id(id);
        rpc_.async<containers::GetContainerResponse>(
            "/containerd.services.containers.v1.Containers/Get", get, {},
            [this, held, id, cgroup](RpcStatus found, containers::GetContainerResponse&) {
              if (found.code == RpcCode::not_found) {
                return held->fail(SKEP_E_NOTFOUND, no_such_container(id).what());
              }
              if (!found.ok()) return held->fail(found);
              json end = ended(cgroup, lost_exit_code, google::protobuf::Timestamp());
              end["lost"] = lost_reason(id);
              held->reply(end);
            });
      });
  held->on_abandon([handle] { handle->cancel(); });
}

void Containers::kill_then_await(HeldPtr held, const std::string& id) {
  tasks::KillRequest request;
  request.set_container_id(id);
  request.set_signal(SIGKILL);
  request.set_all(true);
  rpc_.async<Empty>("/containerd.services.tasks.v1.Tasks/Kill", request, {},
                    [this, held, id](RpcStatus, Empty&) {
                      await_end(held, id, kill_timeout_ms, [held] {
                        held->fail(SKEP_E_DEADLINE, "the container did not end after SIGKILL");
                      });
                    });
}

void Containers::stop(HeldPtr held) {
  const json& request = held->request();
  const std::string id = id_of(request);
  const int grace_ms = std::max(request.value("grace_ms", 10'000), 0);
  ContainerRecord known;
  try {
    known = record(id);
  } catch (const Failure& failure) {
    if (failure.code() != SKEP_E_NOTFOUND) throw;
    return held->reply(json::object());
  }
  std::string signal_text = request.value("signal", std::string());
  if (signal_text.empty()) {
    const auto image_id = known.labels().find(image_id_label);
    if (image_id != known.labels().end()) {
      try {
        signal_text = images_.find(known.image())->run_config().value("StopSignal", std::string());
      } catch (const Failure&) {
        signal_text.clear();  // the image was removed meanwhile: the default it is
      }
    }
  }
  const uint32_t signal_number = parse_signal(signal_text.empty() ? "SIGTERM" : signal_text);
  tasks::GetRequest get;
  get.set_container_id(id);
  auto task = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const RpcStatus status = task.status();
  if (status.code == RpcCode::not_found) return held->reply(json::object());
  throw_if_failed(status);
  const types::Status state = task.reply().process().status();
  if (state == types::STOPPED) return held->reply(json::object());
  // One that has not started has no program that could heed a signal.
  if (state == types::CREATED || grace_ms == 0) return kill_then_await(held, id);
  tasks::KillRequest kill;
  kill.set_container_id(id);
  kill.set_signal(signal_number);
  rpc_.async<Empty>("/containerd.services.tasks.v1.Tasks/Kill", kill, {},
                    [this, held, id, grace_ms](RpcStatus sent, Empty&) {
                      if (sent.code == RpcCode::unavailable) return held->fail(sent);
                      await_end(held, id, grace_ms,
                                [this, held, id] { kill_then_await(held, id); });
                    });
}

json Containers::signal(const json& request) {
  const std::string id = id_of(request);
  const uint32_t number = parse_signal(request.at("signal").get<std::string>());
  record(id);
  tasks::KillRequest kill;
  kill.set_container_id(id);
  kill.set_signal(number);
  auto sent = rpc_.begin<Empty>("/containerd.services.tasks.v1.Tasks/Kill", kill);
  const RpcStatus status = sent.status();
  if (status.code == RpcCode::not_found || status.code == RpcCode::failed_precondition) {
    throw Failure(SKEP_E_PRECONDITION, "Container " + id + " is not running");
  }
  throw_if_failed(status);
  return json::object();
}

void Containers::delete_task(const std::string& id, bool force) {
  tasks::DeleteTaskRequest request;
  request.set_container_id(id);
  CallOptions options;
  options.timeout_ms = task_timeout_ms;
  const auto try_delete = [&] {
    auto done = rpc_.begin<tasks::DeleteResponse>("/containerd.services.tasks.v1.Tasks/Delete",
                                                  request, options);
    return done.status();
  };
  RpcStatus status;
  if (!force) {
    status = try_delete();
  } else {
    tasks::KillRequest kill;
    kill.set_container_id(id);
    kill.set_signal(SIGKILL);
    kill.set_all(true);
    auto killed = rpc_.begin<Empty>("/containerd.services.tasks.v1.Tasks/Kill", kill);
    const RpcStatus sent = killed.status();
    if (sent.code == RpcCode::unavailable) throw_if_failed(sent);
    tasks::WaitRequest wait;
    wait.set_container_id(id);
    options.timeout_ms = kill_timeout_ms;
    auto waited =
        rpc_.begin<tasks::WaitResponse>("/containerd.services.tasks.v1.Tasks/Wait", wait, options);
    const RpcStatus over = waited.status();
    if (over.code == RpcCode::deadline_exceeded) {
      throw Failure(SKEP_E_DEADLINE, "container " + id + " did not end after SIGKILL");
    }
    status = try_delete();
  }
  if (status.ok() || status.code == RpcCode::not_found) return;
  if (!force && status.code == RpcCode::failed_precondition) {
    throw Failure(SKEP_E_PRECONDITION,
                  "container " + id + " is running: stop it first, or use force");
  }
  throw_if_failed(status);
}

void Containers::delete_snapshot(const std::string& id) {
  snapshots::RemoveSnapshotRequest request;
  request.set_snapshotter(config_.snapshotter);
  request.set_key(id);
  auto removed = rpc_.begin<Empty>("/containerd.services.snapshots.v1.Snapshots/Remove", request);
  const RpcStatus status = removed.status();
  if (status.code != RpcCode::not_found) throw_if_failed(status);
}

json Containers::remove(const json& request) {
  const std::string id = id_of(request);
  const bool force = request.value("force", false);
  ContainerRecord known;
  try {
    known = record(id);
  } catch (const Failure& failure) {
    if (failure.code() != SKEP_E_NOTFOUND) throw;
    return json::object();
  }
  bool running = false;
  if (!force) {
    tasks::GetRequest get;
    get.set_container_id(id);
    auto task = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
    running = task.status().ok() && task.reply().process().status() != types::STOPPED &&
              task.reply().process().status() != types::CREATED;
    if (running) {
      throw Failure(SKEP_E_PRECONDITION,
                    "container " + id + " is running: stop it first, or use force");
    }
  }
  // Forced also when it was only created: a process that waits for its start has to be killed.
  delete_task(id, true);
  delete_snapshot(id);
  remove_cgroup(cgroup_path(request_of(known)));
  std::error_code ignored;
  fs::remove(start_file(id), ignored);
  // The record goes last: whoever is killed half-way finds the rest by it.
  containers::DeleteContainerRequest over;
  over.set_id(id);
  auto deleted = rpc_.begin<Empty>("/containerd.services.containers.v1.Containers/Delete", over);
  const RpcStatus status = deleted.status();
  if (status.code != RpcCode::not_found) throw_if_failed(status);
  monitor_.disown(id);
  return json::object();
}

json Containers::describe(const ContainerRecord& record, const ProcessRecord* process) const {
  const json request = request_of(record);
  const json spec = json::parse(record.spec().value(), nullptr, false);
  const json main = spec.is_object() ? spec.value("process", json::object()) : json::object();
  const json user = main.value("user", json::object());
  const auto image_id = record.labels().find(image_id_label);
  json out = {{"id", record.id()},
              {"spec", request},
              {"image", record.image()},
              {"image_id", image_id == record.labels().end() ? "" : image_id->second},
              {"state", process ? state_name(process->status()) : "stopped"},
              {"created_at", rfc3339(record.created_at())},
              {"process",
               {{"argv", main.value("args", json::array())},
                {"env", main.value("env", json::array())},
                {"working_dir", main.value("cwd", std::string("/"))},
                {"user", std::to_string(user.value("uid", 0)) + ":" +
                             std::to_string(user.value("gid", 0))}}}};
  std::ifstream in(start_file(record.id()));
  if (std::string started_at; in >> started_at) out["started_at"] = started_at;
  if (process == nullptr) {
    out["exit_code"] = lost_exit_code;
    return out;
  }
  if (process->status() == types::STOPPED) {
    const json end = ended(cgroup_path(request), process->exit_status(), process->exited_at());
    out.update(end);
  } else if (process->pid() != 0) {
    out["pid"] = process->pid();
  }
  return out;
}

json Containers::inspect(const json& request) {
  const std::string id = id_of(request);
  tasks::GetRequest get;
  get.set_container_id(id);
  auto task = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const ContainerRecord known = record(id);
  const RpcStatus status = task.status();
  if (status.code != RpcCode::not_found) throw_if_failed(status);
  return describe(known, status.ok() ? &task.reply().process() : nullptr);
}

json Containers::list() {
  struct State {
    std::vector<ContainerRecord> records;
    std::promise<RpcStatus> promise;
  };
  auto state = std::make_shared<State>();
  std::future<RpcStatus> done = state->promise.get_future();
  containers::ListContainersRequest request;
  request.add_filters("labels.\"io.skep.node\"==" + filter_quoted(config_.node));
  // Records first, tasks second: a task that is made in between is merely left out, while the other
  // way round a container made in between would seem to have lost its task.
  rpc_.stream(
      "/containerd.services.containers.v1.Containers/ListStream", request, {},
      [state](std::string_view bytes) {
        containers::ListContainerMessage message;
        if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
          state->records.push_back(std::move(*message.mutable_container()));
        }
      },
      [state](RpcStatus status) { state->promise.set_value(std::move(status)); });
  throw_if_failed(done.get());
  const auto tasks_now = rpc_.call<tasks::ListTasksResponse>(
      "/containerd.services.tasks.v1.Tasks/List", tasks::ListTasksRequest());
  std::map<std::string, const types::Process*> by_id;
  for (const types::Process& process : tasks_now.tasks()) by_id[process.id()] = &process;
  json all = json::array();
  for (const ContainerRecord& record : state->records) {
    const auto process = by_id.find(record.id());
    {
      const std::lock_guard lock(mutex_);
      if (process == by_id.end() && creating_.contains(record.id())) continue;
    }
    all.push_back(describe(record, process == by_id.end() ? nullptr : process->second));
  }
  return {{"containers", all}};
}

json Containers::stats(const json& request) {
  json all = json::array();
  for (const json& id : request.at("ids")) {
    try {
      const json wanted = request_of(record(id.get<std::string>()));
      if (const auto usage = read_usage(cgroup_path(wanted))) {
        all.push_back({{"id", id},
                       {"memory_bytes", usage->memory_bytes},
                       {"cpu_ns", usage->cpu_ns},
                       {"pids", usage->pids}});
      }
    } catch (const Failure& failure) {
      if (failure.code() != SKEP_E_NOTFOUND) throw;
    }
  }
  return {{"stats", all}};
}

void Containers::restore(const std::string& id) {
  record(id);
  monitor_.own(id);
}

void Containers::clean_up() {
  std::set<std::string> needed;
  const json listed = list();  // named: a part of a temporary would be gone before the first turn
  for (const json& one : listed.at("containers")) needed.insert(one.at("id").get<std::string>());
  {
    const std::lock_guard lock(mutex_);
    needed.insert(creating_.begin(), creating_.end());
  }
  struct State {
    std::vector<std::string> keys;
    std::promise<RpcStatus> promise;
  };
  auto state = std::make_shared<State>();
  std::future<RpcStatus> done = state->promise.get_future();
  snapshots::ListSnapshotsRequest request;
  request.set_snapshotter(config_.snapshotter);
  const std::string ours = "labels.\"io.skep.node\"==" + filter_quoted(config_.node);
  request.add_filters(ours);
  rpc_.stream(
      "/containerd.services.snapshots.v1.Snapshots/List", request, {},
      [state](std::string_view bytes) {
        snapshots::ListSnapshotsResponse part;
        if (!part.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
        for (const auto& info : part.info()) state->keys.push_back(info.name());
      },
      [state](RpcStatus status) { state->promise.set_value(std::move(status)); });
  throw_if_failed(done.get());
  for (const std::string& key : state->keys) {
    if (!needed.contains(key)) delete_snapshot(key);
  }
  leases::ListRequest list_leases;
  list_leases.add_filters(ours);
  const auto left =
      rpc_.call<leases::ListResponse>("/containerd.services.leases.v1.Leases/List", list_leases);
  for (const leases::Lease& lease : left.leases()) {
    const std::string id = lease.id().starts_with("skep-") ? lease.id().substr(5) : lease.id();
    const std::lock_guard lock(mutex_);
    if (creating_.contains(id)) continue;
    leases::DeleteRequest over;
    over.set_id(lease.id());
    rpc_.async<Empty>("/containerd.services.leases.v1.Leases/Delete", over, {},
                      [](RpcStatus, Empty&) {});
  }
}

}  // namespace skep::containerd
