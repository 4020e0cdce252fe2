// What every `ls` shares: rows of named fields, printed as a table, as ids, as JSON lines, or
// through a --format template.
//
// A row is a JSON object whose keys are the names that templates use; the columns say which of them
// stand in the table and under which heading.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/json.hpp"
#include "core/model/result.hpp"

namespace skep::cli {

struct Column {
  std::string heading;  // "CURRENT STATE"
  std::string field;    // "CurrentState"
};

struct ListingOptions {
  bool quiet = false;  // only the field "ID"
  std::optional<std::string> format;
};

// Prints `rows` to stdout. `extra` names fields for "table TEMPLATE" that have no column.
Status print_listing(const std::vector<Column>& columns, const std::vector<Json>& rows,
                     const ListingOptions& options);

// Prints inspected objects: as one JSON array, as JSON lines ("json"), or through a template.
Status print_objects(const std::vector<Json>& objects, const std::optional<std::string>& format);

}  // namespace skep::cli
