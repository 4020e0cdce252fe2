// Times as Docker writes them: RFC 3339, up to nine decimals, UTC, and year 1 for "not set".
//
// Pure conversions between text and WallTime; the zone offset of a parsed time is applied, trailing
// zeros of the fraction are not printed unless a fixed width is asked for (log lines line up).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/model/time.hpp"

namespace skep::docker_json {

// "2026-08-04T10:00:00.123Z"; "0001-01-01T00:00:00Z" for the zero time.
std::string time_text(model::WallTime time);
// Always nine decimals: "2026-08-04T10:00:00.123000000Z".
std::string time_text_nine(model::WallTime time);
// nullopt for anything that isn't RFC 3339 between the years 1678 and 2261, or year 1 (zero).
std::optional<model::WallTime> parse_time(std::string_view text);

}  // namespace skep::docker_json
