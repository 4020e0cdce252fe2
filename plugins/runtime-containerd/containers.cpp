// Running, telling and removing; how a container comes into being stands in container_create.cpp.
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
#include "github.com/containerd/containerd/api/services/snapshots/v1/snapshots.pb.h"
#include "github.com/containerd/containerd/api/services/tasks/v1/tasks.pb.h"
#include "runtime-containerd/cgroup.hpp"
#include "runtime-containerd/text.hpp"

namespace skep::containerd {

namespace containers = ::containerd::services::containers::v1;
namespace fs = std::filesystem;
namespace snapshots = ::containerd::services::snapshots::v1;
namespace tasks = ::containerd::services::tasks::v1;
namespace types = ::containerd::v1::types;
using google::protobuf::Empty;
using sdk::Failure;
using sdk::json;

namespace {

constexpr int lost_exit_code = 255;
constexpr int kill_timeout_ms = 15'000;  // from SIGKILL to the end; more means a stuck kernel

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

// Whose clock was first: ours, or that of containerd or the shim, which were told the same deadline
// and answer in words of their own.
bool ran_out_of_time(const RpcStatus& status) {
  return status.code == RpcCode::deadline_exceeded ||
         status.message.find("context deadline exceeded") != std::string::npos;
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

}  // namespace

Containers::Containers(Rpc& rpc, const Config& config, Leases& leases, ImageStore& images,
                       Monitor& monitor)
    : rpc_(rpc), config_(config), leases_(leases), images_(images), monitor_(monitor) {}

ContainerRecord Containers::record(const std::string& id) {
  containers::GetContainerRequest request;
  request.set_id(id);
  auto started = rpc_.begin<containers::GetContainerResponse>(
      "/containerd.services.containers.v1.Containers/Get", request);
  const RpcStatus status = started.status();
  if (status.code == RpcCode::not_found) throw no_such_container(id);
  throw_if_failed(status);
  ContainerRecord record = std::move(*started.reply().mutable_container());
  if (!is_ours(record, config_.node)) throw no_such_container(id);
  return record;
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

std::string Containers::started_at(const std::string& id) const {
  std::ifstream in(start_file(id));
  std::string time;
  in >> time;
  return time;
}

json Containers::start(const json& request) {
  const std::string id = id_of(request);
  record(id);
  const auto over = [&id] {
    return Failure(SKEP_E_PRECONDITION,
                   "container " + id + " has ended and can't be started again");
  };
  tasks::GetRequest get;
  get.set_container_id(id);
  auto before = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const RpcStatus known = before.status();
  if (known.code == RpcCode::not_found) throw over();
  throw_if_failed(known);
  const types::Process& process = before.reply().process();
  if (process.status() != types::CREATED) {
    // Started already, by a call whose answer may have been lost with the driver; it may have ended
    // since, and then it is wait() that tells so.
    const std::string time = started_at(id);
    if (process.status() == types::STOPPED && time.empty()) throw over();
    return {{"pid", process.pid()}, {"started_at", time.empty() ? now_rfc3339() : time}};
  }
  // Noted before the call: a short-lived process never seems to have ended before it began, and
  // whoever asks again after a crash gets the same answer.
  const std::string now = now_rfc3339();
  std::error_code ignored;  // without the file started_at is absent later on, which is allowed
  fs::create_directories(config_.data_dir / "started", ignored);
  std::ofstream(start_file(id)) << now << " " << machine_life() << "\n";
  tasks::StartRequest start;
  start.set_container_id(id);
  CallOptions options;
  options.timeout_ms = task_timeout_ms;
  auto started =
      rpc_.begin<tasks::StartResponse>("/containerd.services.tasks.v1.Tasks/Start", start, options);
  const RpcStatus status = started.status();
  const bool unknown =
      status.code == RpcCode::unavailable || status.code == RpcCode::deadline_exceeded;
  if (!status.ok() && !unknown) fs::remove(start_file(id), ignored);
  if (!status.ok() &&
      (says_missing_program(status.message) || says_not_executable(status.message))) {
    throw Failure(SKEP_E_INVALID, useful_part(status.message));
  }
  throw_if_failed(status);
  return {{"pid", started.reply().pid()}, {"started_at", now}};
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
        if (ran_out_of_time(status) && on_timeout) return on_timeout();
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
  if (state == types::CREATED) {
    // A driver that was killed right before the start has noted one that never came.
    std::error_code ignored;
    fs::remove(start_file(id), ignored);
  }
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
  const uint32_t number = parse_signal(text_of(request, "signal"));
  record(id);
  const auto not_running = [&id] {
    return Failure(SKEP_E_PRECONDITION, "Container " + id + " is not running");
  };
  // containerd signals one that was only created, too: it would have ended without having begun.
  tasks::GetRequest get;
  get.set_container_id(id);
  auto task = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const RpcStatus known = task.status();
  if (known.code == RpcCode::not_found) throw not_running();
  throw_if_failed(known);
  if (task.reply().process().status() == types::CREATED) throw not_running();
  tasks::KillRequest kill;
  kill.set_container_id(id);
  kill.set_signal(number);
  auto sent = rpc_.begin<Empty>("/containerd.services.tasks.v1.Tasks/Kill", kill);
  const RpcStatus status = sent.status();
  if (status.code == RpcCode::not_found || status.code == RpcCode::failed_precondition) {
    throw not_running();
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
    if (ran_out_of_time(over)) {
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

// True when no snapshot of that name is there any more: one that isn't ours is left alone.
bool Containers::delete_own_snapshot(const std::string& id) {
  snapshots::StatSnapshotRequest stat;
  stat.set_snapshotter(config_.snapshotter);
  stat.set_key(id);
  auto found = rpc_.begin<snapshots::StatSnapshotResponse>(
      "/containerd.services.snapshots.v1.Snapshots/Stat", stat);
  const RpcStatus status = found.status();
  if (status.code == RpcCode::not_found) return true;
  throw_if_failed(status);
  const auto label = found.reply().info().labels().find(node_label);
  if (label == found.reply().info().labels().end() || label->second != config_.node) return false;
  delete_snapshot(id);
  return true;
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
    // A crash may have come before the record: then there is a lease, perhaps a snapshot.
    if (leases_.end_for_container(id)) delete_own_snapshot(id);
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
  await_cleaning({id});  // of a task whose making was interrupted
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
  const std::string time = started_at(record.id());
  const bool was_started = process == nullptr || process->status() != types::CREATED;
  if (was_started && !time.empty()) out["started_at"] = time;
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
  const json ids = request.value("ids", json());
  if (!ids.is_array()) throw Failure(SKEP_E_INVALID, "ids: not a list");
  json all = json::array();
  for (const json& id : ids) {
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

std::vector<std::string> Containers::own_snapshots() {
  struct State {
    std::vector<std::string> keys;
    std::promise<RpcStatus> promise;
  };
  auto state = std::make_shared<State>();
  std::future<RpcStatus> done = state->promise.get_future();
  snapshots::ListSnapshotsRequest request;
  request.set_snapshotter(config_.snapshotter);
  request.add_filters("labels.\"io.skep.node\"==" + filter_quoted(config_.node));
  rpc_.stream(
      "/containerd.services.snapshots.v1.Snapshots/List", request, {},
      [state](std::string_view bytes) {
        snapshots::ListSnapshotsResponse part;
        if (!part.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
        for (const auto& info : part.info()) state->keys.push_back(info.name());
      },
      [state](RpcStatus status) { state->promise.set_value(std::move(status)); });
  throw_if_failed(done.get());
  return std::move(state->keys);
}

// The order matters beside a create that is under way: its snapshot is seen before it is looked for
// among those in the making, and those before the records.
void Containers::clean_up() {
  const Leases::Remains remains = leases_.remains();
  await_cleaning({remains.containers.begin(), remains.containers.end()});
  const std::vector<std::string> snapshots = own_snapshots();
  std::set<std::string> needed;
  {
    const std::lock_guard lock(mutex_);
    needed = creating_;
  }
  const json listed = list();  // named: a part of a temporary would be gone before the first turn
  for (const json& one : listed.at("containers")) needed.insert(one.at("id").get<std::string>());
  for (const std::string& key : snapshots) {
    if (!needed.contains(key)) delete_snapshot(key);
  }
  leases_.end_all(remains.leases);
}

}  // namespace skep::containerd
