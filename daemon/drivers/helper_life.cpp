// The socket on the loop, and the ends that a life can take.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/helper_life.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace skep::drivers {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

// Beyond its deadline, for a call that was cancelled to come back; then its process is killed.
constexpr std::chrono::milliseconds last_patience{500};

// For a process that was killed to be gone; then nobody waits for it any more.
constexpr std::chrono::milliseconds death_patience{2'000};

bool may_take_any_time(const host::Operation& operation) {
  return operation.effect == host::Effect::waits || operation.effect == host::Effect::streams;
}

}  // namespace

HelperLife::HelperLife(asio::any_io_executor loop, std::shared_ptr<CallTable> table, OnLost on_lost)
    : loop_(loop),
      table_(std::move(table)),
      on_lost_(std::move(on_lost)),
      dying_(loop),
      changed_(loop, steady_clock::time_point::max()) {}

HelperLife::~HelperLife() {
  detach();
}

Result<std::shared_ptr<HelperLife>> HelperLife::begin(
    asio::any_io_executor loop, const host::CheckedFile& file, const host::PluginIdentity& identity,
    const host::HelperOptions& options, std::shared_ptr<CallTable> table, OnLost on_lost) {
  const std::shared_ptr<HelperLife> life(
      new HelperLife(std::move(loop), std::move(table), std::move(on_lost)));
  SKEP_TRY_ASSIGN(std::unique_ptr<host::Helper> helper,
                  host::Helper::spawn(file, identity, options, *life));
  life->attach(std::move(helper));
  return life;
}

void HelperLife::attach(std::unique_ptr<host::Helper> helper) {
  helper_ = std::move(helper);
  socket_.emplace(loop_, helper_->descriptor());
  watch();
}

// The descriptor stays the helper's, so it is let go, not closed.
void HelperLife::detach() {
  if (!socket_) return;
  static_cast<void>(socket_->release());
  socket_.reset();
}

void HelperLife::watch() {
  socket_->async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& stopped) {
                        if (stopped || self->lost_) return;
                        self->helper_->turn();
                        if (!self->lost_) self->watch();
                      });
}

