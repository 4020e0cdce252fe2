// A timer for each waiter; a stroke cancels them all.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/bell.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace skep::manager {

void Bell::ring() {
  ++strokes_;
  for (asio::steady_timer* waiter : waiters_) waiter->cancel();
}

asio::awaitable<void> Bell::wait(uint64_t seen, std::chrono::milliseconds most) {
  if (strokes_ != seen) co_return;
  const std::shared_ptr<Bell> self = shared_from_this();
  asio::steady_timer timer(loop_);
  timer.expires_after(most);
  // What waits may be destroyed instead of resumed (a loop that is torn down).
  struct Leave {
    std::set<asio::steady_timer*>& waiters;
    asio::steady_timer* timer;
    ~Leave() { waiters.erase(timer); }
  } at_the_end{waiters_, &timer};
  waiters_.insert(&timer);
  boost::system::error_code woken;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

}  // namespace skep::manager
