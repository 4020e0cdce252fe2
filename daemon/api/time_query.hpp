// `since` and `until` in queries: unix seconds with an optional fraction, RFC 3339, or a duration
// before now ("10m").
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/model/result.hpp"
#include "core/model/time.hpp"
#include "daemon/api/http.hpp"

namespace skep::api {

// Zero when absent, empty or "0"; `invalid` for anything else that isn't a time.
Result<model::WallTime> time_query(const Request& request, std::string_view name,
                                   model::WallTime now);

}  // namespace skep::api
