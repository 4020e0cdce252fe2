// The published schemas of requests and replies, as questions about one document.
//
// They are compiled in (sdk/schema/*.json at build time), so that an installed kit needs no folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "sdk/host/catalog.hpp"

namespace skep::conformance {

// What is wrong with a reply or an item, as the end of a sentence ("has no member \"path\""), or
// nothing. An operation without a published schema takes any JSON document.
std::optional<std::string> check_reply(const host::Operation& operation, std::string_view text);
std::optional<std::string> check_item(const host::Operation& operation, std::string_view text);
// The same for a request that a case is about to send; the kit's own tests ask it.
std::optional<std::string> check_request(const host::Operation& operation, std::string_view text);

// What `document` breaks of `schema` (a JSON Schema as text), or nothing; an unusable schema is an
// answer too.
std::optional<std::string> check_against(std::string_view schema, const nlohmann::json& document);

// The smallest configuration that a schema's own defaults make: its required members that have a
// default.
nlohmann::json defaults_of(std::string_view schema);

}  // namespace skep::conformance
