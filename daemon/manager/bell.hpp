// Something has changed: whoever waits for that looks again.
//
// A bell says that, not what; a waiter decides by what it then sees. It names the stroke it knows
// of, taken before it looked, so that a change between looking and waiting is not slept through.
// Every wait has an end of its own: a stroke that never comes must not hold anybody for ever.
//
// All on the daemon's loop. Waiters are woken by a turn of it, never from within ring().
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>

namespace skep::manager {

namespace asio = boost::asio;

// Held by shared pointers, since waiters may outlive whoever rings.
class Bell : public std::enable_shared_from_this<Bell> {
 public:
  explicit Bell(asio::any_io_executor loop) : loop_(std::move(loop)) {}
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  // How often it has rung.
  uint64_t strokes() const { return strokes_; }
  void ring();
  // Resolves when it has rung more often than `seen`, at once if it has already, or after `most`.
  asio::awaitable<void> wait(uint64_t seen, std::chrono::milliseconds most);

 private:
  asio::any_io_executor loop_;
  std::set<asio::steady_timer*> waiters_;
  uint64_t strokes_ = 0;
};

}  // namespace skep::manager
