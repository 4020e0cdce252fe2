// One loaded driver, and the way to call it from a coroutine.
//
// A driver's functions may block, so they run on worker threads of the plugin, never on the loop.
// Calls with the same non-empty key run one after the other in the order they were made; the key is
// held while the driver's function runs, not until a pending operation completes (a wait must not
// hold up a stop). However the driver ends an operation - during the call, later, from a thread of
// its own - the coroutine is resumed on its own executor.
//
// The surprise: skep_op* is not an address. It is a number that is never given out twice, looked up
// in a table; so a driver that completes twice, or long after the host stopped waiting, is found
// out and logged instead of touching freed memory.
//
// A library is never unloaded: thread-local destructors and foreign runtimes make that unsafe. Also
// the table of operations outlives the instance, because a driver's own threads may still call it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "daemon/drivers/plugin_config.hpp"
#include "sdk/host/catalog.hpp"
#include "sdk/host/note.hpp"
#include "sdk/host/worker_pool.hpp"
#include "skep/abi.h"

namespace skep::drivers {

using host::CheckedFile;
using host::PluginIdentity;
using host::WorkerPool;

class PluginHost;  // the host side of the ABI, in plugin_host.hpp

inline constexpr int64_t call_deadline_ms_default = 30'000;
using host::no_deadline;

struct CallOptions {
  // Milliseconds from now until the caller gives up with ErrorKind::deadline; no_deadline for none.
  int64_t deadline_ms = call_deadline_ms_default;
  // Each item of a stream, in order, on the loop, before the call ends. The text is borrowed.
  std::function<void(std::string_view)> on_item;
};

class Plugin {
 public:
  // Checks the file, reads its note, loads it, and makes an instance. Nothing is configured yet.
  // Blocks (disk, dynamic linker: milliseconds to tenths of a second), so it belongs to the start
  // of a node.
  static Result<std::unique_ptr<Plugin>> open(const PluginConfig& config);

  // Cancels what is in flight (its callers get ErrorKind::cancelled), waits up to five seconds for
  // the driver to let go, and destroys the instance. A driver that hangs longer keeps its threads
  // and its instance until the process ends. Destroy plugins before the io_context their callers
  // run on.
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  // Hands the configuration over; once, before any other call. Makes the driver's folders.
  boost::asio::awaitable<Status> configure(PluginPlace place);

  // Runs one operation; the reply document, or the driver's error. `key` orders calls on one
  // object; empty: may overlap everything. Only on a single-threaded executor. Cancelling the
  // coroutine asks the driver to end early and gives ErrorKind::cancelled at once; so does a passed
  // deadline with ErrorKind::deadline. Either way the object must be read again before it is used.
  // ErrorKind::unimplemented when the driver lacks it. `operation` must outlive the call, as those
  // of the catalog do.
  boost::asio::awaitable<Result<std::string>> call(const host::Operation& operation,
                                                   std::string key, std::string request,
                                                   CallOptions options);

  // Whether the driver has this operation.
  bool has(const host::Operation& operation) const;
  // Whether it names this interface ("skep.volume/1").
  bool has(std::string_view interface) const;

  const PluginIdentity& identity() const;
  const PluginConfig& config() const;

 private:
  explicit Plugin(std::unique_ptr<PluginHost> host);

  std::unique_ptr<PluginHost> host_;
};

}  // namespace skep::drivers
