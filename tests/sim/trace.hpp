// What happened, in order: a hash over all of it and the last few thousand records.
//
// A record is plain words, turned into text only when somebody reads it, so that tracing costs
// nanoseconds and is always on. Two runs of a seed are the same run if their hashes are equal. The
// ring may lie in memory shared with a parent process: the tail then outlives a run that ends in a
// failed assertion.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace skep::sim {

enum class What : uint32_t {
  send,
  deliver,
  lose,
  role,
  persist,
  durable,
  apply,
  snapshot,
  load,
  start,
  crash,
  disk_fault,
  network_fault,
  clock_fault,
  request,
  answer,
  membership,
  refused,
  phase,
  count,
};

using WhatCounts = std::array<uint64_t, static_cast<size_t>(What::count)>;
std::string_view name(What what);

struct Record {
  uint64_t time_us = 0;
  What what = What::phase;
  int32_t host = -1;
  std::array<uint64_t, 5> words{};  // meaning: by `what`, see trace.cpp
  std::array<char, 40> note{};      // cut to fit; ends in a zero
};

struct TraceRing {
  static constexpr size_t kSize = 8192;
  uint64_t written = 0;
  uint64_t seed = 0;
  std::array<Record, kSize> records;
};

class Trace {
 public:
  // `ring` outlives the trace. `print_all`: each record goes to stdout as it is made.
  Trace(TraceRing& ring, bool print_all) : ring_(ring), print_all_(print_all) {}

  void add(uint64_t time_us, What what, int host, std::array<uint64_t, 5> words = {},
           std::string_view note = {});
  uint64_t hash() const { return hash_; }
  // How often each kind of thing happened.
  const WhatCounts& counts() const { return counts_; }

 private:
  TraceRing& ring_;
  bool print_all_;
  uint64_t hash_ = 0;
  WhatCounts counts_{};
};

// One line, without its end.
std::string text(const Record& record);
// The newest `count` records, oldest first.
std::string tail(const TraceRing& ring, size_t count);

}  // namespace skep::sim
