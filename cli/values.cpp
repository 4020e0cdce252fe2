// How durations, sizes, ages and times are read and written.
//
// Durations are parsed by hand because the grammar is Go's, not ISO's; integers carry the value and
// only a written fraction goes through floating point, so "1m30s" is exact.
// SPDX-License-Identifier: Apache-2.0
#include "cli/values.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace skep::cli {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

struct Unit {
  std::string_view name;
  int64_t nanoseconds;
};
constexpr std::array<Unit, 8> kDurationUnits = {{{"ns", 1},
                                                 {"us", 1'000},
                                                 {"µs", 1'000},
                                                 {"μs", 1'000},
                                                 {"ms", 1'000'000},
                                                 {"s", kSecondNs},
                                                 {"m", 60 * kSecondNs},
                                                 {"h", 3600 * kSecondNs}}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes a decimal number from the front of `text`; nullopt if there is none.
std::optional<double> take_decimal(std::string_view& text) {
  size_t length = 0;
  while (length < text.size() && (is_digit(text[length]) || text[length] == '.')) ++length;
  double value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + length, value);
  if (code != std::errc() || stop != text.data() + length || length == 0) return std::nullopt;
  text.remove_prefix(length);
  return value;
}

std::string scaled_bytes(uint64_t bytes, double base, const std::array<std::string_view, 7>& units,
                         int digits) {
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= base && unit + 1 < units.size()) {
    value /= base;
    ++unit;
  }
  std::array<char, 32> buffer;
  const int length = std::snprintf(buffer.data(), buffer.size(), "%.*g", digits, value);
  return std::string(buffer.data(), static_cast<size_t>(length)) + std::string(units[unit]);
}

std::string plural(int64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun);
}

std::string without_final_zeros(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// Takes `digits` decimal digits from the front of `text` into `into`.
bool take_fixed(std::string_view& text, size_t digits, int& into) {
  if (text.size() < digits) return false;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + digits, into);
  if (code != std::errc() || stop != text.data() + digits) return false;
  text.remove_prefix(digits);
  return true;
}

bool take_char(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// The part behind the seconds: ".123" to nanoseconds.
std::optional<int64_t> take_fraction_ns(std::string_view& text) {
  if (!take_char(text, ".")) return 0;
  int64_t value = 0;
  int64_t scale = kSecondNs / 10;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  while (!text.empty() && is_digit(text.front())) {
    value += (text.front() - '0') * scale;
    scale /= 10;
    text.remove_prefix(1);
  }
  return value;
}

// "Z" or "+02:00", in seconds east of Greenwich.
std::optional<int64_t> take_zone_seconds(std::string_view& text) {
  if (take_char(text, "Zz")) return 0;
  if (text.empty()) return std::nullopt;
  const int64_t sign = text.front() == '-' ? -1 : 1;
  int hours = 0;
  int minutes = 0;
  if (!take_char(text, "+-") || !take_fixed(text, 2, hours) || !take_char(text, ":") ||
      !take_fixed(text, 2, minutes)) {
    return std::nullopt;
  }
  return sign * (hours * 3600 + minutes * 60);
}

}  // namespace

Result<int64_t> parse_duration_ns(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorKind::invalid,
                std::string(why) + " (a duration looks like \"1m30s\", units ns|us|ms|s|m|h)");
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return 0;
  if (rest.empty()) return refuse("empty duration");
  double total = 0;
  while (!rest.empty()) {
    const std::optional<double> value = take_decimal(rest);
    if (!value) return refuse("not a duration");
    size_t length = 0;
    while (length < rest.size() && !is_digit(rest[length]) && rest[length] != '.') ++length;
    const std::string_view name = rest.substr(0, length);
    rest.remove_prefix(length);
    const auto* unit = std::ranges::find(kDurationUnits, name, &Unit::name);
    if (name.empty()) return refuse("missing unit in duration");
    if (unit == kDurationUnits.end()) return refuse("unknown unit \"" + std::string(name) + "\"");
    total += *value * static_cast<double>(unit->nanoseconds);
  }
  constexpr double kLongest = 9.2e18;  // of int64_t, some 292 years
  if (total > kLongest) return refuse("too long a duration");
  const int64_t nanoseconds = std::llround(total);
  return negative ? -nanoseconds : nanoseconds;
}

