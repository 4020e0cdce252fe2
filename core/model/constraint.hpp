// Placement constraints: "node.role==worker", "node.labels.disk!=ssd".
//
// A constraint compares one property of a node with a whole text, without regard to case; all
// constraints of a service must hold. A label that a node doesn't have counts as the empty text, so
// `!=` matches there. Unlike the original, a key nobody knows is refused when the spec is set, not
// silently never matched. node.ip takes an address or a CIDR block.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::model {

struct Constraint {
  std::string key;    // "node.role", "node.labels.disk"; the label's own part keeps its case
  bool equal = true;  // false: "!="
  std::string value;
  bool operator==(const Constraint&) const = default;
};

// `invalid` with a sentence that quotes the text: unknown key, no operator, empty value, a node.ip
// that is no address.
Result<Constraint> parse_constraint(std::string_view text);

// The first error names its place: "constraint 'x'...".
Result<std::vector<Constraint>> parse_constraints(const std::vector<std::string>& texts);

bool matches(const Constraint& constraint, const Node& node);
bool matches_all(const std::vector<Constraint>& constraints, const Node& node);

}  // namespace skep::model
