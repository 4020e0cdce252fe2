// Three spellings of a moment.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/time_query.hpp"

#include <charconv>
#include <optional>

#include "daemon/api/docker_json/time_text.hpp"

namespace skep::api {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// "1700000000.123456789": more than nine decimals are cut off.
std::optional<int64_t> parse_seconds(std::string_view text) {
  int64_t seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, seconds);
  constexpr int64_t kSecondsMax = 9'000'000'000;  // what 64 bits of nanoseconds hold
  if (error != std::errc() || seconds < 0 || seconds > kSecondsMax) return std::nullopt;
  if (at == end) return seconds * kSecond;
  if (*at != '.') return std::nullopt;
  int64_t fraction = 0;
  int64_t scale = kSecond / 10;
  for (const char* digit = at + 1; digit != end; ++digit, scale /= 10) {
    if (*digit < '0' || *digit > '9') return std::nullopt;
    fraction += (*digit - '0') * scale;
  }
  return seconds * kSecond + fraction;
}

// "1h30m", "10s": whole numbers with a unit each.
std::optional<int64_t> parse_duration(std::string_view text) {
  int64_t total = 0;
  while (!text.empty()) {
    int64_t number = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    constexpr int64_t kNumberMax = 1'000'000;  // a century of hours
    if (error != std::errc() || number < 0 || number > kNumberMax) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(at - text.data()));
    if (text.starts_with('h')) {
      total += number * 3600 * kSecond;
    } else if (text.starts_with("ms")) {
      total += number * (kSecond / 1000);
      text.remove_prefix(1);
    } else if (text.starts_with('m')) {
      total += number * 60 * kSecond;
    } else if (text.starts_with('s')) {
      total += number * kSecond;
    } else {
      return std::nullopt;
    }
    text.remove_prefix(1);
  }
  return total;
}

}  // namespace

Result<model::WallTime> time_query(const Request& request, std::string_view name,
                                   model::WallTime now) {
  const std::string_view text = request.query_value(name);
  if (text.empty()) return model::WallTime{};
  if (const auto seconds = parse_seconds(text)) return model::WallTime{*seconds};
  if (const auto time = docker_json::parse_time(text)) return *time;
  if (const auto before = parse_duration(text)) return model::WallTime{now.unix_ns - *before};
  return fail(ErrorKind::invalid,
              "query " + std::string(name) + ": '" + std::string(text) + "' is not a time");
}

}  // namespace skep::api
