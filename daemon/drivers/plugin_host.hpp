// The host's side of the ABI: the table a driver calls back into, and the operations in flight.
//
// Threads: `complete`, `emit`, `cancelled`, `deadline_ms` and `log` come from any thread, also
// after the instance was destroyed; therefore a HostTable is never freed. The coroutine that waits
// lives on the loop. What they share is one PendingCall, under its own mutex; everything that
// touches the coroutine is posted to its executor, and the executor is forgotten as soon as the
// coroutine stops waiting.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/drivers/plugin.hpp"
#include "sdk/host/worker_pool.hpp"
#include "skep/abi.h"

namespace skep::drivers {

// One call on its way.
struct PendingCall {
  // Set once, before anyone else knows the operation.
  uint64_t number = 0;
  int64_t deadline_ms = no_deadline;  // CLOCK_MONOTONIC
  std::string request;

  std::atomic<bool> cancelled = false;

  // Under `mutex`.
  std::mutex mutex;
  boost::asio::any_io_executor executor;          // empty once nobody waits
  std::function<void(std::string_view)> on_item;  // called on the loop only
  size_t items_queued = 0;

  // On the loop only.
  boost::asio::steady_timer* alarm = nullptr;  // of the waiting coroutine
  std::optional<Result<std::string>> outcome;
};

// What the driver sees as skep_host. Made once for each plugin, never freed.
class HostTable {
 public:
  explicit HostTable(std::string plugin_id);

  const skep_host* host() const { return &host_; }

  // [any thread], all of them.
  std::shared_ptr<PendingCall> begin(boost::asio::any_io_executor executor, std::string request,
                                     CallOptions options);
  // Ends operation `number`; false when there is none such (any more).
  bool finish(uint64_t number, Result<std::string> outcome);
  // Marks every operation as cancelled and ends the waiting for it.
  void cancel_all();
  // Waits until the driver has ended every operation; false when that takes longer than `patience`.
  bool wait_until_idle(std::chrono::milliseconds patience);
  void log(int32_t level, std::string_view message) const;

 private:
  std::shared_ptr<PendingCall> find(uint64_t number);

  static const void* get_extension(const skep_host* host, const char* id);
  static void host_log(const skep_host* host, skep_op* op, int32_t level, skep_str message);
  static int32_t log_level(const skep_host* host);
  static void complete(const skep_host* host, skep_op* op, skep_status status, skep_str reply,
                       skep_str error);
  static int32_t emit(const skep_host* host, skep_op* op, skep_str item);
  static int32_t cancelled(const skep_host* host, skep_op* op);
  static int64_t deadline_ms(const skep_host* host, skep_op* op);

  const std::string plugin_id_;
  skep_host host_{};
  std::mutex mutex_;
  std::condition_variable idle_;
  uint64_t last_number_ = 0;
  std::unordered_map<uint64_t, std::shared_ptr<PendingCall>> operations_;
};

// A loaded library with one instance of it and the threads that call it.
class PluginHost {
 public:
  // Loads what `file` holds and makes an instance. The library stays mapped for ever.
  static Result<std::unique_ptr<PluginHost>> load(PluginConfig config, PluginIdentity identity,
                                                  CheckedFile file);

  // The function of the operation, or nullptr: interface absent, table too short, or not set.
  skep_call find(const host::Operation& operation) const;

  PluginConfig config;
  PluginIdentity identity;
  HostTable* table = nullptr;               // never freed
  const skep_instance* instance = nullptr;  // ours until destroy()
  std::unique_ptr<WorkerPool> workers;
};

}  // namespace skep::drivers
