// The published JSON Schemas of every operation's documents, carried inside a program.
//
// One file for each interface stands beside this one; the build puts their texts in here, so that a
// conformance kit or a command needs no installed file. Each is a JSON object:
//     {"interface": "skep.volume/1", "definitions": {..., "capabilities"?: SCHEMA},
//      "operations": {"publish": {"summary", "errors"?: {CODE: WHEN}, "request": SCHEMA,
//                     "reply": SCHEMA, "item"?: SCHEMA (of a stream), "detail"?: SCHEMA (of an
//                     error)}}}
// A SCHEMA is JSON Schema draft-07; its references lead into the file's own definitions.
// To apply them: documents.hpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace skep::schema {

struct Schema {
  std::string_view interface;  // "skep.volume/1"
  std::string_view text;       // the whole file
};

// All of them, for the life of the process. [any thread]
std::span<const Schema> schemas();

// The text for "skep.volume/1"; empty when there is none. [any thread]
std::string_view schema_of(std::string_view interface);

}  // namespace skep::schema
