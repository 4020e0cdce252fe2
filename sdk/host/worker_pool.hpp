// Threads that may block, with calls of one key in order and never at the same time.
//
// A thread is added whenever a job is ready and none is idle, up to a bound; beyond it jobs queue.
// A key that has a job running keeps its later jobs aside, so that they occupy no thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace skep::host {

class WorkerPool {
 public:
  explicit WorkerPool(size_t threads_max) : threads_max_(threads_max) {}
  // Requires: close() was called and told that all is quiet.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Queues `job`; false after close(). Never blocks. [any thread]
  bool run(std::string key, std::function<void()> job);

  // Takes no more jobs, and waits until those taken have ended; false when that takes longer than
  // `patience`. Then the threads are still in use and this object must be kept for ever.
  bool close(std::chrono::milliseconds patience);

 private:
  struct Job {
    std::string key;
    std::function<void()> work;
  };
  void serve();

  const size_t threads_max_;
  std::mutex mutex_;
  std::condition_variable ready_changed_;
  std::condition_variable quiet_;
  std::deque<Job> ready_;
  std::unordered_map<std::string, std::deque<Job>> held_;  // a key that runs -> its jobs to come
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  size_t unfinished_ = 0;
  bool closed_ = false;
};

}  // namespace skep::host
