// Base64 as JSON carries bytes: the standard alphabet with padding when printing; when reading, the
// URL alphabet and missing padding are accepted too, because registry credentials come that way.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace skep::docker_json {

std::string to_base64(std::string_view bytes);
// nullopt for a character outside of both alphabets or an impossible length.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace skep::docker_json
