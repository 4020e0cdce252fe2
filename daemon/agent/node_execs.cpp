// Further processes in a running container: FIFOs first, then the process, then its end.
//
// A command that can't be started is an outcome, not an error: 127 when it isn't there, 126 when it
// can't be executed, and the reason as text on the stream, as a shell would have it.
// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/agent/identity_text.hpp"
#include "daemon/agent/node_containers.hpp"

namespace skep::agent {
namespace {

constexpr size_t kExecsMax = 1024;  // remembered for inspection; the oldest ended one goes first
constexpr int64_t kExitMissing = 127;
constexpr int64_t kExitNotExecutable = 126;
constexpr int64_t kExitUnknown = 137;  // the container or the runtime went away under the process

std::string words(const std::vector<std::string>& argv) {
  std::string text;
  for (const std::string& word : argv) text += (text.empty() ? "" : " ") + word;
  return text;
}

drivers::ExecRequest exec_request(const std::string& exec_id, const ExecConfig& config) {
  drivers::ExecRequest request;
  request.id = config.container_id;
  request.exec_id = exec_id;
  request.argv = config.argv;
  request.env = config.env;
  request.user = config.user;
  request.working_dir = config.working_dir;
  request.tty = config.tty;
  request.privileged = config.privileged;
  request.rows = config.rows;
  request.columns = config.columns;
  return request;
}

}  // namespace

Result<std::string> NodeContainers::exec_create(ExecConfig config) {
  SKEP_TRY_ASSIGN(const std::shared_ptr<const Container> row, table_.find(config.container_id));
  if (row->state != ContainerState::running) {
    return fail(ErrorKind::conflict, "container " + row->id + " is not running");
  }
  if (config.argv.empty()) return fail(ErrorKind::invalid, "No exec command specified");
  SKEP_TRY_ASSIGN(std::string id, random_hex_id());
  SKEP_TRY(forget_old_execs());
  config.container_id = row->id;
  auto exec = std::make_shared<ExecProgress>(loop_);
  exec->state.config = std::move(config);
  table_.publish(*row, "exec_create: " + words(exec->state.config.argv), {{"execID", id}});
  execs_.emplace(id, std::move(exec));
  exec_order_.push_back(id);
  return id;
}

Status NodeContainers::forget_old_execs() {
  if (exec_order_.size() < kExecsMax) return {};
  const auto over = [this](const std::string& id) {
    const auto exec = execs_.find(id);
    return exec == execs_.end() || !exec->second->state.started || exec->second->state.exit_code;
  };
  const auto oldest = std::find_if(exec_order_.begin(), exec_order_.end(), over);
  if (oldest == exec_order_.end()) {
    return fail(ErrorKind::exhausted, std::to_string(kExecsMax) +
                                          " processes that were started with exec still run on "
                                          "this node, which is the limit");
  }
  execs_.erase(*oldest);
  exec_order_.erase(oldest);
  return {};
}

Result<ExecState> NodeContainers::exec_inspect(std::string_view exec_id) const {
  const auto at = execs_.find(exec_id);
  if (at == execs_.end()) {
    return fail(ErrorKind::not_found, "No such exec instance: " + std::string(exec_id));
  }
  return at->second->state;
}

asio::awaitable<Result<std::unique_ptr<ExecStreams>>> NodeContainers::exec_start(
    std::string exec_id) {
  const auto at = execs_.find(exec_id);
  if (at == execs_.end()) {
    co_return fail(ErrorKind::not_found, "No such exec instance: " + exec_id);
  }
  const std::shared_ptr<ExecProgress> exec = at->second;
  if (exec->state.started) {
    co_return fail(ErrorKind::conflict, "exec " + exec_id + " was started already");
  }
  exec->state.started = true;
  Result<std::unique_ptr<FifoExecStreams>> streams =
      FifoExecStreams::make(loop_, runtime_, options_.run_dir + "/exec/" + exec_id, exec_id, exec);
  if (!streams) co_return fail(std::move(streams).error());
  co_return co_await start_made_exec(exec_id, exec, std::move(*streams));
}

asio::awaitable<Result<std::unique_ptr<ExecStreams>>> NodeContainers::start_made_exec(
    std::string exec_id, std::shared_ptr<ExecProgress> exec,
    std::unique_ptr<FifoExecStreams> streams) {
  const std::string container = exec->state.config.container_id;
  drivers::ExecRequest request = exec_request(exec_id, exec->state.config);
  streams->describe(&request);
  const Status made = co_await runtime_.exec_create(request);
  Result<int64_t> started = made ? Result<int64_t>(int64_t{0}) : fail(made.error());
  if (made) started = co_await runtime_.exec_start(container, exec_id);
  if (!started) {
    const ErrorKind kind = started.error().kind;
    const bool missing = kind == ErrorKind::not_found && table_.get(container) != nullptr;
    if (!missing && kind != ErrorKind::invalid) {
      exec->state.exit_code = kExitNotExecutable;  // it will not run any more
      if (kind != ErrorKind::precondition) co_return fail(std::move(started).error());
      co_return fail(ErrorKind::conflict, "container " + container + " is not running");
    }
    exec->state.exit_code = missing ? kExitMissing : kExitNotExecutable;
    co_return std::make_unique<FailedExecStreams>(started.error().message + "\r\n");
  }
  exec->state.pid = *started;
  exec->state.running = true;
  exec->waiting = true;
  background_.start(follow_exec(exec_id, exec));
  streams->when_let_go(let_go(exec_id, exec));
  const ExecConfig& config = exec->state.config;
  if (config.rows != request.rows || config.columns != request.columns) {
    // The terminal's size was told while the process was being started. A size that can't be set
    // any more costs the layout, not the command.
    const Status told =
        co_await runtime_.exec_resize(container, exec_id, config.rows, config.columns);
    if (!told) spdlog::debug("agent: exec {}: {}", exec_id, told.error().message);
  }
  if (const auto row = table_.get(container)) {
    model::Labels more;
    more["execID"] = exec_id;
    table_.publish(*row, "exec_start: " + words(exec->state.config.argv), std::move(more));
  }
  co_return std::unique_ptr<ExecStreams>(std::move(streams));
}

// The streams may be destroyed later than all of us, when the daemon ends: hence the weak pointer.
FifoExecStreams::LetGo NodeContainers::let_go(std::string exec_id,
                                              std::shared_ptr<ExecProgress> exec) {
  return [this, alive = std::weak_ptr<const bool>(alive_), exec_id = std::move(exec_id),
          exec = std::move(exec)](std::shared_ptr<ExecRemains> remains) {
    if (alive.expired()) return;
    if (remains->input_open && exec->state.running) {
      background_.start(end_input(exec_id, exec->state.config.container_id));
    }
    background_.start(discard_output(std::move(remains)));
  };
}

void NodeContainers::release_old_execs() {
  std::error_code error;
  const std::filesystem::path all = options_.run_dir + "/exec";
  std::vector<std::string> folders;
  for (std::filesystem::directory_iterator at(all, error), end; !error && at != end;
       at.increment(error)) {
    folders.push_back(at->path().string());
  }
  for (std::string& folder : folders) {
    background_.start(discard_output(reopen_output(loop_, std::move(folder))));
  }
}

asio::awaitable<void> NodeContainers::end_input(std::string exec_id, std::string container) {
  const Status closed = co_await runtime_.exec_close_stdin(container, exec_id);
  if (!closed) spdlog::debug("agent: exec {}: {}", exec_id, closed.error().message);
}

asio::awaitable<void> NodeContainers::follow_exec(std::string exec_id,
                                                  std::shared_ptr<ExecProgress> exec) {
  const std::string container = exec->state.config.container_id;
  Result<int64_t> end = co_await runtime_.exec_wait(container, exec_id);
  // A driver that was lost is asked again; what it doesn't know any more it says is not found.
  while (!end && (end.error().kind == ErrorKind::plugin_lost ||
                  end.error().kind == ErrorKind::unavailable)) {
    Signal never(loop_);
    co_await never.changed_within(options_.retry_first);
    end = co_await runtime_.exec_wait(container, exec_id);
  }
  exec->state.running = false;
  exec->state.exit_code = end.value_or(kExitUnknown);
  exec->waiting = false;
  exec->changed.notify();
  const auto row = table_.get(container);
  if (!row) co_return;
  model::Labels more;
  more["execID"] = exec_id;
  more["exitCode"] = std::to_string(*exec->state.exit_code);
  table_.publish(*row, "exec_die", std::move(more));
}

asio::awaitable<Status> NodeContainers::exec_resize(std::string exec_id, uint16_t rows,
                                                    uint16_t columns) {
  const auto at = execs_.find(exec_id);
  if (at == execs_.end()) {
    co_return fail(ErrorKind::not_found, "No such exec instance: " + exec_id);
  }
  const std::shared_ptr<ExecProgress> exec = at->second;
  // Before the process runs the size is kept, and given with its start.
  exec->state.config.rows = rows;
  exec->state.config.columns = columns;
  if (!exec->state.running) co_return Status();
  co_return co_await runtime_.exec_resize(exec->state.config.container_id, exec_id, rows, columns);
}

}  // namespace skep::agent
