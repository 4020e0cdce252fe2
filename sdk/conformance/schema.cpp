// The published documents, and a schema's own defaults.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/schema.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/model/result.hpp"
#include "sdk/schema/documents.hpp"
#include "sdk/schema/json_schema.hpp"

namespace skep::conformance {
namespace {

using nlohmann::json;

const schema::Documents& documents() {
  static const Result<schema::Documents> all = schema::Documents::load();
  SKEP_ASSERT(all.has_value(), "the published schemas are tested to be schemas");
  return *all;
}

std::optional<std::string> check(const host::Operation& operation, schema::Part part,
                                 std::string_view text) {
  const Status status = documents().check(operation.interface, operation.name, part, text);
  if (status) return std::nullopt;
  if (status.error().kind == ErrorKind::not_found) {
    if (json::accept(text)) return std::nullopt;
    return "answered something that is no JSON document";
  }
  return fmt::format("answered what does not fit the schema ({})", status.error().message);
}

}  // namespace

std::optional<std::string> check_reply(const host::Operation& operation, std::string_view text) {
  return check(operation, schema::Part::reply, text);
}

std::optional<std::string> check_item(const host::Operation& operation, std::string_view text) {
  return check(operation, schema::Part::item, text);
}

std::optional<std::string> check_request(const host::Operation& operation, std::string_view text) {
  return check(operation, schema::Part::request, text);
}

std::optional<std::string> check_against(std::string_view schema, const json& document) {
  const Result<schema::JsonSchema> compiled = schema::JsonSchema::compile_text(schema);
  if (!compiled) return compiled.error().message;
  const Status status = compiled->check(document);
  if (status) return std::nullopt;
  return status.error().message;
}

json defaults_of(std::string_view schema) {
  json made = json::object();
  const json document = json::parse(schema, nullptr, false);
  if (!document.is_object() || !document.contains("required")) return made;
  for (const json& name : document["required"]) {
    const auto place = json::json_pointer("/properties/" + name.get<std::string>() + "/default");
    if (document.contains(place)) made[name.get<std::string>()] = document[place];
  }
  return made;
}

}  // namespace skep::conformance
