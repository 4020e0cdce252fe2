// RFC 3339 by the calendar of std::chrono; no locale, no time zone database.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/time_text.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace skep::docker_json {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

std::string print_seconds(int64_t seconds) {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds(seconds)};
  const sys_days day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  std::array<char, 32> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<size_t>(length)};
}

std::string print(model::WallTime time, bool trim) {
  if (!time) return "0001-01-01T00:00:00Z";
  int64_t seconds = time.unix_ns / kNanosPerSecond;
  int64_t fraction = time.unix_ns % kNanosPerSecond;
  if (fraction < 0) {
    fraction += kNanosPerSecond;
    --seconds;
  }
  std::array<char, 16> digits{};
  std::snprintf(digits.data(), digits.size(), "%09lld", static_cast<long long>(fraction));
  std::string decimals(digits.data());
  if (trim) {
    const size_t last = decimals.find_last_not_of('0');
    decimals.resize(last == std::string::npos ? 0 : last + 1);
  }
  std::string text = print_seconds(seconds);
  if (!decimals.empty()) text += "." + decimals;
  return text + "Z";
}

// Reads exactly `width` digits at the front and drops them.
std::optional<int> take_digits(std::string_view& text, size_t width) {
  if (text.size() < width) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < width; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(width);
  return value;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> take_fraction(std::string_view& text) {
  if (!take(text, '.')) return 0;
  int64_t value = 0;
  int64_t scale = kNanosPerSecond;
  bool any = false;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    if (scale > 1) {
      scale /= 10;
      value += (text.front() - '0') * scale;
    }
    any = true;
    text.remove_prefix(1);
  }
  return any ? std::optional<int64_t>(value) : std::nullopt;
}

// Seconds east of UTC.
std::optional<int64_t> take_zone(std::string_view& text) {
  if (take(text, 'Z')) return 0;
  const bool east = !text.empty() && text.front() == '+';
  if (!east && (text.empty() || text.front() != '-')) return std::nullopt;
  text.remove_prefix(1);
  const std::optional<int> hours = take_digits(text, 2);
  if (!hours || !take(text, ':')) return std::nullopt;
  const std::optional<int> minutes = take_digits(text, 2);
  if (!minutes) return std::nullopt;
  const int64_t offset = *hours * 3600 + *minutes * 60;
  return east ? offset : -offset;
}

}  // namespace

std::string time_text(model::WallTime time) {
  return print(time, true);
}

std::string time_text_nine(model::WallTime time) {
  return print(time, false);
}

std::optional<model::WallTime> parse_time(std::string_view text) {
  using namespace std::chrono;
  const auto year_number = take_digits(text, 4);
  if (!year_number || !take(text, '-')) return std::nullopt;
  const auto month_number = take_digits(text, 2);
  if (!month_number || !take(text, '-')) return std::nullopt;
  const auto day_number = take_digits(text, 2);
  if (!day_number || (!take(text, 'T') && !take(text, 't'))) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || !take(text, ':')) return std::nullopt;
  const auto second = take_digits(text, 2);
  if (!second) return std::nullopt;
  const std::optional<int64_t> fraction = take_fraction(text);
  const std::optional<int64_t> zone = fraction ? take_zone(text) : std::nullopt;
  if (!zone || !text.empty()) return std::nullopt;
  const year_month_day date{year(*year_number), month(static_cast<unsigned>(*month_number)),
                            day(static_cast<unsigned>(*day_number))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  if (*year_number == 1) return model::WallTime{};
  // 64 bits of nanoseconds reach from 1677 to 2262.
  if (*year_number < 1678 || *year_number > 2261) return std::nullopt;
  const int64_t seconds =
      duration_cast<std::chrono::seconds>(sys_days(date).time_since_epoch()).count() +
      *hour * 3600 + *minute * 60 + *second - *zone;
  return model::WallTime{seconds * kNanosPerSecond + *fraction};
}

}  // namespace skep::docker_json
