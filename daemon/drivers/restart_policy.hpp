// When a driver's process is started again, and when that is given up for a while.
//
// The first restart comes at once; as long as its lives are short, each further one waits twice as
// long, from 250 ms to 30 s. Five losses within two minutes open the breaker: for 30 s nothing is
// tried, then one start is. If that life is lost young as well, the breaker opens again at once.
//
// A step function of moments handed in; it neither waits nor starts anything.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

namespace skep::drivers {

class RestartPolicy {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  using Milliseconds = std::chrono::milliseconds;

  static constexpr Milliseconds wait_min{250};
  static constexpr Milliseconds wait_max{30'000};
  static constexpr Milliseconds good_life{10'000};  // after one of these nothing is held against it
  static constexpr Milliseconds window{120'000};
  static constexpr size_t losses_max = 5;  // in the window; that many open the breaker
  static constexpr Milliseconds open_for{30'000};

  // A life ended, or a start failed (`lived` 0: it never served). How long to wait before the next
  // start.
  Milliseconds lost(Moment now, Milliseconds lived);
  bool open() const { return open_; }
  // A start succeeded: it serves. The breaker closes, on trial if it was open.
  void served() { open_ = false; }
  // An operator intervened: nothing is held against it.
  void reset();
  size_t losses(Moment now) const;  // in the window that ends at `now`

 private:
  std::deque<Moment> losses_;
  Milliseconds next_{0};
  bool open_ = false;
  bool on_trial_ = false;
};

}  // namespace skep::drivers
