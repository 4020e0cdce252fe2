// A service in words: `service inspect --pretty`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/json.hpp"

namespace skep::cli {

// Prints to stdout.
void print_service_pretty(const Json& service);

}  // namespace skep::cli
