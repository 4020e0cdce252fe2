// One cancellation signal per coroutine; its place in the list is freed by the completion.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/coroutine_group.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <utility>

namespace skep::agent {
namespace {

void log_unless_cancelled(const std::exception_ptr& failure) {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) return;
    spdlog::error("agent: a coroutine ended with {}", error.what());
  } catch (const std::exception& error) {
    spdlog::error("agent: a coroutine ended with {}", error.what());
  }
}

}  // namespace

CoroutineGroup::CoroutineGroup(boost::asio::any_io_executor loop) : loop_(loop), ended_(loop) {}

void CoroutineGroup::start(boost::asio::awaitable<void> body) {
  if (cancelled_) return;
  const auto member = members_.emplace(members_.end());
  boost::asio::co_spawn(
      loop_, std::move(body),
      boost::asio::bind_cancellation_slot(member->slot(), [this, member](std::exception_ptr end) {
        log_unless_cancelled(end);
        members_.erase(member);
        if (members_.empty()) ended_.notify();
      }));
}

void CoroutineGroup::cancel() {
  cancelled_ = true;
  // A member may end, and leave the list, while it is being told.
  for (auto next = members_.begin(); next != members_.end();) {
    const auto member = next++;
    member->emit(boost::asio::cancellation_type::terminal);
  }
}

boost::asio::awaitable<void> CoroutineGroup::done() {
  while (!members_.empty()) co_await ended_.changed();
}

}  // namespace skep::agent
