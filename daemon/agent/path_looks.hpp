// Looking whether there is something at a path that a user named.
//
// Such a path may lie on a server that does not answer, and then whoever looks may hang for ever,
// beyond the reach of SIGKILL (a FUSE file system that has taken the request). A thread that hangs
// so keeps its whole process from ending, with all its locks and ports. So each look is a process
// of its own that holds nothing of ours: it may be left behind, and nobody ever waits for it.
//
// Such a process is killed after some seconds, and the question is answered with `unavailable`. One
// that can't be killed keeps its path's place: whoever asks again joins the same look, so a path
// costs at most one process, and there are at most kLooksMax of them. When they are used up, other
// paths are answered with `unavailable` too.
//
// The surprise: it is a copy of this process (a fork without exec), so it may do nothing but plain
// system calls. To start one holds up the loop for 0.5 ms, and for some 40 ms for each gigabyte
// that this process has in memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "core/model/result.hpp"

namespace skep::agent {

class PathLooks {
 public:
  // At once. Tasks ask one after the other, so more than a few mean that servers don't answer.
  static constexpr size_t kLooksMax = 16;

  explicit PathLooks(boost::asio::any_io_executor loop,
                     std::chrono::milliseconds limit = std::chrono::seconds(3));
  // Kills the looks that are under way, and leaves those that can't be killed to the one who reaps
  // the daemon's processes (sdk/host/spawner.hpp). Never blocks.
  ~PathLooks();
  PathLooks(const PathLooks&) = delete;
  PathLooks& operator=(const PathLooks&) = delete;

  // Whether there is something, links followed. Requires: an absolute path. On the loop; may be
  // cancelled. Errors, which leave it to the caller to name the path: invalid, for one that can't
  // be a path; unavailable, when it is not known within the limit or at this moment.
  boost::asio::awaitable<Result<bool>> exists(std::string path);

 private:
  struct Look;
  struct State;
  // Errors: unavailable.
  Result<std::shared_ptr<Look>> begin(const std::string& path);

  std::chrono::milliseconds limit_;
  std::shared_ptr<State> state_;  // shared with what waits for the processes
};

}  // namespace skep::agent
