// The bridge between a coroutine that waits and a driver that answers when it likes.
//
// The coroutine sleeps on a timer set to the deadline; completion cancels the timer. So one await
// covers the three ways a wait can end - completed, timed out, caller cancelled - and which one it
// was is told by the call's outcome, not by the timer's error code.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/pending_call.hpp"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace skep::drivers {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

constexpr size_t items_queued_max = 256;  // of one stream, before the driver is to pause

// Hands the outcome to whoever waits, on their executor; nobody waiting is fine.
void deliver(const std::shared_ptr<PendingCall>& call, Result<std::string> outcome) {
  const std::lock_guard lock(call->mutex);
  if (!call->executor) return;
  asio::post(call->executor, [call, outcome = std::move(outcome)]() mutable {
    if (call->outcome) return;
    call->outcome = std::move(outcome);
    if (call->alarm != nullptr) call->alarm->cancel();
  });
}

// The caller's half of a call. Its end - by return, by exception, or because the coroutine is
// destroyed - cuts the way back to an executor that may soon be gone, and counts.
class Waiting {
 public:
  Waiting(std::shared_ptr<PendingCall> call, std::shared_ptr<CallTable> table,
          asio::steady_timer& alarm)
      : call_(std::move(call)), table_(std::move(table)) {
    call_->alarm = &alarm;
    table_->metrics.begun(*call_->operation);
  }
  ~Waiting() {
    call_->alarm = nullptr;
    const ErrorKind* kind = &given_up;
    if (call_->outcome) kind = *call_->outcome ? nullptr : &call_->outcome->error().kind;
    table_->metrics.ended(
        *call_->operation, kind,
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - call_->begun));
    if (!call_->outcome) call_->cancelled = true;
    const std::lock_guard lock(call_->mutex);
    call_->executor = {};
    call_->on_item = nullptr;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  ErrorKind given_up = ErrorKind::cancelled;

 private:
  std::shared_ptr<PendingCall> call_;
  std::shared_ptr<CallTable> table_;
};

// Needs neither the plugin nor its body to be alive: they may go while the coroutine sleeps.
asio::awaitable<Result<std::string>> wait_for(std::shared_ptr<PendingCall> call,
                                              std::shared_ptr<CallTable> table,
                                              std::weak_ptr<Callee> callee) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  asio::steady_timer alarm(executor, asio::steady_timer::time_point::max());
  if (call->deadline_ms != no_deadline) {
    alarm.expires_at(steady_clock::time_point(std::chrono::milliseconds(call->deadline_ms)));
  }
  Waiting waiting(call, table, alarm);
  const auto [code] = co_await alarm.async_wait(asio::as_tuple(asio::use_awaitable));
  if (call->outcome) co_return *call->outcome;
  call->cancelled = true;
  if (const std::shared_ptr<Callee> there = callee.lock()) there->give_up(call->number);
  const std::string& driver = table->log.name();
  if (!code) {
    waiting.given_up = ErrorKind::deadline;
    const auto waited =
        std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - call->begun);
    co_return fail(ErrorKind::deadline, fmt::format("driver {} did not end {} within {} ms", driver,
                                                    call->operation->name, waited.count()));
  }
  co_return fail(ErrorKind::cancelled, fmt::format("the call of driver {} was given up", driver));
}

Status check_bounds(const std::string& driver, const std::string& key, const std::string& request) {
  if (key.size() > SKEP_ID_MAX) {
    return fail(ErrorKind::invalid, fmt::format("an object id has {} bytes, over the limit of {}",
                                                key.size(), SKEP_ID_MAX));
  }
  if (request.size() > SKEP_REQUEST_MAX) {
    return fail(ErrorKind::too_large,
                fmt::format("a request to driver {} has {} bytes, over the limit of {}", driver,
                            request.size(), SKEP_REQUEST_MAX));
  }
  return {};
}

}  // namespace

CallTable::CallTable(std::string plugin_name, int32_t log_level)
    : log(std::move(plugin_name), log_level) {}

