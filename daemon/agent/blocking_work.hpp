// Work that waits for the disk or the kernel, done on threads of its own so that the loop never
// does.
//
// With one thread the pieces run one after the other, in the order they were given. They must not
// touch anything of the loop; what they need goes into the function by value. Whoever waits, waits
// to the end, cancelled or not: nothing of a coroutine is ever touched from another thread. So
// nothing that may never end goes in here; for paths that users named there is path_looks.hpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <functional>

#include "core/model/result.hpp"

namespace skep::agent {

class BlockingWork {
 public:
  explicit BlockingWork(size_t threads = 1);
  // Waits for what is under way.
  ~BlockingWork();
  BlockingWork(const BlockingWork&) = delete;
  BlockingWork& operator=(const BlockingWork&) = delete;

  // Resumes on the caller's executor with what `work` returned, or internal with what it threw.
  boost::asio::awaitable<Status> run(std::function<Status()> work);

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace skep::agent
