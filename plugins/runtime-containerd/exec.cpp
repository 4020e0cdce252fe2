// Exec processes. Names of users are looked up in the running container's root, reached through its
// main process, so that what was added to /etc/passwd since its start counts. A process that failed
// to start is deleted at once: nobody would wait for it.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/exec.hpp"

#include <google/protobuf/empty.pb.h>

#include <algorithm>
#include <array>
#include <utility>

#include "github.com/containerd/containerd/api/services/containers/v1/containers.pb.h"
#include "github.com/containerd/containerd/api/services/tasks/v1/tasks.pb.h"
#include "runtime-containerd/oci_spec.hpp"
#include "runtime-containerd/record.hpp"
#include "runtime-containerd/text.hpp"
#include "runtime-containerd/user.hpp"

namespace skep::containerd {

namespace tasks = ::containerd::services::tasks::v1;
namespace types = ::containerd::v1::types;
using google::protobuf::Empty;
using sdk::Failure;
using sdk::json;

namespace {

constexpr const char* process_type_url =
    "types.containerd.io/opencontainers/runtime-spec/1/Process";
constexpr size_t known_max = 4096;  // processes whose host never waited for them

template <class Request>
Request for_process(const json& request) {
  Request message;
  message.set_container_id(id_of(request));
  message.set_exec_id(id_of(request, "exec_id"));
  return message;
}

// What create() knows; other members make no difference.
constexpr std::array known_members{"id",          "exec_id", "argv",       "env",   "user",
                                   "working_dir", "tty",     "privileged", "stdin", "stdout",
                                   "stderr",      "rows",    "cols"};

bool asks_the_same_process(const json& one, const json& other) {
  return std::ranges::all_of(known_members, [&](const char* member) {
    return one.value(member, json()) == other.value(member, json());
  });
}

void throw_unless_running(const RpcStatus& status, const std::string& id) {
  if (status.code == RpcCode::failed_precondition || status.code == RpcCode::not_found) {
    throw Failure(SKEP_E_PRECONDITION, "Container " + id + " is not running");
  }
  throw_if_failed(status);
}

}  // namespace

std::optional<Execs::Known> Execs::known(const std::string& exec_id) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(exec_id);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

void Execs::remember(const std::string& exec_id, Known process) {
  const std::lock_guard lock(mutex_);
  if (known_.size() >= known_max) known_.clear();
  known_[exec_id] = std::move(process);
}

void Execs::forget(const std::string& exec_id) {
  const std::lock_guard lock(mutex_);
  known_.erase(exec_id);
}

std::optional<ProcessRecord> Execs::at_containerd(const json& request) {
  const auto get = for_process<tasks::GetRequest>(request);
  auto asked = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const RpcStatus status = asked.status();
  if (status.code == RpcCode::not_found) return std::nullopt;
  throw_if_failed(status);
  return asked.reply().process();
}

json Execs::create(const json& request) {
  const std::string id = id_of(request);
  const std::string exec_id = id_of(request, "exec_id");
  if (const std::optional<Known> before = known(exec_id)) {
    if (asks_the_same_process(before->request, request)) return json::object();
    throw Failure(SKEP_E_EXISTS, "process " + exec_id + " exists with other arguments");
  }
  tasks::GetRequest get;
  get.set_container_id(id);
  auto task = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const ContainerRecord record = containers_.record(id);
  throw_unless_running(task.status(), id);
  const types::Process& main = task.reply().process();
  if (main.status() != types::RUNNING) {
    throw Failure(SKEP_E_PRECONDITION, "Container " + id + " is not running");
  }
  const json spec = json::parse(record.spec().value());
  User user;
  const json& own = spec.at("process").at("user");
  if (const std::string text = request.value("user", std::string()); !text.empty()) {
    user = resolve_user(text, {}, {"/proc/" + std::to_string(main.pid()) + "/root"});
  } else {
    user.uid = own.value("uid", 0U);
    user.gid = own.value("gid", 0U);
    user.groups = own.value("additionalGids", std::vector<uint32_t>());
  }
  auto exec = for_process<tasks::ExecProcessRequest>(request);
  const bool tty = request.value("tty", false);
  exec.set_stdin(request.value("stdin", std::string()));
  exec.set_stdout(request.value("stdout", std::string()));
  if (!tty) exec.set_stderr(request.value("stderr", std::string()));
  // The shim wants both outputs or no stream at all.
  if (!exec.stdin().empty() || !exec.stdout().empty() || !exec.stderr().empty()) {
    if (exec.stdout().empty()) exec.set_stdout("/dev/null");
    if (exec.stderr().empty() && !tty) exec.set_stderr("/dev/null");
  }
  exec.set_terminal(tty);
  exec.mutable_spec()->set_type_url(process_type_url);
  exec.mutable_spec()->set_value(exec_process(request, spec, user).dump());
  const auto make = [&] {
    auto made = rpc_.begin<Empty>("/containerd.services.tasks.v1.Tasks/Exec", exec);
    return made.status();
  };
  RpcStatus status = make();
  bool started = false;
  if (status.code == RpcCode::already_exists) {
    // Made by a driver that was killed since. What was not started is made anew, so that it has the
    // arguments of this request; what was started has had them.
    const std::optional<ProcessRecord> earlier = at_containerd(request);
    started = earlier && earlier->status() != types::CREATED;
    if (!started) {
      auto deleted =
          rpc_.begin<tasks::DeleteResponse>("/containerd.services.tasks.v1.Tasks/DeleteProcess",
                                            for_process<tasks::DeleteProcessRequest>(request));
      const RpcStatus gone = deleted.status();
      if (gone.code != RpcCode::not_found) throw_if_failed(gone);
      status = make();
    }
  }
  if (!started) throw_unless_running(status, id);
  remember(exec_id, {request, started, 0, 0});
  return json::object();
}

json Execs::start(const json& request) {
  const auto start = for_process<tasks::StartRequest>(request);
  std::optional<Known> process = known(start.exec_id());
  if (!process || process->started) {
    // Repeated, perhaps because the answer was lost with the driver.
    const std::optional<ProcessRecord> there = at_containerd(request);
    if (there && there->status() != types::CREATED) return {{"pid", there->pid()}};
  }
  auto started =
      rpc_.begin<tasks::StartResponse>("/containerd.services.tasks.v1.Tasks/Start", start);
  const RpcStatus status = started.status();
  if (!status.ok()) {
    forget(start.exec_id());
    rpc_.async<tasks::DeleteResponse>("/containerd.services.tasks.v1.Tasks/DeleteProcess",
                                      for_process<tasks::DeleteProcessRequest>(request), {},
                                      [](RpcStatus, tasks::DeleteResponse&) {});
    const std::string text = useful_part(status.message);
    if (says_missing_program(text)) throw Failure(SKEP_E_NOTFOUND, text);
    if (says_not_executable(text)) throw Failure(SKEP_E_INVALID, text);
    throw_if_failed({status.code, text});
  }
  {
    const std::lock_guard lock(mutex_);
    const auto remembered = known_.find(start.exec_id());
    if (remembered != known_.end()) {
      remembered->second.started = true;
      process = remembered->second;  // with the size that came meanwhile
    }
  }
  if (process && process->rows > 0) {
    resize({{"id", start.container_id()},
            {"exec_id", start.exec_id()},
            {"rows", process->rows},
            {"cols", process->cols}});
  }
  return {{"pid", started.reply().pid()}};
}

json Execs::resize(const json& request) {
  auto message = for_process<tasks::ResizePtyRequest>(request);
  message.set_width(request.at("cols").get<uint32_t>());
  message.set_height(request.at("rows").get<uint32_t>());
  {
    const std::lock_guard lock(mutex_);
    const auto process = known_.find(message.exec_id());
    if (process != known_.end() && !process->second.started) {
      process->second.rows = message.height();
      process->second.cols = message.width();
      return json::object();
    }
  }
  rpc_.call<Empty>("/containerd.services.tasks.v1.Tasks/ResizePty", message);
  return json::object();
}

void Execs::wait(HeldPtr held) {
  const auto wait = for_process<tasks::WaitRequest>(held->request());
  CallOptions options;
  options.timeout_ms = 0;
  const CallHandlePtr handle = rpc_.async<tasks::WaitResponse>(
      "/containerd.services.tasks.v1.Tasks/Wait", wait, options,
      [this, held](RpcStatus status, tasks::WaitResponse& reply) {
        if (!status.ok()) return held->fail(status);
        // Deleting it also waits until all its output has reached the FIFOs.
        const json answer = {{"exit_code", reply.exit_status()}};
        const auto over = for_process<tasks::DeleteProcessRequest>(held->request());
        forget(over.exec_id());
        rpc_.async<tasks::DeleteResponse>(
            "/containerd.services.tasks.v1.Tasks/DeleteProcess", over, {},
            [held, answer](RpcStatus, tasks::DeleteResponse&) { held->reply(answer); });
      });
  held->on_abandon([handle] { handle->cancel(); });
}

json Execs::close_stdin(const json& request) {
  auto message = for_process<tasks::CloseIORequest>(request);
  message.set_stdin(true);
  auto closed = rpc_.begin<Empty>("/containerd.services.tasks.v1.Tasks/CloseIO", message);
  const RpcStatus status = closed.status();
  if (status.code != RpcCode::not_found) throw_if_failed(status);  // one that ended has no input
  return json::object();
}

json Execs::signal(const json& request) {
  auto message = for_process<tasks::KillRequest>(request);
  message.set_signal(parse_signal(text_of(request, "signal")));
  auto sent = rpc_.begin<Empty>("/containerd.services.tasks.v1.Tasks/Kill", message);
  throw_unless_running(sent.status(), message.container_id());
  return json::object();
}

}  // namespace skep::containerd
