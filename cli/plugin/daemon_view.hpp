// What a daemon says of its plugins (GET /skep/v1/plugins), as a person reads it.
//
// The daemon tells three things apart that a person sees as one: whether the driver's process runs
// (state), whether the driver says that it can work here (probe), and whether it is given up for a
// while (breaker). `plugin_state` is that one word, with the reason when it isn't the good one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/json.hpp"

namespace skep::cli {

// "ready", "not ready: the pool is offline", "unhealthy: killed by signal 11 ...", "restarting:
// ...".
std::string plugin_state(const Json& plugin);

// "volume": of the first interface beyond the base one; "-" when there is none.
std::string plugin_kind(const Json& plugin);

// Rows for the columns of `skep plugin ls` (Name, ID, Version, Kind, Isolation, State, Restarts),
// by name. Of several balancers the one in use says so.
std::vector<Json> plugin_rows(const Json& answer);

// The page of `skep plugin inspect NAME`, ending in a newline.
std::string plugin_page(const Json& plugin);

}  // namespace skep::cli
