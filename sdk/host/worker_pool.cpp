// The pool's one loop, and how it ends.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/worker_pool.hpp"

#include <utility>

namespace skep::host {

WorkerPool::~WorkerPool() {
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerPool::run(std::string key, std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  ++unfinished_;
  if (!key.empty()) {
    const auto [found, first] = held_.try_emplace(key);
    if (!first) {
      found->second.push_back({std::move(key), std::move(job)});
      return true;
    }
  }
  ready_.push_back({std::move(key), std::move(job)});
  if (ready_.size() > idle_ && threads_.size() < threads_max_) {
    threads_.emplace_back([this] { serve(); });
  }
  ready_changed_.notify_one();
  return true;
}

bool WorkerPool::close(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  closed_ = true;
  const bool quiet = quiet_.wait_for(lock, patience, [this] { return unfinished_ == 0; });
  ready_changed_.notify_all();
  return quiet;
}

void WorkerPool::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    ready_changed_.wait(lock, [this] { return !ready_.empty() || (closed_ && unfinished_ == 0); });
    --idle_;
    if (ready_.empty()) return;
    Job job = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    job.work();
    job.work = nullptr;  // what it captured goes before the key is free again
    lock.lock();
    --unfinished_;
    if (!job.key.empty()) {
      const auto found = held_.find(job.key);
      if (found->second.empty()) {
        held_.erase(found);
      } else {
        // This thread takes the next round anyway, so nobody needs to be woken for it.
        ready_.push_back(std::move(found->second.front()));
        found->second.pop_front();
      }
    }
    if (unfinished_ == 0) {
      quiet_.notify_all();
      if (closed_) ready_changed_.notify_all();
    }
  }
}

}  // namespace skep::host
