// Values as people write and read them: durations, sizes, CPUs, ages, times.
//
// The readers accept what Docker's command line accepts ("1m30s", "512m", "0.5"); the writers print
// what it prints ("About a minute", "1.5MB"). Nothing here reads a clock: "now" is handed in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "core/model/time.hpp"

namespace skep::cli {

// "300ms", "1m30s", "-1.5h", "0" to nanoseconds; a number without a unit is refused.
Result<int64_t> parse_duration_ns(std::string_view text);

// Go's spelling of a duration: "1m30s", "500ms", "2160h0m0s", "0s".
std::string format_duration(int64_t nanoseconds);

// "512m", "1.5GiB", "4096" to bytes; units are powers of 1024, whatever their spelling.
Result<int64_t> parse_bytes(std::string_view text);

// Powers of 1000 and four digits: "1.24MB" (images).
std::string format_decimal_bytes(uint64_t bytes);

// Powers of 1024 and four digits: "3.832GiB" (memory).
std::string format_binary_bytes(uint64_t bytes);

// "0.5" to billionths of a CPU; finer than that is refused.
Result<int64_t> parse_nano_cpus(std::string_view text);

// "5 seconds", "About a minute", "3 weeks": how long ago, or how long since.
std::string human_duration(model::Nanoseconds length);

// RFC 3339 with up to nine decimals; nullopt for anything else, and for Go's zero time.
std::optional<model::WallTime> parse_time(std::string_view text);

// "2026-01-02 03:04:05.123456789 +0000 UTC", as docker writes a time in words.
std::string format_time(model::WallTime time);

// "2026-01-02T03:04:05.123456789Z", always with nine decimals (events).
std::string format_rfc3339(model::WallTime time);

// The time a `--since` or `--until` means: RFC 3339, unix seconds, or a duration before now.
// As the API wants it: unix seconds with a fraction.
Result<std::string> parse_moment(std::string_view text, model::WallTime now);

// The first 12 characters.
std::string short_id(std::string_view id);

// Cuts to `characters` with a final "…".
std::string ellipsis(std::string_view text, size_t characters);

// "web2" before "web10".
bool natural_less(std::string_view a, std::string_view b);

}  // namespace skep::cli
