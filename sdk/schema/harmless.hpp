// Whether a schema that somebody else wrote can be applied at all, before anything applies it.
//
// A driver's descriptor brings schemas, and a driver may be wrong or worse. valijson follows
// references and nesting by recursion and matches patterns by backtracking, so a schema that refers
// to itself in place, nests without end, or repeats a repetition would end or hang the host. What
// is refused here is what no honest schema needs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>

#include "core/model/result.hpp"

namespace skep::schema {

inline constexpr size_t depth_max = 64;             // objects and arrays within each other
inline constexpr size_t schema_steps_max = 1000;  // that one value may take, references followed
// Of a text in a document whose schema has a pattern that repeats without a bound: bytes.
inline constexpr size_t matched_text_max = 4096;

struct Patterns {
  bool any_unbounded = false;  // matched_text_max holds for the documents
};

// ErrorKind::invalid with what is wrong about the schema.
Result<Patterns> check_harmless(const nlohmann::json& schema);

// Whether a document may be handed to valijson: not nested too deep, and no text too long for
// patterns such as these. ErrorKind::invalid otherwise.
Status check_document(const nlohmann::json& document, const Patterns& patterns);

}  // namespace skep::schema
