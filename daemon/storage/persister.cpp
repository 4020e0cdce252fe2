// The storage thread; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/persister.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace skep::storage {

Persister::Persister(boost::asio::io_context& loop, std::unique_ptr<LogStore> store)
    : loop_(loop), store_(std::move(store)), thread_([this] { run(); }) {}

Persister::~Persister() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Persister::persist(raft::Persist batch, Done done) {
  // std::function wants something it can copy.
  auto shared = std::make_shared<const raft::Persist>(std::move(batch));
  add([shared](LogStore& store) { return store.persist(*shared); }, std::move(done));
}

void Persister::save_snapshot(std::function<Snapshot()> make, Done done) {
  add([make = std::move(make)](LogStore& store) { return store.save_snapshot(make()); },
      std::move(done));
}

void Persister::compact(raft::Index through, Done done) {
  add([through](LogStore& store) { return store.compact(through); }, std::move(done));
}

void Persister::add(Work work, Done done) {
  {
    const std::lock_guard lock(mutex_);
    SKEP_ASSERT(jobs_.size() < kJobsMax, "callers wait for completions before they ask for more");
    jobs_.push_back({std::move(work), std::move(done)});
  }
  changed_.notify_one();
}

void Persister::run() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    boost::asio::post(loop_, [done = std::move(job.done), status = job.work(*store_)]() mutable {
      done(std::move(status));
    });
  }
}

}  // namespace skep::storage
