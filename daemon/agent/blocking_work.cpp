// A coroutine on the pool is what resumes the other one in the right place.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/blocking_work.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace skep::agent {
namespace {

boost::asio::awaitable<Status> perform(std::function<Status()> work) {
  co_return work();
}

}  // namespace

BlockingWork::BlockingWork() : pool_(1) {}

BlockingWork::~BlockingWork() {
  pool_.join();
}

boost::asio::awaitable<Status> BlockingWork::run(std::function<Status()> work) {
  co_return co_await boost::asio::co_spawn(pool_, perform(std::move(work)),
                                           boost::asio::use_awaitable);
}

}  // namespace skep::agent
