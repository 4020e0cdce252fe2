// A plugin's configuration as it may be shown: what its schema marks as secret is not in it.
//
// The mark ("secret": true) counts wherever the schema describes the member: in properties, in
// items, behind a reference, in any of several alternatives. A value that no schema describes is
// shown, so an author marks what must not be.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace skep::drivers {

// Both are JSON texts; `schema` may be empty. The result is `config` with "(hidden)" in place of
// secrets, or "{}" when `config` is no JSON.
std::string shown_config(const std::string& config, const std::string& schema);

}  // namespace skep::drivers
