// The API's door to this node: looks from the table in memory, actions through the runtime driver.
//
// It changes no task: a container that is stopped, killed or removed by hand ends, its task's own
// coroutine sees that and reports it, and the managers decide what follows. Image names go out in
// their full form and come back in their familiar one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>

#include "daemon/agent/container_table.hpp"
#include "daemon/agent/containers.hpp"
#include "daemon/agent/coroutine_group.hpp"
#include "daemon/agent/exec_streams.hpp"
#include "daemon/agent/local_network.hpp"
#include "daemon/agent/options.hpp"
#include "daemon/drivers/runtime_driver.hpp"

namespace skep::agent {

// What the runtime last said of itself.
struct RuntimeNews {
  std::string trouble;  // "runtime containerd is not reachable: ..."; empty: it is well
  std::string version;  // "containerd 1.6.20"
};

class NodeContainers final : public Containers {
 public:
  NodeContainers(asio::any_io_executor loop, drivers::RuntimeDriver& runtime,
                 agent::LocalNetwork& network, ContainerTable& table, const AgentOptions& options,
                 const RuntimeNews& news, CoroutineGroup& background);
  ~NodeContainers() override;

  // Processes that were started with exec outlive the agent, and would stand still once nobody
  // reads what they say: from now on it is read, and dropped. Once, at the start.
  void release_old_execs();

  std::vector<std::shared_ptr<const Container>> list() const override;
  Result<std::shared_ptr<const Container>> find(std::string_view reference) const override;
  asio::awaitable<Result<bool>> stop(std::string id, std::string signal,
                                     std::optional<model::Nanoseconds> grace) override;
  asio::awaitable<Status> kill(std::string id, std::string signal) override;
  asio::awaitable<Status> remove(std::string id, bool force) override;
  asio::awaitable<Result<int64_t>> wait(std::string id, WaitCondition condition) override;
  asio::awaitable<Status> logs(std::string id, LogQuery query,
                               std::function<asio::awaitable<bool>(const LogLine&)> sink) override;
  Result<std::string> exec_create(ExecConfig config) override;
  Result<ExecState> exec_inspect(std::string_view exec_id) const override;
  asio::awaitable<Result<std::unique_ptr<ExecStreams>>> exec_start(std::string exec_id) override;
  asio::awaitable<Status> exec_resize(std::string exec_id, uint16_t rows,
                                      uint16_t columns) override;
  asio::awaitable<Result<std::vector<Image>>> images() override;
  size_t image_count() const override { return image_count_; }
  // Counts the images anew; a runtime that is away leaves the last count.
  asio::awaitable<void> count_images();
  asio::awaitable<Result<Image>> image(std::string reference) override;
  asio::awaitable<Result<Image>> pull(std::string reference, std::optional<RegistryAuth> auth,
                                      std::function<void(const PullProgress&)> progress) override;
  asio::awaitable<Result<ImageRemoval>> remove_image(std::string reference, bool force) override;
  std::vector<LocalNetwork> networks() const override;
  std::string runtime_trouble() const override { return news_.trouble; }
  std::string runtime_version() const override { return news_.version; }
  uint64_t subscribe(std::function<void(const NodeEvent&)> sink) override;
  void unsubscribe(uint64_t subscription) override;

 private:
  asio::awaitable<void> follow_exec(std::string exec_id, std::shared_ptr<ExecProgress> exec);
  asio::awaitable<Result<std::unique_ptr<ExecStreams>>> start_made_exec(
      std::string exec_id, std::shared_ptr<ExecProgress> exec,
      std::unique_ptr<FifoExecStreams> streams);
  Status forget_old_execs();  // exhausted: all that are remembered still run
  FifoExecStreams::LetGo let_go(std::string exec_id, std::shared_ptr<ExecProgress> exec);
  asio::awaitable<void> end_input(std::string exec_id, std::string container);
  asio::awaitable<Result<Image>> by_id(std::string reference);
  void publish_image(std::string_view action, const std::string& name);

  asio::any_io_executor loop_;
  drivers::RuntimeDriver& runtime_;
  agent::LocalNetwork& network_;
  ContainerTable& table_;
  const AgentOptions& options_;
  const RuntimeNews& news_;
  CoroutineGroup& background_;
  std::map<std::string, std::shared_ptr<ExecProgress>, std::less<>> execs_;
  std::deque<std::string> exec_order_;  // oldest first, to forget the oldest
  uint64_t image_news_ = 0;             // our subscription
  size_t image_count_ = 0;
  bool counting_ = false;
  bool count_again_ = false;  // something changed while counting
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace skep::agent