std::string format_duration(int64_t nanoseconds) {
  if (nanoseconds == 0) return "0s";
  if (nanoseconds < 0) return "-" + format_duration(-nanoseconds);
  std::array<char, 64> buffer;
  const auto fraction = [&](int64_t unit, const char* name) {
    std::snprintf(buffer.data(), buffer.size(), "%lld.%09lld",
                  static_cast<long long>(nanoseconds / unit),
                  static_cast<long long>(nanoseconds % unit * (kSecondNs / unit)));
    return without_final_zeros(buffer.data()) + name;
  };
  if (nanoseconds < 1'000) return std::to_string(nanoseconds) + "ns";
  if (nanoseconds < 1'000'000) return fraction(1'000, "µs");
  if (nanoseconds < kSecondNs) return fraction(1'000'000, "ms");
  const int64_t whole_minutes = nanoseconds / (60 * kSecondNs);
  nanoseconds %= 60 * kSecondNs;
  std::string out;
  if (whole_minutes >= 60) out += std::to_string(whole_minutes / 60) + "h";
  if (whole_minutes > 0) out += std::to_string(whole_minutes % 60) + "m";
  return out + fraction(kSecondNs, "s");
}

Result<int64_t> parse_bytes(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> value = take_decimal(rest);
  if (!value) return fail(ErrorKind::invalid, "not a size (a size looks like \"512m\" or \"1g\")");
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  std::string suffix(rest);
  std::ranges::transform(suffix, suffix.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view kUnits = "bkmgtp";
  const size_t unit = suffix.empty() ? 0 : kUnits.find(suffix.front());
  const std::string_view tail = std::string_view(suffix).substr(suffix.empty() ? 0 : 1);
  const bool known_tail = tail.empty() || (unit != 0 && (tail == "b" || tail == "ib"));
  if (unit == std::string_view::npos || !known_tail) {
    return fail(ErrorKind::invalid, "invalid suffix: '" + std::string(rest) + "'");
  }
  const double bytes = *value * std::pow(1024.0, static_cast<double>(unit));
  if (bytes > 9.2e18) return fail(ErrorKind::invalid, "too large a size");
  return static_cast<int64_t>(bytes);
}

std::string format_decimal_bytes(uint64_t bytes) {
  return scaled_bytes(bytes, 1000.0, {"B", "kB", "MB", "GB", "TB", "PB", "EB"}, 3);
}

std::string format_binary_bytes(uint64_t bytes) {
  return scaled_bytes(bytes, 1024.0, {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}, 4);
}

Result<int64_t> parse_nano_cpus(std::string_view text) {
  constexpr double kCpusMax = 1e9;
  std::string_view rest = text;
  const std::optional<double> value = take_decimal(rest);
  if (!value || !rest.empty() || *value > kCpusMax) {
    return fail(ErrorKind::invalid, "not a number of CPUs (it looks like \"0.5\")");
  }
  const double nano = *value * 1e9;
  if (std::abs(nano - std::round(nano)) > 1e-3) {
    return fail(ErrorKind::invalid, "value is too precise");
  }
  return std::llround(nano);
}

std::string human_duration(model::Nanoseconds length) {
  const int64_t seconds = length.count() / kSecondNs;
  const int64_t minutes = seconds / 60;
  const int64_t hours = (seconds + 1800) / 3600;  // rounded, as docker does
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return plural(seconds, "seconds");
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return plural(minutes, "minutes");
  if (hours == 1) return "About an hour";
  if (hours < 48) return plural(hours, "hours");
  if (hours < 24 * 7 * 2) return plural(hours / 24, "days");
  if (hours < 24 * 30 * 2) return plural(hours / 24 / 7, "weeks");
  if (hours < 24 * 365 * 2) return plural(hours / 24 / 30, "months");
  return plural(seconds / 3600 / 24 / 365, "years");
}

std::optional<model::WallTime> parse_time(std::string_view text) {
  std::tm parts{};
  int year = 0;
  int month = 0;
  if (!take_fixed(text, 4, year) || !take_char(text, "-") || !take_fixed(text, 2, month) ||
      !take_char(text, "-") || !take_fixed(text, 2, parts.tm_mday) || !take_char(text, "Tt ") ||
      !take_fixed(text, 2, parts.tm_hour) || !take_char(text, ":") ||
      !take_fixed(text, 2, parts.tm_min) || !take_char(text, ":") ||
      !take_fixed(text, 2, parts.tm_sec)) {
    return std::nullopt;
  }
  const std::optional<int64_t> fraction = take_fraction_ns(text);
  const std::optional<int64_t> zone = fraction ? take_zone_seconds(text) : std::nullopt;
  // int64 nanoseconds reach from 1678 to 2262; Go's zero time (year 1) means "not set".
  if (!zone || !text.empty() || year < 1678 || year > 2261) return std::nullopt;
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  return model::WallTime{(static_cast<int64_t>(timegm(&parts)) - *zone) * kSecondNs + *fraction};
}

std::string format_time(model::WallTime time) {
  const std::time_t seconds = static_cast<std::time_t>(time.unix_ns / kSecondNs);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> date;
  std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M:%S", &parts);
  std::array<char, 16> fraction;
  std::snprintf(fraction.data(), fraction.size(), ".%09lld",
                static_cast<long long>(time.unix_ns % kSecondNs));
  return without_final_zeros(std::string(date.data()) + fraction.data()) + " +0000 UTC";
}

std::string format_rfc3339(model::WallTime time) {
  const std::time_t seconds = static_cast<std::time_t>(time.unix_ns / kSecondNs);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> date;
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 16> fraction;
  std::snprintf(fraction.data(), fraction.size(), ".%09lldZ",
                static_cast<long long>(time.unix_ns % kSecondNs));
  return std::string(date.data()) + fraction.data();
}

Result<std::string> parse_moment(std::string_view text, model::WallTime now) {
  const bool is_number =
      !text.empty() && std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; });
  if (is_number) return std::string(text);
  std::optional<model::WallTime> time = parse_time(text);
  if (!time && text.size() == 10) time = parse_time(std::string(text) + "T00:00:00Z");
  if (!time && text.size() == 19) time = parse_time(std::string(text) + "Z");
  if (!time) {
    const Result<int64_t> ago = parse_duration_ns(text);
    if (!ago) {
      return fail(ErrorKind::invalid, "\"" + std::string(text) +
                                          "\" is neither a time such as 2006-01-02T15:04:05Z nor "
                                          "a duration such as 42m");
    }
    time = model::WallTime{now.unix_ns - *ago};
  }
  std::array<char, 48> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%lld.%09lld",
                static_cast<long long>(time->unix_ns / kSecondNs),
                static_cast<long long>(time->unix_ns % kSecondNs));
  return std::string(buffer.data());
}

