// One container in memory behind agent::Containers, whose exec is an echo.
//
// An exec of `cat` gives back its input and ends at end of input with code 0; of `exit N` ends with
// code N; of anything else prints its command line and ends. Logs are three lines; followed, they
// go on until the container is stopped.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>

#include "daemon/agent/containers.hpp"

namespace skep::fakes {

namespace asio = boost::asio;

class FakeContainers final : public agent::Containers {
 public:
  FakeContainers(asio::io_context& loop, std::function<model::WallTime()> now);

  std::vector<std::shared_ptr<const agent::Container>> list() const override;
  Result<std::shared_ptr<const agent::Container>> find(std::string_view reference) const override;
  asio::awaitable<Result<bool>> stop(std::string id, std::string signal,
                                     std::optional<model::Nanoseconds> grace) override;
  asio::awaitable<Status> kill(std::string id, std::string signal) override;
  asio::awaitable<Status> remove(std::string id, bool force) override;
  asio::awaitable<Result<int64_t>> wait(std::string id, agent::WaitCondition condition) override;
  asio::awaitable<Status> logs(
      std::string id, agent::LogQuery query,
      std::function<asio::awaitable<bool>(const agent::LogLine&)> sink) override;
  Result<std::string> exec_create(agent::ExecConfig config) override;
  Result<agent::ExecState> exec_inspect(std::string_view exec_id) const override;
  asio::awaitable<Result<std::unique_ptr<agent::ExecStreams>>> exec_start(
      std::string exec_id) override;
  asio::awaitable<Status> exec_resize(std::string exec_id, uint16_t rows,
                                      uint16_t columns) override;
  asio::awaitable<Result<std::vector<agent::Image>>> images() override;
  size_t image_count() const override { return 1; }
  asio::awaitable<Result<agent::Image>> image(std::string reference) override;
  asio::awaitable<Result<agent::Image>> pull(
      std::string reference, std::optional<agent::RegistryAuth> auth,
      std::function<void(const agent::PullProgress&)> progress) override;
  asio::awaitable<Result<agent::ImageRemoval>> remove_image(std::string reference,
                                                            bool force) override;
  std::vector<LocalNetwork> networks() const override;
  std::string runtime_trouble() const override { return ""; }
  std::string runtime_version() const override { return "fake 1.0"; }
  uint64_t subscribe(std::function<void(const agent::NodeEvent&)> sink) override;
  void unsubscribe(uint64_t subscription) override;

 private:
  bool running() const { return container_ && container_->state == agent::ContainerState::running; }
  void set_exited(int64_t code);
  void announce(const std::string& action);
  asio::awaitable<void> pause();

  asio::io_context& loop_;
  std::function<model::WallTime()> now_;
  std::shared_ptr<const agent::Container> container_;
  std::map<std::string, agent::ExecState, std::less<>> execs_;
  std::map<uint64_t, std::function<void(const agent::NodeEvent&)>> sinks_;
};

}  // namespace skep::fakes
