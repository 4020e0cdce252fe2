// A container as Docker shows it, in the list and in full.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/agent/containers.hpp"

namespace skep::api {

// "created", "running", "paused", "exited", "dead".
std::string_view container_state(const agent::Container& container);
std::string containers_to_json(const std::vector<std::shared_ptr<const agent::Container>>& rows,
                               model::WallTime now);
std::string container_to_json(const agent::Container& container);

}  // namespace skep::api
