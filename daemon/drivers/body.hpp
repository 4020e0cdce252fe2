// Where a driver's code runs, behind one face: in this process (in_process.hpp) or in one of its
// own (supervisor.hpp).
//
// A body gets calls that are in the CallTable already, and sees to it that each of them ends there.
// All calls: on the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/model/result.hpp"
#include "daemon/drivers/pending_call.hpp"
#include "daemon/drivers/plugin_config.hpp"
#include "daemon/drivers/restore_plan.hpp"
#include "sdk/host/catalog.hpp"
#include "sdk/host/note.hpp"

namespace skep::drivers {

enum class RunState : uint8_t {
  serving,
  restarting,  // its process was lost, or could not be started; another start comes soon
  unhealthy,   // lost too often: calls are refused, and another start is tried now and then
  ended,
};

struct RunReport {
  RunState state = RunState::serving;
  std::string reason;  // of any state but serving: a sentence
  pid_t pid = 0;       // 0: none of its own, at this moment or at all
  uint64_t restarts = 0;
  uint64_t recent_losses = 0;  // as the breaker counts them
};

// The file of `config`, checked; sealed unless it is to be debugged.
Result<host::CheckedFile> open_file(const PluginConfig& config);

// What a library says of itself beyond its note, once it is mapped.
struct DriverFacts {
  bool known = false;          // it was mapped once; the rest says nothing before that
  std::string config_schema;   // JSON text; empty: none
  std::string options_schema;  // likewise
  uint32_t flags = 0;          // SKEP_PLUGIN_*
};

class Body : public Callee {
 public:
  // Whether the driver has the operation. Before its library was mapped once: whether its note
  // names the interface.
  virtual bool has(const host::Operation& operation) const = 0;
  virtual host::PluginIdentity identity() const = 0;
  virtual PluginConfig config() const = 0;
  virtual DriverFacts facts() const = 0;
  virtual RunReport report() const = 0;
  virtual void set_log_level(int32_t level) = 0;

  // Until the first start has an outcome, or `until` has come; see Plugin::came_up().
  virtual boost::asio::awaitable<Status> came_up(
      std::optional<std::chrono::steady_clock::time_point> until) = 0;
  // Registers who knows the driver's objects, and restores them now. Errors: what kept the phase
  // from being ended; the objects' own errors go to the plan's `told`.
  virtual boost::asio::awaitable<Status> restore_from(RestoreSource source) = 0;
  virtual void forget_source() = 0;
  // Takes up the file and the configuration as they are now. On an error all is as before.
  virtual boost::asio::awaitable<Status> reload(PluginConfig fresh) = 0;
  // Tells the driver that the node is ending (skep.base/1 shutdown, best effort).
  virtual boost::asio::awaitable<void> end() = 0;
  // The end: whoever waits gets ErrorKind::cancelled, nothing is started any more. May block for
  // seconds while a driver lets go. Again: nothing.
  virtual void stop() = 0;
};

}  // namespace skep::drivers