asio::awaitable<void> HelperLife::change(steady_clock::time_point until) {
  asio::steady_timer limit(loop_, until);
  limit.async_wait([self = weak_from_this()](const boost::system::error_code& stopped) {
    const std::shared_ptr<HelperLife> life = self.lock();
    if (life && !stopped) life->changed_.cancel();
  });
  co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<Status> HelperLife::stands(std::chrono::milliseconds patience) {
  const std::shared_ptr<HelperLife> self = shared_from_this();  // for the coroutine's life
  const auto until = steady_clock::now() + patience;
  while (!ready_ && !refused_ && !lost_ && steady_clock::now() < until) co_await change(until);
  if (refused_) co_return fail(*refused_);
  if (ready_) co_return Status();
  if (!lost_) {
    kill(
        fmt::format("init_timed_out: {} did not come up within {} s; look for its lines in the log",
                    table_->log.name(), patience.count() / 1000));
    co_return fail(ErrorKind::plugin_lost, kill_reason_);
  }
  co_return fail(ErrorKind::plugin_lost, how_);
}

void HelperLife::start(std::shared_ptr<PendingCall> call) {
  if (lost_) {
    table_->finish(call->number, fail(ErrorKind::plugin_lost,
                                      "driver " + table_->log.name() + " was lost: " + how_));
    return;
  }
  const uint64_t number = call->number;
  // A driver that locks for itself asks for no order.
  const bool concurrent = (facts_.flags & SKEP_PLUGIN_CONCURRENT) != 0;
  const std::string_view key = concurrent ? std::string_view() : std::string_view(call->key);
  in_flight_.emplace(number, InFlight{call, nullptr});
  helper_->call(*call->operation, number, key, call->deadline_ms, call->request);
}

void HelperLife::give_up(uint64_t number) {
  const auto found = in_flight_.find(number);
  if (found == in_flight_.end() || lost_) return;
  helper_->cancel(number);
  const PendingCall& call = *found->second.call;
  if (call.deadline_ms == no_deadline || may_take_any_time(*call.operation)) return;
  const steady_clock::time_point deadline{std::chrono::milliseconds(call.deadline_ms)};
  auto timer = std::make_unique<asio::steady_timer>(
      loop_, std::max(deadline, steady_clock::now()) + last_patience);
  // The timer goes with the entry, so when this comes the call is still in flight.
  timer->async_wait([self = weak_from_this(), name = std::string(call.operation->name)](
                        const boost::system::error_code& stopped) {
    const std::shared_ptr<HelperLife> life = self.lock();
    if (stopped || !life || life->lost_) return;
    life->kill(
        fmt::format("killed, because it did not end {} half a second after its deadline", name));
  });
  found->second.last_patience = std::move(timer);
}

void HelperLife::set_log_level(int32_t level) {
  if (lost_) return;
  helper_->set_log_level(level);
}

pid_t HelperLife::pid() const {
  return lost_ ? 0 : helper_->pid();
}

asio::awaitable<void> HelperLife::quiet(std::chrono::milliseconds patience) {
  const std::shared_ptr<HelperLife> self = shared_from_this();
  const auto until = steady_clock::now() + patience;
  const auto working = [this] {
    return std::any_of(in_flight_.begin(), in_flight_.end(), [](const auto& entry) {
      return !may_take_any_time(*entry.second.call->operation);
    });
  };
  while (!lost_ && working() && steady_clock::now() < until) co_await change(until);
}

asio::awaitable<void> HelperLife::end(std::string reason, std::chrono::milliseconds patience) {
  const std::shared_ptr<HelperLife> self = shared_from_this();
  on_lost_ = nullptr;
  if (lost_) co_return;
  end_calls(reason);
  kill_reason_ = std::move(reason);
  ending_ = true;
  helper_->end();
  const auto until = steady_clock::now() + patience;
  while (!lost_ && steady_clock::now() < until) co_await change(until);
  if (!lost_) kill(kill_reason_);
  while (!lost_) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
}

void HelperLife::kill(std::string reason) {
  if (lost_) return;
  kill_reason_ = std::move(reason);
  helper_->kill();
  dying_.expires_after(death_patience);
  dying_.async_wait([self = weak_from_this()](const boost::system::error_code& stopped) {
    const std::shared_ptr<HelperLife> life = self.lock();
    if (life && !stopped && !life->lost_) life->leave_behind();
  });
}

// Whoever waits is told; the process is reaped by somebody else, should it ever end.
void HelperLife::leave_behind() {
  table_->log.line(
      0, SKEP_LOG_ERROR,
      fmt::format("process {} was killed, but does not end; it is left behind", helper_->pid()));
  lost("was killed, but does not end");
  helper_.reset();
}

void HelperLife::drop() {
  on_lost_ = nullptr;
  lost_ = true;
  how_ = "it was ended";
  in_flight_.clear();
  detach();
  changed_.cancel();
  helper_.reset();
}

void HelperLife::ready(const std::vector<const host::Operation*>& present,
                       std::string_view config_schema, std::string_view options_schema,
                       uint32_t flags) {
  ready_ = true;
  present_ = present;
  facts_ = {true, std::string(config_schema), std::string(options_schema), flags};
  changed_.cancel();
}

void HelperLife::refused(Error reason) {
  refused_ = std::move(reason);
  changed_.cancel();
}

void HelperLife::completed(uint64_t number, skep_status status, std::string_view reply,
                           std::string_view error) {
  if (ending_) return;  // its caller was told already
  in_flight_.erase(number);
  table_->complete(number, status, reply, error);
  changed_.cancel();
}

void HelperLife::emitted(uint64_t number, std::string_view item) {
  if (!ending_) table_->emit(number, item);
}

void HelperLife::logged(uint64_t number, int32_t level, std::string_view message) {
  table_->log.line(number, level, message);
}

void HelperLife::printed(std::string_view line) {
  table_->log.line(0, SKEP_LOG_WARNING, fmt::format("stderr: {}", line));
}

void HelperLife::metric(std::string_view name, int64_t value, bool set) {
  table_->note_metric(name, value, set);
}

void HelperLife::end_calls(const std::string& how) {
  for (const auto& [number, entry] : in_flight_) {
    table_->finish(number, fail(ErrorKind::plugin_lost,
                                fmt::format("driver {} was lost during {}: {}", table_->log.name(),
                                            entry.call->operation->name, how)));
  }
  in_flight_.clear();
}

void HelperLife::lost(std::string_view how) {
  lost_ = true;
  how_ = kill_reason_.empty() ? std::string(how) : kill_reason_;
  detach();
  end_calls(how_);
  changed_.cancel();
  if (!on_lost_) return;
  asio::post(loop_,
             [self = shared_from_this(), told = std::exchange(on_lost_, nullptr)] { told(self); });
}

}  // namespace skep::drivers
