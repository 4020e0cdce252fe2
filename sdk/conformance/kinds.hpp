// The kinds the kit has cases for, and the cases of all kinds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

// Constant objects, one for each kind with cases. A new kind is one more line in kinds.cpp.
std::vector<const Kind*> kinds();

// The cases that hold for every driver, and those that hold for every kind with a Kind (repetition,
// crashes, concurrency, ...), over it.
std::vector<Case> generic_cases();
std::vector<Case> life_cases(const Kind& kind);

}  // namespace skep::conformance
