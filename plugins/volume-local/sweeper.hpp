// The deletion of what was taken away, by one thread in the background: a volume may have millions
// of files, and neither the call that removes it nor a start of the driver may wait for them.
//
// It may be cut off anywhere and begun again. No folder is gone into below the first level: one
// that is found is moved up to the top of what is deleted, and has its turn there. So the depth of
// a tree costs neither stack nor descriptors, no link in it is ever followed, and the end of the
// driver waits for one file at most. A mount is never deleted through: it is undone first, or else
// stays, with what it lies on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace skep::volume_local {

class Sweeper {
 public:
  using Log = std::function<void(int32_t level, const std::string& line)>;
  explicit Sweeper(Log log) : log_(std::move(log)) {}
  // Does not wait for what is under way; what is left is somebody's to give again.
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  // Deletes the folder `path` and all below it, some time. What can't be deleted stays, and is told
  // to the log. Nobody else may change it. [any-thread]
  void sweep(std::string path);

 private:
  void work();
  void delete_tree(const std::string& path);
  bool is_stopping();

  Log log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> paths_;  // guarded by mutex_
  bool stopping_ = false;          // guarded by mutex_
  std::thread thread_;             // guarded by mutex_; runs since the first path
};

}  // namespace skep::volume_local
