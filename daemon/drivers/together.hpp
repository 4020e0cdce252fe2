// Coroutines that run at the same time, and somebody who waits for them, but not for ever.
//
// What does not end in time goes on by itself, so each coroutine has to own what it touches. An
// exception of one that is waited for comes out of end(); one that comes later is a bug of its own,
// and leaves through the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>

namespace skep::drivers {

// A copy is the same group.
class Together {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  explicit Together(const boost::asio::any_io_executor& loop);

  // Begins `work` at once, or with the loop's next turn. On the loop, as all of this.
  void start(boost::asio::awaitable<void> work);
  // Until all have ended, or `until` has come.
  boost::asio::awaitable<void> end(std::optional<Moment> until = {});

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace skep::drivers
