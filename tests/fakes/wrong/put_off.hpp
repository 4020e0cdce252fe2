// Work that a mistake leaves to the next call although it has answered: a driver that is killed in
// between never did it, whatever the moment, so that a test of it depends on no clock.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <utility>

namespace wrong_driver {

// [any thread]
class PutOff {
 public:
  // One piece of work at a time; the call before has caught up.
  void put(std::function<void()> work) {
    const std::scoped_lock lock(lock_);
    work_ = std::move(work);
  }
  void catch_up() {
    const std::scoped_lock lock(lock_);
    if (const std::function<void()> work = std::exchange(work_, nullptr)) work();
  }

 private:
  std::mutex lock_;
  std::function<void()> work_;
};

}  // namespace wrong_driver
