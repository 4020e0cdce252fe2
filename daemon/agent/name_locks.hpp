// One at a time for each name: coroutines that would change the same object wait for one another.
//
// Nothing is fair or counted: whoever wakes first goes on. A lock is given back when its holder is
// destroyed, also with a coroutine that was cancelled or never resumed, and also after the
// NameLocks itself is gone. On the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "daemon/agent/signal.hpp"

namespace skep::agent {

class NameLocks {
  struct State {
    explicit State(boost::asio::any_io_executor loop) : freed(std::move(loop)) {}
    std::set<std::string> held;
    Signal freed;
  };

 public:
  class Held {
   public:
    Held(std::shared_ptr<State> state, std::string name)
        : state_(std::move(state)), name_(std::move(name)) {}
    Held(Held&& other) noexcept = default;
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (!state_) return;
      state_->held.erase(name_);
      state_->freed.notify();
    }

   private:
    std::shared_ptr<State> state_;  // empty once moved from
    std::string name_;
  };

  explicit NameLocks(boost::asio::any_io_executor loop)
      : state_(std::make_shared<State>(std::move(loop))) {}

  bool is_held(const std::string& name) const { return state_->held.contains(name); }

  boost::asio::awaitable<Held> hold(std::string name) {
    const std::shared_ptr<State> state = state_;
    while (state->held.contains(name)) co_await state->freed.changed();
    state->held.insert(name);
    co_return Held(state, std::move(name));
  }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace skep::agent
