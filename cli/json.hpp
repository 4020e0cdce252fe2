// JSON as the commands use it: the daemon's answers, read by path, kept in the daemon's order.
//
// Objects are not decoded into the nouns of core/model: a command that changes a spec sends back
// what it read, and must not lose a field that it does not know. Reading is forgiving, because an
// absent key, null and the empty value mean the same in Docker's API. nlohmann/json itself is
// included by the .cpp files that need it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace skep::cli {

using Json = nlohmann::ordered_json;

// The value at "/Spec/Name", or null if any step is missing. The reference lives as long as `in`.
const Json& value_at(const Json& in, std::string_view path);

// The same as text, integer or truth; empty, 0 and false when missing or of another type.
std::string text_at(const Json& in, std::string_view path);
int64_t integer_at(const Json& in, std::string_view path);
bool flag_at(const Json& in, std::string_view path);

// The objects in an array, or nothing: for range-for over what may be null.
const Json& array_at(const Json& in, std::string_view path);

// One line, without blanks.
std::string compact(const Json& value);

// As `inspect` prints it: indented by four.
std::string indented(const Json& value);

}  // namespace skep::cli
