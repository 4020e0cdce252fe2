// Counting calls, and a driver's own figures.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/plugin_metrics.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>

using skep::ErrorKind;
using skep::drivers::CallMetrics;
using skep::drivers::DriverMetrics;
using skep::drivers::LatencyHistogram;
using std::chrono::microseconds;

TEST_CASE("a quantile is at most a quarter above the latency it stands for, and never below") {
  for (const int64_t latency : {0, 1, 3, 4, 5, 7, 8, 100, 1000, 12'345, 999'999, 86'400'000}) {
    LatencyHistogram histogram;
    for (int i = 0; i < 10; ++i) histogram.add(microseconds(latency));
    const int64_t told = histogram.quantile(0.5).count();
    INFO(latency << " is told as " << told);
    CHECK(told > latency);
    CHECK(told <= latency + latency / 4 + 1);
  }
}

TEST_CASE("quantiles part the fast from the slow") {
  LatencyHistogram histogram;
  CHECK(histogram.quantile(0.5).count() == 0);
  for (int i = 0; i < 98; ++i) histogram.add(microseconds(10));
  for (int i = 0; i < 2; ++i) histogram.add(microseconds(1'000'000));
  CHECK(histogram.quantile(0.5) < microseconds(20));
  CHECK(histogram.quantile(0.98) < microseconds(20));
  CHECK(histogram.quantile(0.99) >= microseconds(1'000'000));
  histogram.add(microseconds(INT64_MAX / 2));  // beyond the last bucket
  histogram.add(microseconds(-5));             // a clock that stepped
  CHECK(histogram.count() == 102);
}

TEST_CASE("calls are counted by operation, with their errors by kind") {
  CallMetrics metrics;
  const skep::host::Operation operation{"skep.x/1", "go", 8, {}};
  metrics.begun(operation);
  metrics.begun(operation);
  metrics.begun(operation);
  const ErrorKind busy = ErrorKind::busy;
  metrics.ended(operation, nullptr, microseconds(5));
  metrics.ended(operation, &busy, microseconds(5));
  const auto& all = metrics.operations();
  REQUIRE(all.size() == 1);
  const auto& one = all.at("skep.x/1 go");
  CHECK(one.in_flight == 1);
  CHECK(one.ended == 2);
  CHECK(one.errors.at(ErrorKind::busy) == 1);
}

TEST_CASE("a driver's figures add up or are set, and their number is bounded") {
  DriverMetrics metrics;
  CHECK(metrics.note("turns", 2, false));
  CHECK(metrics.note("turns", 3, false));
  CHECK(metrics.note("level", 7, true));
  CHECK(metrics.note("level", -1, true));
  CHECK(metrics.values().at("turns").value == 5);
  CHECK(metrics.values().at("level").value == -1);
  CHECK(metrics.values().at("level").gauge);
  CHECK_FALSE(metrics.note("Turns", 1, false));
  CHECK_FALSE(metrics.note("", 1, false));
  CHECK_FALSE(metrics.note(std::string(65, 'a'), 1, false));
  for (int i = 0; i < 62; ++i) CHECK(metrics.note("more" + std::to_string(i), 1, false));
  CHECK_FALSE(metrics.note("one.too.many", 1, false));
  CHECK(metrics.note("turns", 1, false));
}

TEST_CASE("a driver's counter stays at the end of its range") {
  DriverMetrics metrics;
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  constexpr int64_t least = std::numeric_limits<int64_t>::min();
  CHECK(metrics.note("up", most, false));
  CHECK(metrics.note("up", 1, false));
  CHECK(metrics.values().at("up").value == most);
  CHECK(metrics.note("down", least, false));
  CHECK(metrics.note("down", -1, false));
  CHECK(metrics.values().at("down").value == least);
}
