// Work that waits for the disk, done on a thread of its own so that the loop never does.
//
// One thread: the pieces run one after the other, in the order they were given. They must not touch
// anything of the loop; what they need goes into the function by value. A coroutine that is
// cancelled stops waiting, the work is done all the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>

#include "core/model/result.hpp"

namespace skep::agent {

class BlockingWork {
 public:
  BlockingWork();
  // Waits for what is under way.
  ~BlockingWork();
  BlockingWork(const BlockingWork&) = delete;
  BlockingWork& operator=(const BlockingWork&) = delete;

  // Resumes on the caller's executor with what `work` returned.
  boost::asio::awaitable<Status> run(std::function<Status()> work);

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace skep::agent
