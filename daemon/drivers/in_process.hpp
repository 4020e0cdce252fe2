// A driver in the daemon's own process: as fast as a function call, and as trusted as the daemon.
//
// Its functions may block, so they run on worker threads of the plugin, never on the loop. Calls
// with the same non-empty key run one after the other in the order they were made; the key is held
// while the driver's function runs, not until a pending operation completes.
//
// The library is never unloaded, and the ear that a driver speaks into is never freed, because its
// own threads may still speak after the instance was destroyed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "daemon/drivers/body.hpp"
#include "sdk/host/instance.hpp"
#include "sdk/host/worker_pool.hpp"

namespace skep::drivers {

class InProcess final : public Body, public std::enable_shared_from_this<InProcess> {
 public:
  // Maps the library and makes an instance; not configured yet. Blocks (disk, dynamic linker:
  // milliseconds to tenths of a second), so it belongs to the start of a node.
  static Result<std::shared_ptr<InProcess>> load(PluginConfig config, host::CheckedFile file,
                                                 host::PluginIdentity identity,
                                                 std::shared_ptr<CallTable> table);
  ~InProcess() override;

  boost::asio::awaitable<Status> configure(PluginPlace place);

  // It has come up when it is configured.
  boost::asio::awaitable<Status> came_up(
      std::optional<std::chrono::steady_clock::time_point> until) override;

  void start(std::shared_ptr<PendingCall> call) override;
  void give_up(uint64_t number) override;
  bool has(const host::Operation& operation) const override;
  host::PluginIdentity identity() const override { return identity_; }
  PluginConfig config() const override { return config_; }
  DriverFacts facts() const override { return facts_; }
  RunReport report() const override;
  void set_log_level(int32_t level) override { table_->log.set_level(level); }
  boost::asio::awaitable<Status> restore_from(RestoreSource source) override;
  void forget_source() override {}
  boost::asio::awaitable<Status> reload(PluginConfig fresh) override;
  boost::asio::awaitable<void> end() override;
  // Waits up to five seconds for the driver to let go, and destroys the instance. A driver that
  // hangs longer keeps its threads and its instance until the process ends.
  void stop() override;

 private:
  InProcess(PluginConfig config, std::string content, std::shared_ptr<CallTable> table,
            std::unique_ptr<host::Instance> instance);

  PluginConfig config_;
  const std::string content_;  // sha256 of the file that is mapped
  std::shared_ptr<CallTable> table_;
  const host::PluginIdentity identity_;
  DriverFacts facts_;
  std::unique_ptr<host::Instance> instance_;  // empty once stopped
  std::unique_ptr<host::WorkerPool> workers_;
};

}  // namespace skep::drivers
