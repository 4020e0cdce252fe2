// Containers: looks, actions, waits, logs. Execs and images are in files of their own.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/node_containers.hpp"

#include <utility>

#include "daemon/agent/container_request.hpp"
#include "daemon/agent/log_reader.hpp"

namespace skep::agent {

NodeContainers::NodeContainers(asio::any_io_executor loop, drivers::RuntimeDriver& runtime,
                               agent::LocalNetwork& network, ContainerTable& table,
                               const AgentOptions& options, const RuntimeNews& news,
                               CoroutineGroup& background)
    : loop_(std::move(loop)),
      runtime_(runtime),
      network_(network),
      table_(table),
      options_(options),
      news_(news),
      background_(background) {
  image_news_ = table_.subscribe([this](const NodeEvent& event) {
    if (event.type == "image") background_.start(count_images());
  });
}

NodeContainers::~NodeContainers() {
  table_.unsubscribe(image_news_);
}

std::vector<std::shared_ptr<const Container>> NodeContainers::list() const {
  return table_.list();
}

Result<std::shared_ptr<const Container>> NodeContainers::find(std::string_view reference) const {
  return table_.find(reference);
}

asio::awaitable<Result<bool>> NodeContainers::stop(std::string id, std::string signal,
                                                   std::optional<model::Nanoseconds> grace) {
  SKEP_CO_TRY_ASSIGN(const std::shared_ptr<const Container> row, table_.find(id));
  if (row->state != ContainerState::running && row->state != ContainerState::paused) {
    co_return false;
  }
  if (signal.empty()) signal = row->spec.stop_signal;
  const int64_t grace_ms =
      grace ? std::chrono::duration_cast<std::chrono::milliseconds>(*grace).count()
            : stop_grace_ms(row->spec);
  model::Labels more;
  more["signal"] = signal.empty() ? "SIGTERM" : signal;
  table_.publish(*row, "kill", std::move(more));
  SKEP_CO_TRY(co_await runtime_.stop(row->id, signal, grace_ms));
  table_.publish(*row, "stop", {});
  co_return true;
}

asio::awaitable<Status> NodeContainers::kill(std::string id, std::string signal) {
  SKEP_CO_TRY_ASSIGN(const std::shared_ptr<const Container> row, table_.find(id));
  if (row->state != ContainerState::running && row->state != ContainerState::paused) {
    co_return fail(ErrorKind::conflict, "container " + row->id + " is not running");
  }
  if (signal.empty()) signal = "SIGKILL";
  const Status sent = co_await runtime_.signal(row->id, signal);
  if (!sent) {
    const bool gone =
        sent.error().kind == ErrorKind::precondition || sent.error().kind == ErrorKind::not_found;
    if (!gone) co_return sent;
    co_return fail(ErrorKind::conflict, "container " + row->id + " is not running");
  }
  model::Labels more;
  more["signal"] = signal;
  table_.publish(*row, "kill", std::move(more));
  co_return Status();
}

asio::awaitable<Status> NodeContainers::remove(std::string id, bool force) {
  SKEP_CO_TRY_ASSIGN(const std::shared_ptr<const Container> row, table_.find(id));
  const bool runs = row->state == ContainerState::running || row->state == ContainerState::paused;
  if (runs && !force) {
    co_return fail(ErrorKind::conflict,
                   "container " + row->name + " is running: stop it first, or force its removal");
  }
  const Status removed = co_await runtime_.remove(row->id, force);
  if (!removed && removed.error().kind == ErrorKind::precondition) {
    co_return fail(ErrorKind::conflict, removed.error().message);
  }
  if (!removed && removed.error().kind != ErrorKind::not_found) co_return removed;
  if (table_.get(row->id)) {
    table_.erase(row->id);
    table_.publish(*row, "destroy", {});
  }
  co_return Status();
}

asio::awaitable<Result<int64_t>> NodeContainers::wait(std::string id, WaitCondition condition) {
  SKEP_CO_TRY_ASSIGN(std::shared_ptr<const Container> row, table_.find(id));
  const std::string full = row->id;
  const auto done = [condition, first = row->finished_at](const Container& now) {
    const bool runs = now.state == ContainerState::running || now.state == ContainerState::paused;
    switch (condition) {
      case WaitCondition::not_running:
        return !runs;  // one that never ran counts, as with Docker
      case WaitCondition::next_exit:
        return now.finished_at > first;
      case WaitCondition::removed:
        return false;
    }
    return false;
  };
  while (!done(*row)) {
    co_await table_.changed(full);
    const std::shared_ptr<const Container> now = table_.get(full);
    if (!now) break;
    row = now;
  }
  co_return row->exit_code;
}

asio::awaitable<Status> NodeContainers::logs(
    std::string id, LogQuery query, std::function<asio::awaitable<bool>(const LogLine&)> sink) {
  SKEP_CO_TRY_ASSIGN(const std::shared_ptr<const Container> row, table_.find(id));
  const std::string full = row->id;
  LogSource source;
  source.folder = container_log_folder(options_, full);
  source.ended = [this, full] {
    const std::shared_ptr<const Container> now = table_.get(full);
    return !now || now->state == ContainerState::exited || now->state == ContainerState::dead;
  };
  source.change = [this, full](std::chrono::milliseconds) { return table_.changed(full); };
  co_return co_await read_log(loop_, std::move(source), query, std::move(sink));
}

std::vector<Containers::LocalNetwork> NodeContainers::networks() const {
  std::vector<LocalNetwork> all;
  if (std::optional<LocalNetwork> bridge = network_.description()) {
    all.push_back(std::move(*bridge));
  }
  return all;
}

uint64_t NodeContainers::subscribe(std::function<void(const NodeEvent&)> sink) {
  return table_.subscribe(std::move(sink));
}

void NodeContainers::unsubscribe(uint64_t subscription) {
  table_.unsubscribe(subscription);
}

}  // namespace skep::agent
