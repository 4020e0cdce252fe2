// The calls that are on their way to one driver, whichever process it runs in.
//
// A call has two ends: the coroutine that waits for it, on the loop, and whoever runs it, which may
// be any thread. What they share is one PendingCall, under its own mutex; everything that touches
// the coroutine is posted to its executor, and the executor is forgotten as soon as the coroutine
// stops waiting.
//
// The surprise: an operation is known by a number that is never given out twice, looked up here; so
// a driver that ends one twice, or long after everybody stopped waiting, is found out and logged.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/drivers/plugin_log.hpp"
#include "daemon/drivers/plugin_metrics.hpp"
#include "sdk/host/catalog.hpp"
#include "skep/abi.h"

namespace skep::drivers {

using host::no_deadline;

inline constexpr int64_t call_deadline_ms_default = 30'000;

struct CallOptions {
  // Milliseconds from now until the caller gives up with ErrorKind::deadline; no_deadline for none.
  int64_t deadline_ms = call_deadline_ms_default;
  // Each item of a stream, in order, on the loop, before the call ends. The text is borrowed.
  std::function<void(std::string_view)> on_item;
};

// One call on its way.
struct PendingCall {
  // Set once, before anyone else knows the call.
  uint64_t number = 0;
  const host::Operation* operation = nullptr;
  int64_t deadline_ms = no_deadline;  // CLOCK_MONOTONIC
  std::string key;
  std::string request;
  std::chrono::steady_clock::time_point begun;

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

// Who runs calls: a body, or one life of a helper process. On the loop.
class Callee {
 public:
  virtual ~Callee() = default;
  // Begins a call that is in the table; sees to it that it ends there. Never blocks.
  virtual void start(std::shared_ptr<PendingCall> call) = 0;
  // Nobody waits for this call any more.
  virtual void give_up(uint64_t number) = 0;
};

class CallTable {
 public:
  CallTable(std::string plugin_name, int32_t log_level);

  // [any thread], down to idle().
  std::shared_ptr<PendingCall> begin(boost::asio::any_io_executor executor,
                                     const host::Operation& operation, std::string key,
                                     std::string request, CallOptions options);
  // Ends call `number`; false when there is none such (any more).
  bool finish(uint64_t number, Result<std::string> outcome);
  // The same as a driver says it. One that is not in flight is the driver's fault, and logged.
  void complete(uint64_t number, skep_status status, std::string_view reply,
                std::string_view error);
  // Hands an item to whoever waits; true when so many are queued that the driver should pause.
  bool emit(uint64_t number, std::string_view item);
  bool is_cancelled(uint64_t number);
  int64_t deadline_ms(uint64_t number);
  // Marks every call as cancelled and ends the waiting for it; their numbers.
  std::vector<uint64_t> cancel_all();
  // Waits until every call has been ended; false when that takes longer than `patience`.
  bool wait_until_idle(std::chrono::milliseconds patience);

  // A figure of the driver's own.
  void note_metric(std::string_view name, int64_t value, bool set);

  PluginLog log;
  DriverMetrics driver_metrics;
  CallMetrics metrics;  // on the loop only

 private:
  std::shared_ptr<PendingCall> find(uint64_t number);

  std::mutex mutex_;
  std::condition_variable idle_;
  uint64_t last_number_ = 0;
  std::unordered_map<uint64_t, std::shared_ptr<PendingCall>> calls_;
};

// One call from its beginning to its end: the reply, or the driver's error. A passed deadline gives
// ErrorKind::deadline, a cancelled coroutine ErrorKind::cancelled, both at once; `callee` is told
// then, if it still lives. Bounds are checked here.
boost::asio::awaitable<Result<std::string>> make_call(std::shared_ptr<Callee> callee,
                                                      std::shared_ptr<CallTable> table,
                                                      const host::Operation& operation,
                                                      std::string key, std::string request,
                                                      CallOptions options);

}  // namespace skep::drivers
