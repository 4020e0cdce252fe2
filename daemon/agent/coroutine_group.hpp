// Coroutines that end together.
//
// Whoever starts background coroutines owns a group of them. cancel() asks all to end (each next
// co_await in them throws operation_aborted, which is their normal end here), done() awaits the
// last. A coroutine that ends with any other exception is logged: it is a bug, and it costs that
// coroutine alone. The group must outlive its coroutines, except when the io_context is destroyed.
// All on the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <list>

#include "daemon/agent/signal.hpp"

namespace skep::agent {

class CoroutineGroup {
 public:
  explicit CoroutineGroup(boost::asio::any_io_executor loop);

  // Starts `body`, unless cancel() was called.
  void start(boost::asio::awaitable<void> body);
  void cancel();
  boost::asio::awaitable<void> done();

 private:
  boost::asio::any_io_executor loop_;
  std::list<boost::asio::cancellation_signal> members_;
  Signal ended_;
  bool cancelled_ = false;
};

}  // namespace skep::agent
