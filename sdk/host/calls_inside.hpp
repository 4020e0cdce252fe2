// Which calls are inside the driver at this moment, and which of them it has completed meanwhile.
//
// Needed at one place: a driver's function has returned, and the host must know whether the
// operation was completed from inside it, perhaps on another thread. A map under a lock would cost
// more than the whole rest of a call, so there are 64 slots, one word each: the number of the call,
// with its top bit set once it is completed. A call takes the slot that its number points at or one
// of the next three; when those are taken, it goes to a list under a lock, which then is looked at
// too. Numbers count up, so that is rare.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace skep::host {

// [any thread] Numbers are below 2^63, not 0, and inside once at a time.
class CallsInside {
 public:
  void enter(uint64_t number) {
    for (size_t step = 0; step < steps; ++step) {
      uint64_t empty = 0;
      if (slot(number, step).compare_exchange_strong(empty, number, std::memory_order_acq_rel)) {
        return;
      }
    }
    const std::lock_guard lock(mutex_);
    crowd_.push_back(number);
    crowded_.store(crowd_.size(), std::memory_order_release);
  }

  // The driver has completed this number; nothing happens when it is not inside.
  void completed(uint64_t number) {
    for (size_t step = 0; step < steps; ++step) {
      uint64_t expected = number;
      std::atomic<uint64_t>& place = slot(number, step);
      if (place.load(std::memory_order_acquire) == number &&
          place.compare_exchange_strong(expected, number | done, std::memory_order_acq_rel)) {
        return;
      }
    }
    if (crowded_.load(std::memory_order_acquire) == 0) return;
    const std::lock_guard lock(mutex_);
    const auto found = std::find(crowd_.begin(), crowd_.end(), number);
    if (found != crowd_.end()) *found |= done;
  }

  // Whether it was completed. Requires that it is inside.
  bool leave(uint64_t number) {
    for (size_t step = 0; step < steps; ++step) {
      std::atomic<uint64_t>& place = slot(number, step);
      if ((place.load(std::memory_order_acquire) & ~done) != number) continue;
      return (place.exchange(0, std::memory_order_acq_rel) & done) != 0;
    }
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(crowd_.begin(), crowd_.end(),
                                    [number](uint64_t entry) { return (entry & ~done) == number; });
    const bool was_done = found != crowd_.end() && (*found & done) != 0;
    if (found != crowd_.end()) crowd_.erase(found);
    crowded_.store(crowd_.size(), std::memory_order_release);
    return was_done;
  }

 private:
  static constexpr uint64_t done = uint64_t{1} << 63;
  static constexpr size_t slots = 64;
  static constexpr size_t steps = 4;

  std::atomic<uint64_t>& slot(uint64_t number, size_t step) {
    return slots_[(number + step) % slots];
  }

  std::array<std::atomic<uint64_t>, slots> slots_{};
  std::atomic<size_t> crowded_{0};  // entries of crowd_
  std::mutex mutex_;
  std::vector<uint64_t> crowd_;
};

}  // namespace skep::host
