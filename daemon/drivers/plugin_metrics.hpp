// What is counted for a plugin: each operation by the host, and whatever the driver counts itself.
//
// Latencies go into buckets of a quarter of a power of two, so that p50 and p99 are known to within
// a fifth at the cost of one increment. An operation's figures are those of its callers: what
// waited for a driver to be restarted has that wait in its latency.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "sdk/host/catalog.hpp"

namespace skep::drivers {

class LatencyHistogram {
 public:
  void add(std::chrono::microseconds latency);
  // The latency that `share` (0 to 1) of all calls stayed below: the upper edge of its bucket. 0
  // when nothing was added.
  std::chrono::microseconds quantile(double share) const;
  uint64_t count() const { return count_; }

 private:
  static constexpr size_t buckets_max = 4 * 40;  // up to 2^40 us, twelve days
  std::array<uint64_t, buckets_max> buckets_{};
  uint64_t count_ = 0;
};

struct OperationMetrics {
  uint64_t ended = 0;
  uint64_t in_flight = 0;
  std::map<ErrorKind, uint64_t> errors;
  LatencyHistogram latency;
};

// On the loop only.
class CallMetrics {
 public:
  void begun(const host::Operation& operation);
  // `kind` nullptr: it went well.
  void ended(const host::Operation& operation, const ErrorKind* kind,
             std::chrono::microseconds latency);
  // By "skep.volume/1 publish".
  const std::map<std::string, OperationMetrics>& operations() const { return operations_; }

 private:
  OperationMetrics& of(const host::Operation& operation);
  std::map<std::string, OperationMetrics> operations_;
};

// skep.host.metric/1 of one plugin. A helper that is started anew counts on. [any thread]
class DriverMetrics {
 public:
  struct Value {
    int64_t value = 0;
    bool gauge = false;
  };
  // False when the name is none, or there are too many.
  bool note(std::string_view name, int64_t value, bool set);
  std::map<std::string, Value> values() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace skep::drivers
