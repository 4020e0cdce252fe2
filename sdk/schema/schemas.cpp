// The table that embed.cmake made, with each text's interface read out of it.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/schema/schemas.hpp"

#include <vector>

namespace skep::schema {
namespace embedded {
extern const std::string_view texts[];
extern const unsigned count;
}  // namespace embedded

namespace {

// What stands behind "interface": on a line of its own near the top; the tests hold every file to
// that.
std::string_view interface_in(std::string_view text) {
  constexpr std::string_view member = "\"interface\": \"";
  const size_t at = text.find(member);
  if (at == std::string_view::npos) return {};
  const size_t begin = at + member.size();
  return text.substr(begin, text.find('"', begin) - begin);
}

}  // namespace

std::span<const Schema> schemas() {
  static const std::vector<Schema> all = [] {
    std::vector<Schema> table;
    for (unsigned i = 0; i < embedded::count; ++i) {
      table.push_back({interface_in(embedded::texts[i]), embedded::texts[i]});
    }
    return table;
  }();
  return all;
}

std::string_view schema_of(std::string_view interface) {
  for (const Schema& schema : schemas()) {
    if (schema.interface == interface) return schema.text;
  }
  return {};
}

}  // namespace skep::schema
