// The four ways to print rows, and the three to print objects.
// SPDX-License-Identifier: Apache-2.0
#include "cli/listing.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/table.hpp"
#include "cli/template.hpp"

namespace skep::cli {
namespace {

void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

TableRow split_at_tabs(const std::string& line) {
  TableRow cells;
  size_t start = 0;
  for (size_t tab; (tab = line.find('\t', start)) != std::string::npos; start = tab + 1) {
    cells.push_back(line.substr(start, tab - start));
  }
  cells.push_back(line.substr(start));
  return cells;
}

void print_columns(const std::vector<Column>& columns, const std::vector<Json>& rows) {
  std::vector<TableRow> table(1);
  for (const Column& column : columns) table.front().push_back(column.heading);
  for (const Json& row : rows) {
    TableRow& cells = table.emplace_back();
    for (const Column& column : columns) cells.push_back(text_at(row, "/" + column.field));
  }
  put(format_table(table));
}

}  // namespace

Status print_listing(const std::vector<Column>& columns, const std::vector<Json>& rows,
                     const ListingOptions& options) {
  constexpr std::string_view kTable = "table";
  const std::string format = options.format.value_or("table");
  if (options.quiet && (format == kTable || format == "raw")) {
    for (const Json& row : rows) put(text_at(row, "/ID") + "\n");
    return {};
  }
  if (format == kTable || format.empty()) {
    print_columns(columns, rows);
    return {};
  }
  if (format == "json") {
    // By name, as docker has them, not in the order of the columns.
    for (const Json& row : rows) put(nlohmann::json::parse(compact(row)).dump() + "\n");
    return {};
  }
  const bool as_table = format.starts_with("table ");
  SKEP_TRY_ASSIGN(const Template layout,
                  Template::parse(as_table ? format.substr(kTable.size() + 1) : format));
  std::vector<TableRow> table;
  if (as_table) {
    Json names = Json::object();
    for (const Column& column : columns) names[column.field] = column.heading;
    table.push_back(split_at_tabs(layout.header(names)));
  }
  for (const Json& row : rows) {
    SKEP_TRY_ASSIGN(const std::string line, layout.print(row));
    if (as_table) {
      table.push_back(split_at_tabs(line));
    } else {
      put(line + "\n");
    }
  }
  if (as_table) put(format_table(table));
  return {};
}

Status print_objects(const std::vector<Json>& objects, const std::optional<std::string>& format) {
  if (!format || format->empty()) {
    put(indented(Json(objects)) + "\n");
    return {};
  }
  if (*format == "json") {
    for (const Json& object : objects) put(compact(object) + "\n");
    return {};
  }
  SKEP_TRY_ASSIGN(const Template layout, Template::parse(*format));
  for (const Json& object : objects) {
    SKEP_TRY_ASSIGN(const std::string line, layout.print(object));
    put(line + "\n");
  }
  return {};
}

}  // namespace skep::cli
