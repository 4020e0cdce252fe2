// Requests that are not what they should be, made from one that is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

enum class Mutation : uint8_t {
  not_json,        // empty, cut short, another kind of document: INVALID
  deep,            // thousands of levels: INVALID or ignored
  large,           // as large as a request may be: INVALID or ignored
  bad_utf8,        // bytes that are no text: INVALID or ignored
  unknown_member,  // one more member: ignored
  wrong_member,    // its key of another type or absent: INVALID, and names the member
};
std::span<const Mutation> mutations();
std::string_view name_of(Mutation mutation);
std::string_view told(Mutation mutation);  // "are not JSON", after "requests that"

// Calls `operation` with mutations of `good`, a request that it takes, and checks each answer. What
// unknown_member makes exist stays. After each call the driver still answers.
Status fuzz(Run& run, Driver& driver, const host::Operation& operation, const json& good,
            Mutation mutation);

}  // namespace skep::conformance
