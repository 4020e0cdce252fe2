// What this node says of itself to the managers: name, platform, size.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/model/objects.hpp"

namespace skep::agent {

// From uname and sysconf; `plugins` stays empty. Never fails: what can't be found out is zero.
model::NodeDescription describe_node(const std::string& hostname);

}  // namespace skep::agent
