// Buckets, counters, and the bounds of what a driver may name.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/plugin_metrics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace skep::drivers {
namespace {

constexpr size_t driver_metrics_max = 64;  // of one plugin, as skep/abi.h says
constexpr size_t metric_name_max = 64;     // bytes

// 0, 1, 2, 3 us have a bucket each; from 4 on four buckets for each power of two.
size_t bucket_of(uint64_t microseconds, size_t buckets) {
  if (microseconds < 4) return static_cast<size_t>(microseconds);
  const int power = std::bit_width(microseconds) - 1;
  const uint64_t quarter = (microseconds >> (power - 2)) & 3;
  return std::min(static_cast<size_t>(power - 1) * 4 + static_cast<size_t>(quarter), buckets - 1);
}

uint64_t upper_edge(size_t bucket) {
  if (bucket < 4) return bucket + 1;
  const size_t power = bucket / 4 + 1;
  return (uint64_t{4} + bucket % 4 + 1) << (power - 2);
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= metric_name_max &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
         });
}

}  // namespace

void LatencyHistogram::add(std::chrono::microseconds latency) {
  const auto count = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
  ++buckets_.at(bucket_of(count, buckets_max));
  ++count_;
}

std::chrono::microseconds LatencyHistogram::quantile(double share) const {
  if (count_ == 0) return std::chrono::microseconds(0);
  const auto wanted =
      std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_))));
  uint64_t seen = 0;
  size_t bucket = 0;
  for (; bucket < buckets_max; ++bucket) {
    seen += buckets_.at(bucket);
    if (seen >= wanted) break;
  }
  return std::chrono::microseconds(static_cast<int64_t>(upper_edge(bucket)));
}

OperationMetrics& CallMetrics::of(const host::Operation& operation) {
  return operations_[std::string(operation.interface) + " " + std::string(operation.name)];
}

void CallMetrics::begun(const host::Operation& operation) {
  ++of(operation).in_flight;
}

void CallMetrics::ended(const host::Operation& operation, const ErrorKind* kind,
                        std::chrono::microseconds latency) {
  OperationMetrics& metrics = of(operation);
  --metrics.in_flight;
  ++metrics.ended;
  if (kind != nullptr) ++metrics.errors[*kind];
  metrics.latency.add(latency);
}

bool DriverMetrics::note(std::string_view name, int64_t value, bool set) {
  if (!is_name(name)) return false;
  const std::lock_guard lock(mutex_);
  auto found = values_.find(name);
  if (found == values_.end()) {
    if (values_.size() >= driver_metrics_max) return false;
    found = values_.emplace(std::string(name), Value{}).first;
  }
  found->second.gauge = set;
  int64_t& kept = found->second.value;
  const int64_t end =
      value < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  if (set) kept = value;
  if (!set && __builtin_add_overflow(kept, value, &kept)) kept = end;
  return true;
}

std::map<std::string, DriverMetrics::Value> DriverMetrics::values() const {
  const std::lock_guard lock(mutex_);
  return {values_.begin(), values_.end()};
}

}  // namespace skep::drivers
