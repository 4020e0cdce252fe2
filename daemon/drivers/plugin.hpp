// One loaded driver, and the way to call it from a coroutine, whichever process it runs in.
//
// However the driver ends an operation - during the call, later, from a thread of its own, by dying
// - the coroutine is resumed on its own executor. Calls with the same non-empty key run one after
// the other in the order they were made; the key is held while the driver's function runs, not
// until a pending operation completes (a wait must not hold up a stop).
//
// In a process of its own (the rule) the daemon reads the file's note and nothing else of it: a
// driver that crashes, hangs or lies costs its calls in flight, and comes back (supervisor.hpp). In
// the daemon's process (in_process.hpp) it is trusted like the daemon.
//
// Everything on the loop, a single-threaded executor. Destroy plugins before the io_context that
// their callers run on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "daemon/drivers/body.hpp"
#include "daemon/drivers/pending_call.hpp"
#include "daemon/drivers/plugin_config.hpp"
#include "daemon/drivers/restore_plan.hpp"
#include "sdk/host/catalog.hpp"
#include "sdk/host/note.hpp"

namespace skep::drivers {

using host::CheckedFile;
using host::PluginIdentity;

// Where a driver with this configuration and note runs when it is started afresh.
Isolation isolation_of(const PluginConfig& config, const PluginIdentity& identity);

class Plugin {
 public:
  // Checks the file, reads its note, starts the driver and hands it its configuration. Errors: what
  // an operator has to mend, in the sentences of sdk/host/note.hpp and further `config_rejected`,
  // `init_timed_out`. A process that dies over its start is no error: report() says so, and it is
  // started again. `changed` is told on the loop when report() has another state. Blocks the loop
  // while the file is copied and, in-process, linked.
  static boost::asio::awaitable<Result<std::unique_ptr<Plugin>>> open(
      PluginConfig config, PluginPlace place, std::function<void()> changed = {});

  // The same, but a process of the driver's own is begun and not waited for: came_up() does.
  static boost::asio::awaitable<Result<std::unique_ptr<Plugin>>> begin(
      PluginConfig config, PluginPlace place, std::function<void()> changed = {});
  // Until the process has come up, was lost over it or was refused (which is the error; then the
  // plugin is of no use). When `until` comes first that is no error either: the start goes on,
  // calls wait for it, and a refusal that comes then is a loss like any other, told by report().
  boost::asio::awaitable<Status> came_up(
      std::optional<std::chrono::steady_clock::time_point> until = {});

  // Cancels what is in flight (its callers get ErrorKind::cancelled). May block for seconds, see
  // Body::stop().
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  // Runs one operation; the reply document, or the driver's error. `key` orders calls on one
  // object; empty: may overlap everything. Cancelling the coroutine asks the driver to end early
  // and gives ErrorKind::cancelled at once; so does a passed deadline with ErrorKind::deadline.
  // Either way the object must be read again before it is used. ErrorKind::unimplemented when the
  // driver lacks the operation, plugin_lost when it died over it, unavailable when it is unhealthy.
  // `operation` must outlive the call, as those of the catalog do.
  boost::asio::awaitable<Result<std::string>> call(const host::Operation& operation,
                                                   std::string key, std::string request,
                                                   CallOptions options);

  // Whether the driver has this operation.
  bool has(const host::Operation& operation) const;
  // Whether it names this interface ("skep.volume/1").
  bool has(std::string_view interface) const;

  // Registers who knows the driver's objects and restores them now; see restore_plan.hpp. One
  // source for a plugin: another takes its place.
  boost::asio::awaitable<Status> restore_from(RestoreSource source);
  // The source's owner goes: nothing is restored any more, and nothing may be cleared away.
  void forget_source();
  // Takes up file and configuration as they are now. ErrorKind::conflict: needs a restart of skepd.
  boost::asio::awaitable<Status> reload(PluginConfig fresh);
  // Tells the driver that the node is ending; a process of its own is ended in good order.
  boost::asio::awaitable<void> end();

  void set_log_level(int32_t level);
  int32_t log_level() const;

  PluginIdentity identity() const;
  PluginConfig config() const;
  DriverFacts facts() const;
  Isolation isolation() const { return isolation_; }
  RunReport report() const;
  const CallMetrics& metrics() const;
  const DriverMetrics& driver_metrics() const;
  // The name that the operator gave it.
  const std::string& name() const;

 private:
  Plugin(std::shared_ptr<CallTable> table, std::shared_ptr<Body> body, Isolation isolation);

  std::shared_ptr<CallTable> table_;
  std::shared_ptr<Body> body_;
  const Isolation isolation_;
};

}  // namespace skep::drivers