std::shared_ptr<PendingCall> CallTable::begin(asio::any_io_executor executor,
                                              const host::Operation& operation, std::string key,
                                              std::string request, CallOptions options) {
  auto call = std::make_shared<PendingCall>();
  call->operation = &operation;
  call->key = std::move(key);
  call->request = std::move(request);
  call->on_item = std::move(options.on_item);
  call->executor = std::move(executor);
  call->begun = steady_clock::now();
  if (options.deadline_ms >= 0) {
    const auto now =
        std::chrono::duration_cast<std::chrono::milliseconds>(call->begun.time_since_epoch());
    call->deadline_ms = now.count() + options.deadline_ms;
  }
  const std::lock_guard lock(mutex_);
  call->number = ++last_number_;
  calls_.emplace(call->number, call);
  return call;
}

std::shared_ptr<PendingCall> CallTable::find(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(number);
  return found == calls_.end() ? nullptr : found->second;
}

bool CallTable::finish(uint64_t number, Result<std::string> outcome) {
  std::shared_ptr<PendingCall> call;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(number);
    if (found == calls_.end()) return false;
    call = std::move(found->second);
    calls_.erase(found);
    if (calls_.empty()) idle_.notify_all();
  }
  deliver(call, std::move(outcome));
  return true;
}

void CallTable::complete(uint64_t number, skep_status status, std::string_view reply,
                         std::string_view error) {
  Result<std::string> outcome = std::string(reply);
  if (status != SKEP_OK) outcome = fail(error_kind_from_abi(status), std::string(error));
  if (!finish(number, std::move(outcome))) {
    log.misbehaves(number, "the operation was completed more than once, or never given to it");
  }
}

bool CallTable::emit(uint64_t number, std::string_view item) {
  const std::shared_ptr<PendingCall> call = find(number);
  if (!call) {
    log.misbehaves(number, "an item came for an operation that has ended");
    return true;
  }
  const std::lock_guard lock(call->mutex);
  if (!call->executor || !call->on_item) return false;
  ++call->items_queued;
  asio::post(call->executor, [call, copy = std::string(item)] {
    {
      const std::lock_guard inner(call->mutex);
      --call->items_queued;
    }
    // `alarm` is set exactly while the caller waits.
    if (call->alarm != nullptr && !call->outcome) call->on_item(copy);
  });
  return call->items_queued > items_queued_max;
}

bool CallTable::is_cancelled(uint64_t number) {
  const std::shared_ptr<PendingCall> call = find(number);
  return !call || call->cancelled;
}

int64_t CallTable::deadline_ms(uint64_t number) {
  const std::shared_ptr<PendingCall> call = find(number);
  return call ? call->deadline_ms : no_deadline;
}

void CallTable::note_metric(std::string_view name, int64_t value, bool set) {
  if (driver_metrics.note(name, value, set)) return;
  log.misbehaves(0, fmt::format("it counts \"{}\", which is no name for a figure, or one too many",
                                name.substr(0, SKEP_ID_MAX)));
}

std::vector<uint64_t> CallTable::cancel_all() {
  std::vector<uint64_t> numbers;
  const std::lock_guard lock(mutex_);
  for (const auto& [number, call] : calls_) {
    call->cancelled = true;
    deliver(call, fail(ErrorKind::cancelled, "driver " + log.name() + " is being ended"));
    numbers.push_back(number);
  }
  return numbers;
}

bool CallTable::wait_until_idle(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, patience, [this] { return calls_.empty(); });
}

asio::awaitable<Result<std::string>> make_call(std::shared_ptr<Callee> callee,
                                               std::shared_ptr<CallTable> table,
                                               const host::Operation& operation, std::string key,
                                               std::string request, CallOptions options) {
  SKEP_CO_TRY(check_bounds(table->log.name(), key, request));
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  std::shared_ptr<PendingCall> call =
      table->begin(executor, operation, std::move(key), std::move(request), std::move(options));
  callee->start(call);
  std::weak_ptr<Callee> told = callee;
  callee.reset();
  co_return co_await wait_for(std::move(call), std::move(table), std::move(told));
}

}  // namespace skep::drivers
