// Waiting for "something changed" on the loop.
//
// The waiter looks at the state, finds it not as it wants it, and awaits changed(); whoever changes
// the state calls notify(). All on one thread, so nothing can slip in between the look and the
// wait, and spurious wake-ups are harmless: the state is looked at again. Nothing is counted: this
// is not a semaphore. A waiter may outlive the Signal; it then sleeps until it is cancelled.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <memory>

namespace skep::agent {

class Signal {
 public:
  explicit Signal(boost::asio::any_io_executor loop);

  void notify();

  // Returns after the next notify(), or at the end of the coroutine's life (then the following
  // co_await throws operation_aborted, as Asio has it).
  boost::asio::awaitable<void> changed();

  // The same, but not longer than `limit`.
  boost::asio::awaitable<void> changed_within(std::chrono::nanoseconds limit);

 private:
  using Waiters = std::list<boost::asio::steady_timer*>;

  boost::asio::any_io_executor loop_;
  std::shared_ptr<Waiters> waiters_;
};

}  // namespace skep::agent
