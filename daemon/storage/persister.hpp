// The one thread that waits for the disk, so that the daemon's loop never does.
//
// Work is done in the order it was asked for, one piece at a time; each completion is posted to
// the loop. After the first failure every later piece fails with the same reason, without touching
// the disk (the store's latch). The destructor finishes what was asked for, then joins the thread;
// completions posted by then still run if the loop does, so what they capture must outlive the
// loop's run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "daemon/storage/log_store.hpp"

namespace skep::storage {

class Persister {
 public:
  // Takes the store over; `loop` outlives the persister.
  Persister(boost::asio::io_context& loop, std::unique_ptr<LogStore> store);
  ~Persister();
  Persister(const Persister&) = delete;
  Persister& operator=(const Persister&) = delete;

  // Any thread; none of them blocks. `done` runs on the loop.
  using Done = std::function<void(Status)>;
  void persist(raft::Persist batch, Done done);
  // `make` runs on the storage thread, so that serialising a big state does not hold the loop up:
  // what it captures must be immutable.
  void save_snapshot(std::function<Snapshot()> make, Done done);
  void compact(raft::Index through, Done done);

 private:
  using Work = std::function<Status(LogStore&)>;
  struct Job {
    Work work;
    Done done;
  };
  // More than these means that someone does not wait for completions.
  static constexpr size_t kJobsMax = 1024;

  void add(Work work, Done done);
  void run();

  boost::asio::io_context& loop_;
  std::unique_ptr<LogStore> store_;  // the storage thread's alone
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;   // under mutex_
  bool stopping_ = false;  // under mutex_
  std::thread thread_;     // last: starts when the rest stands
};

}  // namespace skep::storage
