// The rules that cases uphold, each with the sentence that a failing case prints.
//
// The numbered ones are the platform's own; a case of a kind names a place of the contract
// instead ("volume.h publish") and brings its sentence along. Nothing here judges; it only names.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace skep::conformance {

struct Rule {
  std::string_view id;        // "11", or "volume.h publish"
  std::string_view sentence;  // what must hold, for a driver's author
};

// All numbered rules that a driver (and not only a host) can break, in order.
std::span<const Rule> rules();
// The rule with this number. Requires that it is one of rules().
const Rule& rule(int number);

}  // namespace skep::conformance
