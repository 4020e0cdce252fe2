// The generic cases, by file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

std::vector<Case> file_cases();
std::vector<Case> load_cases();
std::vector<Case> table_cases();
std::vector<Case> config_cases();
std::vector<Case> base_cases();

}  // namespace skep::conformance
