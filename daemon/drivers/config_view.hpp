// A plugin's configuration as it may be shown: what its schema marks as secret is not in it.
//
// The mark ("secret": true) counts wherever the schema describes the member: in properties, also
// those that a pattern names (any of them then, whether the pattern fits or not), in items, behind
// a reference, in any of several alternatives. A value that no schema describes is shown, so an
// author marks what must not be.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "daemon/drivers/body.hpp"

namespace skep::drivers {

// Both are JSON texts; `schema` may be empty. The result is `config` with "(hidden)" in place of
// secrets, or "{}" when `config` is no JSON.
std::string shown_config(const std::string& config, const std::string& schema);
// The same of a driver; "null" while nobody knows its schema, and so nobody knows its secrets.
std::string shown_config(const std::string& config, const DriverFacts& facts);

}  // namespace skep::drivers
