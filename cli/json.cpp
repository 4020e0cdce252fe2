// Paths into JSON documents.
// SPDX-License-Identifier: Apache-2.0
#include "cli/json.hpp"

#include <nlohmann/json.hpp>

namespace skep::cli {

const Json& value_at(const Json& in, std::string_view path) {
  static const Json kNull;
  const Json* at = &in;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const size_t end = std::min(path.find('/'), path.size());
    const std::string key(path.substr(0, end));
    path.remove_prefix(end);
    if (at->is_object()) {
      const auto found = at->find(key);
      if (found == at->end()) return kNull;
      at = &*found;
    } else {
      return kNull;
    }
  }
  return *at;
}

std::string text_at(const Json& in, std::string_view path) {
  const Json& value = value_at(in, path);
  return value.is_string() ? value.get<std::string>() : std::string();
}

int64_t integer_at(const Json& in, std::string_view path) {
  const Json& value = value_at(in, path);
  return value.is_number() ? value.get<int64_t>() : 0;
}

bool flag_at(const Json& in, std::string_view path) {
  const Json& value = value_at(in, path);
  return value.is_boolean() && value.get<bool>();
}

const Json& array_at(const Json& in, std::string_view path) {
  static const Json kEmpty = Json::array();
  const Json& value = value_at(in, path);
  return value.is_array() ? value : kEmpty;
}

std::string compact(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string indented(const Json& value) {
  return value.dump(4, ' ', false, Json::error_handler_t::replace);
}

}  // namespace skep::cli
