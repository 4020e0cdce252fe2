// The removal of what nobody owns, which restore_done() asks for: at once when containerd answers,
// and otherwise as soon as it does again. So a containerd that is away at that one moment does not
// leave snapshots and leases of an earlier life behind until the driver's next start.
//
// One thread at most, which exists only while a removal is owed. It looks once a second: a start of
// containerd takes longer, and nobody waits for this.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace skep::containerd {

class Sweep {
 public:
  // `clean_up` does the removal, blocks and throws Failure; `answers` tells whether it is worth a
  // try; `log` gets a line when it has to wait, and one when it is done or given up.
  Sweep(std::function<void()> clean_up, std::function<bool()> answers,
        std::function<void(int, std::string)> log);
  // Waits for a removal that is under way: end what it stands on (its connection) before.
  ~Sweep();
  Sweep(const Sweep&) = delete;
  Sweep& operator=(const Sweep&) = delete;

  // Blocks while containerd answers; owes the removal and returns when it does not. Throws Failure
  // for every other reason. [any-thread]
  void run();
  // No further try; one that is under way goes on. [any-thread]
  void stop();

 private:
  void keep_trying();
  // True when it was done, or never will be.
  bool try_once();

  const std::function<void()> clean_up_;
  const std::function<bool()> answers_;
  const std::function<void(int, std::string)> log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // guarded by mutex_
  bool owed_ = false;      // guarded by mutex_; the thread runs
  std::thread thread_;     // guarded by mutex_
};

}  // namespace skep::containerd
