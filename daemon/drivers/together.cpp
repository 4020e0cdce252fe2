// A count, and a timer that stands for its change.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/together.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <exception>
#include <utility>

namespace skep::drivers {

namespace asio = boost::asio;

struct Together::State {
  explicit State(const asio::any_io_executor& loop) : changed(loop) {}

  asio::steady_timer changed;  // cancelled when one ends
  size_t running = 0;
  bool left = false;  // nobody waits any more
  std::exception_ptr thrown;
};

Together::Together(const asio::any_io_executor& loop) : state_(std::make_shared<State>(loop)) {}

void Together::start(asio::awaitable<void> work) {
  ++state_->running;
  asio::co_spawn(state_->changed.get_executor(), std::move(work),
                 [state = state_](std::exception_ptr thrown) {
                   --state->running;
                   if (thrown && state->left) std::rethrow_exception(thrown);
                   if (thrown) state->thrown = thrown;
                   state->changed.cancel();
                 });
}

asio::awaitable<void> Together::end(std::optional<Moment> until) {
  const std::shared_ptr<State> state = state_;
  const Moment last = until.value_or(Moment::max());
  while (state->running > 0 && std::chrono::steady_clock::now() < last) {
    state->changed.expires_at(last);
    co_await state->changed.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  state->left = true;
  if (state->thrown) std::rethrow_exception(state->thrown);
}

}  // namespace skep::drivers
