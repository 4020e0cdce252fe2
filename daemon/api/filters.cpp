// Two encodings, one map.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/filters.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

namespace skep::api {
namespace {

const std::vector<std::string> kNone;

tl::unexpected<Error> malformed() {
  return fail(ErrorKind::invalid, "filters: expected {\"name\": {\"value\": true}} or lists");
}

}  // namespace

Result<Filters> Filters::parse(const Request& request,
                               std::initializer_list<std::string_view> known) {
  Filters filters;
  const std::string_view text = request.query_value("filters");
  if (text.empty()) return filters;
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return malformed();
  for (const auto& item : json.items()) {
    const std::string& name = item.key();
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return fail(ErrorKind::invalid, "invalid filter '" + name + "'");
    }
    std::vector<std::string>& values = filters.values_[name];
    if (item.value().is_object()) {
      for (const auto& value : item.value().items()) {
        if (value.value() == true) values.push_back(value.key());
      }
    } else if (item.value().is_array()) {
      for (const auto& value : item.value()) {
        if (!value.is_string()) return malformed();
        values.push_back(value.get<std::string>());
      }
    } else {
      return malformed();
    }
    if (values.empty()) filters.values_.erase(name);
  }
  return filters;
}

bool Filters::has(std::string_view name) const {
  return values_.find(name) != values_.end();
}

const std::vector<std::string>& Filters::values(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? kNone : found->second;
}

bool Filters::allows(std::string_view name,
                     const std::function<bool(const std::string&)>& fits) const {
  const std::vector<std::string>& wanted = values(name);
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), fits);
}

bool Filters::allows_equal(std::string_view name, std::string_view value) const {
  return allows(name, [&](const std::string& wanted) { return wanted == value; });
}

bool Filters::allows_prefix(std::string_view name, std::string_view value) const {
  return allows(name, [&](const std::string& wanted) { return value.starts_with(wanted); });
}

std::function<bool(std::string_view)> Filters::pattern(std::string_view name) const {
  if (!has(name)) return [](std::string_view) { return true; };
  RE2::Options quiet;
  quiet.set_log_errors(false);
  auto expressions = std::make_shared<std::vector<std::unique_ptr<const RE2>>>();
  for (const std::string& value : values(name)) {
    auto expression = std::make_unique<const RE2>(value, quiet);
    if (expression->ok()) expressions->push_back(std::move(expression));
  }
  return [texts = values(name), expressions](std::string_view value) {
    return std::find(texts.begin(), texts.end(), value) != texts.end() ||
           std::any_of(expressions->begin(), expressions->end(), [&](const auto& expression) {
             const re2::StringPiece piece(value.data(), value.size());
             return RE2::PartialMatch(piece, *expression);
           });
  };
}

Result<std::optional<bool>> Filters::truth(std::string_view name) const {
  const std::vector<std::string>& given = values(name);
  if (given.empty()) return std::optional<bool>();
  const auto says = [&](const char* digit, const char* word) {
    return std::any_of(given.begin(), given.end(),
                       [&](const std::string& text) { return text == digit || text == word; });
  };
  const bool yes = says("1", "true");
  if (yes == says("0", "false")) {
    return fail(ErrorKind::invalid,
                "invalid filter '" + std::string(name) + "=[" + joined(given) + "]'");
  }
  return std::optional<bool>(yes);
}

bool Filters::allows_label(std::string_view name, const model::Labels& labels) const {
  return std::ranges::all_of(values(name), [&](const std::string& wanted) {
    const size_t equal = wanted.find('=');
    const auto found = labels.find(wanted.substr(0, equal));
    if (found == labels.end()) return false;
    return equal == std::string::npos || found->second == wanted.substr(equal + 1);
  });
}

std::string joined(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : " ") + value;
  return text;
}

}  // namespace skep::api
