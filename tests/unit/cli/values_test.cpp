// Durations, sizes, CPUs, ages and times: what is read, what is refused, what is printed.
// SPDX-License-Identifier: Apache-2.0
#include "cli/values.hpp"

#include <catch2/catch.hpp>

using namespace skep::cli;

namespace {
constexpr int64_t kSecond = 1'000'000'000;
}

TEST_CASE("a duration is the sum of its parts") {
  CHECK(parse_duration_ns("1m30s").value() == 90 * kSecond);
  CHECK(parse_duration_ns("1.5h").value() == 5400 * kSecond);
  CHECK(parse_duration_ns("300ms").value() == kSecond * 3 / 10);
  CHECK(parse_duration_ns("-2s").value() == -2 * kSecond);
  CHECK(parse_duration_ns("0").value() == 0);
}

TEST_CASE("a duration without a unit, or with an unknown one, is refused") {
  CHECK_FALSE(parse_duration_ns("5"));
  CHECK_FALSE(parse_duration_ns("5x"));
  CHECK_FALSE(parse_duration_ns(""));
  CHECK_FALSE(parse_duration_ns("s"));
  CHECK_FALSE(parse_duration_ns("9999999999h"));
}

TEST_CASE("durations are printed as Go prints them") {
  CHECK(format_duration(0) == "0s");
  CHECK(format_duration(90 * kSecond) == "1m30s");
  CHECK(format_duration(2160 * 3600 * kSecond) == "2160h0m0s");
  CHECK(format_duration(kSecond / 2) == "500ms");
  CHECK(format_duration(1500) == "1.5µs");
}

TEST_CASE("sizes are powers of 1024 whatever the spelling of the unit") {
  CHECK(parse_bytes("512m").value() == 512LL * 1024 * 1024);
  CHECK(parse_bytes("1.5GiB").value() == 1024LL * 1024 * 1536);
  CHECK(parse_bytes("1gb").value() == 1024LL * 1024 * 1024);
  CHECK(parse_bytes("4096").value() == 4096);
  CHECK_FALSE(parse_bytes("5q"));
  CHECK_FALSE(parse_bytes("m"));
  CHECK_FALSE(parse_bytes(""));
}

TEST_CASE("CPUs are read as billionths") {
  CHECK(parse_nano_cpus("0.5").value() == kSecond / 2);
  CHECK(parse_nano_cpus("2").value() == 2 * kSecond);
  CHECK_FALSE(parse_nano_cpus("q"));
  CHECK_FALSE(parse_nano_cpus("0.00000000001"));
}

TEST_CASE("ages are told as a person would") {
  using namespace std::chrono_literals;
  CHECK(human_duration(300ms) == "Less than a second");
  CHECK(human_duration(1s) == "1 second");
  CHECK(human_duration(59s) == "59 seconds");
  CHECK(human_duration(60s) == "About a minute");
  CHECK(human_duration(119s) == "About a minute");
  CHECK(human_duration(150s) == "2 minutes");
  CHECK(human_duration(3600s) == "About an hour");
  CHECK(human_duration(47h) == "47 hours");
  CHECK(human_duration(48h) == "2 days");
  CHECK(human_duration(24h * 15) == "2 weeks");
  CHECK(human_duration(24h * 90) == "3 months");
  CHECK(human_duration(24h * 800) == "2 years");
}

TEST_CASE("times are RFC 3339, and Go's zero time is no time") {
  CHECK(parse_time("1970-01-01T00:00:01.5Z").value().unix_ns == kSecond * 3 / 2);
  CHECK(parse_time("1970-01-01T02:00:00+02:00").value().unix_ns == 0);
  CHECK_FALSE(parse_time("0001-01-01T00:00:00Z"));
  CHECK_FALSE(parse_time("yesterday"));
  CHECK(format_time({kSecond * 3 / 2}) == "1970-01-01 00:00:01.5 +0000 UTC");
  CHECK(format_rfc3339({kSecond * 3 / 2}) == "1970-01-01T00:00:01.500000000Z");
}

TEST_CASE("a moment is a time, unix seconds, or so long before now") {
  const skep::model::WallTime noon{1'000 * kSecond};
  CHECK(parse_moment("1m", noon).value() == "940.000000000");
  CHECK(parse_moment("12.5", noon).value() == "12.5");
  CHECK(parse_moment("1970-01-01T00:00:02Z", noon).value() == "2.000000000");
  CHECK_FALSE(parse_moment("soon", noon));
}

TEST_CASE("a cut text ends in an ellipsis and is cut between characters") {
  CHECK(ellipsis("short", 10) == "short");
  CHECK(ellipsis("0123456789", 5) == "0123…");
  CHECK(ellipsis("äöüäöü", 3) == "äö…");
}

TEST_CASE("numbers inside names are compared as numbers") {
  CHECK(natural_less("web.2", "web.10"));
  CHECK_FALSE(natural_less("web.10", "web.2"));
  CHECK(natural_less("a", "b"));
  CHECK(natural_less("web", "web.1"));
}
