// Volumes as the generic cases see them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

const Kind& volume_kind();

// The cases of volume.h, by part of the contract.
std::vector<Case> volume_publish_cases();
std::vector<Case> volume_object_cases();
std::vector<Case> volume_restart_cases();

// An operation of skep.volume/1 by name.
const host::Operation& volume(std::string_view name);
// A create request with what the profile has under "volume": {"create": {..}}.
json volume_create(const Run& run, const std::string& name);

}  // namespace skep::conformance
