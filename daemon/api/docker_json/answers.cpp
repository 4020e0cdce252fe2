// Documents as text and back, and the small answers that have no noun.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {
namespace {

// Deeper than any noun of the API; bounds the recursion over what a client sends.
constexpr int kDepthMax = 64;

}  // namespace

Result<Json> parse_document(std::string_view text) {
  bool too_deep = false;
  const Json::parser_callback_t watch = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDepthMax;
    return depth <= kDepthMax;
  };
  if (text.empty()) return fail(ErrorKind::invalid, "the body is empty, expected JSON");
  Json json = Json::parse(text, watch, false);
  if (too_deep) return fail(ErrorKind::invalid, "the JSON is nested too deeply");
  if (json.is_discarded()) return fail(ErrorKind::invalid, "the body is not valid JSON");
  return json;
}

std::string document_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string error_to_json(std::string_view message) {
  return document_text(Json{{"message", std::string(message)}});
}

std::string created_to_json(std::string_view id) {
  return document_text(Json{{"ID", std::string(id)}});
}

Result<std::string> parse_created(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  for (const char* key : {"ID", "Id"}) {
    if (json.is_object() && json.contains(key) && json[key].is_string()) {
      return json[key].get<std::string>();
    }
  }
  return fail(ErrorKind::internal, "the answer holds no ID");
}

std::string text_to_json(std::string_view text) {
  return document_text(Json(std::string(text)));
}

Result<std::string> parse_text(std::string_view text) {
  return parse_value<std::string>(text);
}

}  // namespace skep::docker_json