std::string short_id(std::string_view id) {
  constexpr size_t kShortIdCharacters = 12;
  constexpr std::string_view kDigest = "sha256:";
  if (id.starts_with(kDigest)) id.remove_prefix(kDigest.size());
  return std::string(id.substr(0, kShortIdCharacters));
}

std::string ellipsis(std::string_view text, size_t characters) {
  // Counted in code points, cut only between them.
  size_t count = 0;
  size_t cut = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (count + 1 == characters) cut = i;
    ++count;
  }
  if (count <= characters) return std::string(text);
  return std::string(text.substr(0, cut)) + "…";
}

bool natural_less(std::string_view a, std::string_view b) {
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      size_t a_end = i;
      size_t b_end = j;
      while (a_end < a.size() && is_digit(a[a_end])) ++a_end;
      while (b_end < b.size() && is_digit(b[b_end])) ++b_end;
      while (i + 1 < a_end && a[i] == '0') ++i;
      while (j + 1 < b_end && b[j] == '0') ++j;
      if (a_end - i != b_end - j) return a_end - i < b_end - j;
      const int order = a.substr(i, a_end - i).compare(b.substr(j, b_end - j));
      if (order != 0) return order < 0;
      i = a_end;
      j = b_end;
      continue;
    }
    if (a[i] != b[j]) return a[i] < b[j];
    ++i;
    ++j;
  }
  return a.size() - i < b.size() - j;
}

}  // namespace skep::cli
