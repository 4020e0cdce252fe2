// Balancers as the generic cases see them: a scope is an object.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

const Kind& lb_kind();

// The cases of lb.h that need no traffic, by part of the contract.
std::vector<Case> lb_apply_cases();
std::vector<Case> lb_scope_cases();

// An operation of skep.lb/1 by name.
const host::Operation& lb(std::string_view name);

}  // namespace skep::conformance
