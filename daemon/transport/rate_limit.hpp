// A bucket of permits that fills at a steady rate: how often something costly may be asked for.
//
// Time is handed in. It starts full.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

namespace skep::transport {

struct Rate {
  double per_second = 0;
  double burst = 0;  // how many at once after a pause
};

class PermitBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  explicit PermitBucket(Rate rate) : rate_(rate), permits_(rate.burst) {}

  // False: too often.
  bool take(TimePoint now) {
    if (last_ != TimePoint()) {
      const std::chrono::duration<double> passed = now - last_;
      permits_ = std::min(rate_.burst, permits_ + passed.count() * rate_.per_second);
    }
    last_ = now;
    if (permits_ < 1) return false;
    permits_ -= 1;
    return true;
  }

 private:
  Rate rate_;
  double permits_;
  TimePoint last_;
};

}  // namespace skep::transport
