// Time as the core knows it: values handed in, never read.
//
// WallTime is what objects keep and people see (unix nanoseconds; zero is "not set"). Tick is the
// count that raft and leases run on; how long a tick is belongs to the daemon.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace skep::model {

using Nanoseconds = std::chrono::nanoseconds;

struct WallTime {
  int64_t unix_ns = 0;
  auto operator<=>(const WallTime&) const = default;
  explicit operator bool() const { return unix_ns != 0; }
  WallTime operator+(Nanoseconds d) const { return {unix_ns + d.count()}; }
  Nanoseconds operator-(WallTime other) const { return Nanoseconds(unix_ns - other.unix_ns); }
};

}  // namespace skep::model
