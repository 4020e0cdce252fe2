// A driver in a process of its own, kept alive: when the process is lost, another is started,
// configured and told of the driver's objects; only then do other calls reach it.
//
// Calls that arrive meanwhile wait, within their own deadlines. When the breaker is open
// (restart_policy.hpp) they fail at once with ErrorKind::unavailable, naming what happened. Every
// start runs the very file that was checked, held open and sealed; what lies at its path by then is
// taken up by reload() alone.
//
// The surprise: a driver that was lost comes back by itself, but its streams don't. Whoever reads
// one gets ErrorKind::plugin_lost and opens it again.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/drivers/body.hpp"
#include "daemon/drivers/helper_life.hpp"
#include "daemon/drivers/restart_policy.hpp"

namespace skep::drivers {

class Supervisor final : public Body, public std::enable_shared_from_this<Supervisor> {
 public:
  // `changed` is told on the loop whenever report() has another state.
  Supervisor(boost::asio::any_io_executor loop, PluginConfig config, PluginPlace place,
             std::shared_ptr<CallTable> table, std::function<void()> changed);
  ~Supervisor() override;

  // Begins the first start. Call it once.
  void begin(host::CheckedFile file, host::PluginIdentity identity);
  // Errors: what an operator has to mend (the file or the configuration is refused). A process that
  // dies over its start is no error: it is started again like any other. Nor is `until`: from then
  // on a refusal counts as a loss.
  boost::asio::awaitable<Status> came_up(
      std::optional<std::chrono::steady_clock::time_point> until) override;

  void start(std::shared_ptr<PendingCall> call) override;
  void give_up(uint64_t number) override;
  bool has(const host::Operation& operation) const override;
  host::PluginIdentity identity() const override { return program_->identity; }
  PluginConfig config() const override { return program_->config; }
  DriverFacts facts() const override { return facts_; }
  RunReport report() const override;
  void set_log_level(int32_t level) override;
  boost::asio::awaitable<Status> restore_from(RestoreSource source) override;
  void forget_source() override;
  // Brings up a second process, moves the objects over, and ends the first. Calls wait while the
  // objects move. ErrorKind::busy while another reload is under way.
  boost::asio::awaitable<Status> reload(PluginConfig fresh) override;
  boost::asio::awaitable<void> end() override;
  void stop() override;

 private:
  using LifePtr = std::shared_ptr<HelperLife>;
  // What is started: a checked file, and what it is configured with.
  struct Program {
    PluginConfig config;
    host::CheckedFile file;
    host::PluginIdentity identity;
  };
  using ProgramPtr = std::shared_ptr<const Program>;
  using Told = std::function<void(const std::string& id, const Status& outcome)>;

  boost::asio::awaitable<Result<LifePtr>> bring_up(ProgramPtr program);
  boost::asio::awaitable<Status> restore(LifePtr life);
  Told while_asked(uint64_t number, Told told);
  boost::asio::awaitable<Status> exchange(LifePtr fresh, ProgramPtr program);
  boost::asio::awaitable<void> keep_trying(std::chrono::milliseconds wait);
  boost::asio::awaitable<bool> try_once();
  void settle(std::optional<Error> refusal);
  void on_lost(const LifePtr& life);
  void note_loss(const std::string& how, std::chrono::milliseconds lived);
  void serve(LifePtr life);
  void go_on();
  void open_gate();
  void become(RunState state, std::string reason);
  void refuse_waiting();
  void try_in(std::chrono::milliseconds wait);

  boost::asio::any_io_executor loop_;
  PluginPlace place_;
  std::shared_ptr<CallTable> table_;
  std::function<void()> changed_;
  PluginConfig config_;                          // until begin()
  ProgramPtr program_;                           // from then on
  DriverFacts facts_;                            // of the last life, as the next
  std::vector<const host::Operation*> present_;  // likewise; empty until one stood
  RestoreSource source_;
  uint64_t source_number_ = 0;                    // of source_, counted up
  LifePtr life_;                                  // that serves; empty: none does
  std::vector<std::weak_ptr<HelperLife>> lives_;  // for stop(): whatever may still run
  bool gate_closed_ = true;                       // calls wait
  std::deque<std::shared_ptr<PendingCall>> waiting_;
  RestartPolicy policy_;
  std::chrono::milliseconds next_wait_{0};
  std::chrono::steady_clock::time_point served_since_;
  boost::asio::steady_timer pause_;        // before the next start
  boost::asio::steady_timer first_start_;  // cancelled when that has an outcome
  bool settled_ = false;                   // it has one
  bool awaited_ = true;                    // somebody is there to be told of a refusal
  std::optional<Error> refusal_;           // which it was then
  bool trying_ = false;                    // keep_trying() runs
  bool reloading_ = false;
  bool exchanging_ = false;  // a reload moves the objects
  LifePtr restoring_;        // which restore_from() works on
  std::string unrestored_;   // why it failed at life_; empty: it did not
  bool stopped_ = false;
  RunState state_ = RunState::restarting;
  std::string reason_;
  uint64_t starts_ = 0;
};

}  // namespace skep::drivers
