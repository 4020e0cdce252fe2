// A closed loop of clients: each asks, waits for the answer, and asks again until time is up.
//
// Shared by the two load generators of the store bench, so that skep and its peer are driven and
// measured by the same code. The figures go to standard output as one line of JSON, which the bench
// script reads. A failed request is counted and never timed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace skep::bench {

using Clock = std::chrono::steady_clock;

// What all clients together saw. One thread at a time.
class Tally {
 public:
  // The clock begins to count after a warm-up; what was asked before it is not in the figures.
  Tally(std::chrono::milliseconds warm_up, std::chrono::milliseconds length)
      : begin_(Clock::now() + warm_up), end_(begin_ + length) {}

  bool over() const { return Clock::now() >= end_; }

  void answered(Clock::time_point asked) {
    const Clock::time_point now = Clock::now();
    if (asked >= begin_ && now <= end_) latencies_.push_back(now - asked);
  }
  void failed(const std::string& why) {
    if (failures_++ == 0) first_failure_ = why;
  }

  void print() {
    std::sort(latencies_.begin(), latencies_.end());
    const double seconds = std::chrono::duration<double>(end_ - begin_).count();
    std::printf(R"({"per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "failures": %zu, )",
                static_cast<double>(latencies_.size()) / seconds, at(0.50), at(0.99), failures_);
    std::printf(R"("answers": %zu})"
                "\n",
                latencies_.size());
    if (failures_ > 0) std::fprintf(stderr, "the first failure: %s\n", first_failure_.c_str());
  }

 private:
  double at(double part) const {
    if (latencies_.empty()) return 0;
    const auto index = static_cast<size_t>(part * static_cast<double>(latencies_.size() - 1));
    return std::chrono::duration<double, std::milli>(latencies_[index]).count();
  }

  Clock::time_point begin_;
  Clock::time_point end_;
  std::vector<Clock::duration> latencies_;
  size_t failures_ = 0;
  std::string first_failure_;
};

}  // namespace skep::bench
