// The `filters` query parameter, in both of its encodings.
//
// {"name":{"web":true}} from Go clients and {"name":["web"]} from Python's mean the same. The
// values of one name are alternatives, but those of labels must all hold, as different names must.
// A name that the endpoint doesn't know is refused.
//
// The surprise: where Docker looks for a name by a regular expression, one that is malformed finds
// nothing and is no error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "daemon/api/http.hpp"

namespace skep::api {

class Filters {
 public:
  // `invalid` for bad JSON and "invalid filter 'x'" for a name not in `known`.
  static Result<Filters> parse(const Request& request,
                               std::initializer_list<std::string_view> known);

  bool has(std::string_view name) const;
  // No filter of this name: empty.
  const std::vector<std::string>& values(std::string_view name) const;

  // Each is true when there is no such filter.
  bool allows(std::string_view name, const std::function<bool(const std::string&)>& fits) const;
  bool allows_equal(std::string_view name, std::string_view value) const;
  bool allows_prefix(std::string_view name, std::string_view value) const;
  // For many: whether a value is one of the filter's, or is met anywhere by one as a regular
  // expression (RE2's syntax, which is Go's). Each takes time linear in its value, whatever the
  // expression. The answer may outlive the filters.
  std::function<bool(std::string_view)> pattern(std::string_view name) const;
  // The truth value of "0", "1", "false" and "true"; absent when there is no such filter. Errors:
  // invalid, in Docker's words, also for both values at once.
  Result<std::optional<bool>> truth(std::string_view name) const;
  // Values are "key" or "key=value", and all of them must be there, as Docker has it (MatchKVList):
  // a prune with two labels takes less than one with either.
  bool allows_label(std::string_view name, const model::Labels& labels) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

// "a b", as Docker's sentences name several values.
std::string joined(const std::vector<std::string>& values);

}  // namespace skep::api
