// Each waiter brings a timer of its own; to notify is to cancel them all. The list is shared with
// the waiters so that neither side's end leaves the other with a dangling pointer.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/signal.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace skep::agent {
namespace {

class Membership {
 public:
  Membership(std::shared_ptr<std::list<boost::asio::steady_timer*>> list,
             boost::asio::steady_timer* timer)
      : list_(std::move(list)), at_(list_->insert(list_->end(), timer)) {}
  ~Membership() { list_->erase(at_); }
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

 private:
  std::shared_ptr<std::list<boost::asio::steady_timer*>> list_;
  std::list<boost::asio::steady_timer*>::iterator at_;
};

}  // namespace

Signal::Signal(boost::asio::any_io_executor loop)
    : loop_(std::move(loop)), waiters_(std::make_shared<Waiters>()) {}

void Signal::notify() {
  for (boost::asio::steady_timer* timer : *waiters_) timer->cancel();
}

boost::asio::awaitable<void> Signal::changed() {
  boost::asio::steady_timer timer(loop_, boost::asio::steady_timer::time_point::max());
  const Membership member(waiters_, &timer);
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

boost::asio::awaitable<void> Signal::changed_within(std::chrono::nanoseconds limit) {
  boost::asio::steady_timer timer(loop_, limit);
  const Membership member(waiters_, &timer);
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

}  // namespace skep::agent
