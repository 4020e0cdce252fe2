// A node for tests: an agent on a loop of its own, a runtime and a network that only remember.
//
// The stand-in runtime outlives the agent, as containers do, so a test can stop one agent and start
// the next on the same folder. Tests say what must become true (`until`), never how long it takes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/agent/agent.hpp"
#include "daemon/agent/signal.hpp"
#include "daemon/drivers/network_driver.hpp"
#include "daemon/drivers/runtime_driver.hpp"
#include "tests/unit/agent/fake_volume_driver.hpp"

namespace skep::agent::test {

class FakeRuntime final : public drivers::RuntimeDriver {
 public:
  struct Made {
    drivers::ContainerRequest request;
    drivers::ContainerState::State state = drivers::ContainerState::State::created;
    int64_t exit_code = 0;
    bool oom_killed = false;
    std::string lost;
  };

  explicit FakeRuntime(boost::asio::io_context& loop)
      : loop_(loop.get_executor()), changed(loop.get_executor()) {}

  Reply<void> fingerprint(std::function<void(drivers::RuntimeHealth)> on_item) override;
  Reply<drivers::CreatedContainer> create(drivers::ContainerRequest request) override;
  Reply<drivers::StartedContainer> start(std::string id) override;
  Reply<drivers::ContainerExit> wait(std::string id) override;
  Reply<void> stop(std::string id, std::string signal, int64_t grace_ms) override;
  Reply<void> signal(std::string id, std::string signal) override;
  Reply<void> remove(std::string id, bool force) override;
  Reply<drivers::ContainerState> inspect(std::string id) override;
  Reply<std::vector<drivers::ContainerState>> list() override;
  Reply<drivers::ImageInfo> image_pull(std::string reference,
                                       std::optional<drivers::RegistryAuth> auth,
                                       std::function<void(drivers::PullProgress)> p) override;
  Reply<std::vector<drivers::ImageInfo>> image_list() override;
  Reply<void> exec_create(drivers::ExecRequest request) override;
  Reply<int64_t> exec_start(std::string id, std::string exec_id) override;
  Reply<int64_t> exec_wait(std::string id, std::string exec_id) override;
  Reply<void> restore_from(drivers::RestoreSource from) override;
  void forget_source() override { source = nullptr; }
  Reply<void> restore_done(std::vector<std::string> ids) override;

  void end(const std::string& id, int64_t exit_code);
  void set_away(bool is_away);

  std::map<std::string, Made> containers;
  std::set<std::string> images;    // here
  std::set<std::string> registry;  // to be pulled
  bool away = false;
  bool registry_away = false;
  std::string start_error;  // empty: starts work
  std::string exec_output;
  int exec_file = -1;  // what the process writes to, when `exec_goes_on`; the test closes it
  bool exec_goes_on = false;
  int64_t exec_exit = 0;
  int exec_waits_lost = 0;        // how many end with the driver before one is answered
  drivers::RestoreSource source;  // as it was registered; empty once it was forgotten
  int starts = 0;
  int pulls = 0;
  int restores_done = 0;
  std::map<std::string, int> busy;  // how often an operation answers so before it works
  bool fills = false;               // creates have begun and don't end until they are cancelled
  std::set<std::string> lost;  // operations that do it, and whose driver dies before it says so
  std::string stop_signal;
  int64_t stop_grace_ms = -1;

 private:
  drivers::ContainerState state_of(const std::string& id) const;
  Error away_error() const { return {ErrorKind::unavailable, "no answer"}; }
  // Away, or busy: what an operation of this name answers instead of working.
  Status hindered(const std::string& operation);
  Status told(const std::string& operation);

  boost::asio::any_io_executor loop_;
  drivers::ExecRequest exec_;

 public:
  Signal changed;
};

class FakeNetwork final : public drivers::NetworkDriver {
 public:
  FakeNetwork() = default;
  Reply<drivers::CreatedNetwork> create(drivers::NetworkRequest request) override;
  Reply<drivers::CreatedEndpoint> endpoint_create(drivers::EndpointRequest request) override;
  Reply<void> endpoint_remove(std::string network, std::string endpoint) override;
  Reply<std::string> join(drivers::JoinRequest request) override;
  Reply<void> leave(std::string network, std::string endpoint, std::string netns) override;
  Reply<drivers::NetworkListing> list() override;
  Reply<void> restore_from(drivers::RestoreSource source) override;
  void forget_source() override {}
  Reply<void> restore_done(std::vector<std::string> ids) override;

  std::map<std::string, std::string> endpoints;  // endpoint -> network
  std::set<std::string> restored;
  int next_address = 2;
  int busy_joins = 0;  // that come before one that works
};

class World {
 public:
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void start_agent();
  void stop_agent();
  // Runs the loop until `fact` holds; false after ten seconds.
  bool until(const std::function<bool()>& fact);
  // Runs one coroutine to its end.
  template <class T>
  T run(boost::asio::awaitable<T> body);

  static AssignedTask task(uint64_t number, const std::string& image = "httpd");
  void assign(std::vector<AssignedTask> tasks);
  model::TaskStatus last(const AssignedTask& task) const;
  bool is(const AssignedTask& task, model::TaskState state) {
    return until([&] { return last(task).state == state; });
  }
  bool has_namespace(const AssignedTask& task) const;
  static std::string id(const AssignedTask& task);

  boost::asio::io_context loop{1};
  std::string folder;
  FakeRuntime runtime{loop};
  FakeNetwork network;
  FakeVolumeDriver local{loop, "/volumes/local"};
  FakeVolumeDriver nfs{loop, "/volumes/nfs"};
  bool nfs_configured = true;
  std::chrono::milliseconds sweep_period{60'000};
  std::vector<TaskReport> reports;
  std::vector<NodeEvent> events;
  std::unique_ptr<Agent> agent;
};

// True when namespaces can be made; else the test says why it is skipped.
bool can_run();

}  // namespace skep::agent::test

#include "tests/unit/agent/world_run.hpp"
