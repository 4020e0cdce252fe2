// Exec processes. Names of users are looked up in the running container's root, reached through its
// main process, so that what was added to /etc/passwd since its start counts. A process that failed
// to start is deleted at once: nobody would wait for it.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/exec.hpp"

#include <google/protobuf/empty.pb.h>

#include "github.com/containerd/containerd/api/services/containers/v1/containers.pb.h"
#include "github.com/containerd/containerd/api/services/tasks/v1/tasks.pb.h"
#include "runtime-containerd/oci_spec.hpp"
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
constexpr size_t windows_max = 4096;  // processes whose host never waited for them

template <class Request>
Request for_process(const json& request) {
  Request message;
  message.set_container_id(request.at("id").get<std::string>());
  message.set_exec_id(request.at("exec_id").get<std::string>());
  return message;
}

void throw_unless_running(const RpcStatus& status, const std::string& id) {
  if (status.code == RpcCode::failed_precondition || status.code == RpcCode::not_found) {
    throw Failure(SKEP_E_PRECONDITION, "Container " + id + " is not running");
  }
  throw_if_failed(status);
}

}  // namespace

void Execs::forget(const std::string& exec_id) {
  const std::lock_guard lock(mutex_);
  windows_.erase(exec_id);
}

json Execs::create(const json& request) {
  const std::string id = request.at("id").get<std::string>();
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
  auto made = rpc_.begin<Empty>("/containerd.services.tasks.v1.Tasks/Exec", exec);
  throw_unless_running(made.status(), id);
  const std::lock_guard lock(mutex_);
  if (windows_.size() >= windows_max) windows_.clear();
  windows_[exec.exec_id()] = {};
  return json::object();
}

json Execs::start(const json& request) {
  const auto start = for_process<tasks::StartRequest>(request);
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
  Window window;
  {
    const std::lock_guard lock(mutex_);
    window = windows_[start.exec_id()];
    windows_[start.exec_id()].running = true;
  }
  if (window.rows > 0) {
    resize({{"id", start.container_id()},
            {"exec_id", start.exec_id()},
            {"rows", window.rows},
            {"cols", window.cols}});
  }
  return {{"pid", started.reply().pid()}};
}

json Execs::resize(const json& request) {
  auto message = for_process<tasks::ResizePtyRequest>(request);
  message.set_width(request.at("cols").get<uint32_t>());
  message.set_height(request.at("rows").get<uint32_t>());
  {
    const std::lock_guard lock(mutex_);
    const auto known = windows_.find(message.exec_id());
    if (known != windows_.end() && !known->second.running) {
      known->second.rows = message.height();
      known->second.cols = message.width();
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
  message.set_signal(parse_signal(request.at("signal").get<std::string>()));
  auto sent = rpc_.begin<Empty>("/containerd.services.tasks.v1.Tasks/Kill", message);
  throw_unless_running(sent.status(), message.container_id());
  return json::object();
}

}  // namespace skep::containerd
