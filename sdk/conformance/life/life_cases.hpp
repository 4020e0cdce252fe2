// The cases over any kind's life, by file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

std::vector<Case> repeat_cases(const Kind& kind);
std::vector<Case> overlap_cases(const Kind& kind);
std::vector<Case> crash_cases(const Kind& kind);
std::vector<Case> mode_cases(const Kind& kind);

}  // namespace skep::conformance
