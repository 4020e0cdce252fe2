// To the pool and back, by two posts.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/blocking_work.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <utility>

namespace skep::agent {
namespace {

namespace asio = boost::asio;

Status perform(const std::function<Status()>& work) {
  try {
    return work();
  } catch (const std::exception& thrown) {
    return fail(ErrorKind::internal, thrown.what());
  }
}

}  // namespace

BlockingWork::BlockingWork(size_t threads) : pool_(threads) {}

BlockingWork::~BlockingWork() {
  pool_.join();
}

// Not co_spawn() on the pool: a cancellation would be told there, to an object that the loop may
// be destroying at that moment.
asio::awaitable<Status> BlockingWork::run(std::function<Status()> work) {
  const auto start = [this](auto handler, asio::any_io_executor loop,
                            std::function<Status()> piece) {
    auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
    asio::post(pool_, [waiting = std::move(waiting), guard = asio::make_work_guard(loop), loop,
                       piece = std::move(piece)]() mutable {
      asio::post(loop, [waiting = std::move(waiting), status = perform(piece)]() mutable {
        std::move (*waiting)(std::move(status));
      });
    });
  };
  asio::any_io_executor loop = co_await asio::this_coro::executor;
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Status)>(
      start, asio::use_awaitable, std::move(loop), std::move(work));
}

}  // namespace skep::agent
