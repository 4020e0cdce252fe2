// Each part becomes a schema of its own, with the file's definitions beside it, so that references
// lead somewhere.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/schema/documents.hpp"

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "sdk/schema/json_schema.hpp"
#include "sdk/schema/schemas.hpp"

namespace skep::schema {
namespace {

using json = nlohmann::ordered_json;

constexpr std::array parts_of_operation = {Part::request, Part::reply, Part::item, Part::detail};

using Key = std::pair<std::string, std::string>;  // operation, part

struct Interface {
  std::vector<std::string> operations;
  std::map<Key, JsonSchema> parts;
};

Status take(Interface& into, const json& file, const std::string& operation,
            const std::string& part, const json& schema) {
  nlohmann::json alone = {{"allOf", nlohmann::json::array({nlohmann::json(schema)})},
                          {"definitions", nlohmann::json(file.at("definitions"))}};
  auto compiled = JsonSchema::compile(alone);
  if (!compiled) return fail(compiled.error().within(operation + " " + part));
  into.parts.emplace(Key(operation, part), std::move(*compiled));
  return {};
}

Status read_file(Interface& into, const json& file) {
  for (const auto& [name, operation] : file.at("operations").items()) {
    into.operations.push_back(name);
    for (const Part part : parts_of_operation) {
      const std::string member(name_of(part));
      if (!operation.contains(member)) continue;
      SKEP_TRY(take(into, file, name, member, operation.at(member)));
    }
  }
  if (file.at("definitions").contains("capabilities")) {
    SKEP_TRY(take(into, file, "", "capabilities", file.at("definitions").at("capabilities")));
  }
  return {};
}

}  // namespace

std::string_view name_of(Part part) {
  switch (part) {
    case Part::request:
      return "request";
    case Part::reply:
      return "reply";
    case Part::item:
      return "item";
    case Part::detail:
      return "detail";
  }
  return "";
}

struct Documents::Parts {
  std::map<std::string, Interface, std::less<>> interfaces;
};

Documents::Documents(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Documents::Documents(Documents&&) noexcept = default;
Documents& Documents::operator=(Documents&&) noexcept = default;
Documents::~Documents() = default;

Result<Documents> Documents::load() {
  auto parts = std::make_unique<Parts>();
  for (const Schema& schema : schemas()) {
    const std::string name(schema.interface);
    try {
      const Status read = read_file(parts->interfaces[name], json::parse(schema.text));
      if (!read) {
        return fail(ErrorKind::internal, "the schema of " + name + ": " + read.error().message);
      }
    } catch (const json::exception& bad) {
      return fail(ErrorKind::internal, "the schema of " + name + ": " + bad.what());
    }
  }
  return Documents(std::move(parts));
}

bool Documents::has(std::string_view interface, std::string_view operation, Part part) const {
  const auto found = parts_->interfaces.find(interface);
  return found != parts_->interfaces.end() &&
         found->second.parts.contains(Key(operation, name_of(part)));
}

std::vector<std::string> Documents::operations(std::string_view interface) const {
  const auto found = parts_->interfaces.find(interface);
  return found == parts_->interfaces.end() ? std::vector<std::string>() : found->second.operations;
}

Status Documents::check(std::string_view interface, std::string_view operation, Part part,
                        std::string_view text) const {
  const std::string where =
      std::string(interface) + " " + std::string(operation) + " " + std::string(name_of(part));
  if (!has(interface, operation, part)) {
    return fail(ErrorKind::not_found, where + ": there is no schema for it");
  }
  const Interface& all = parts_->interfaces.find(interface)->second;
  const Status fits = all.parts.at(Key(operation, name_of(part))).check_text(text);
  if (!fits) return fail(fits.error().within(where));
  return {};
}

Status Documents::check_capabilities(std::string_view interface, std::string_view text) const {
  const auto found = parts_->interfaces.find(interface);
  if (found == parts_->interfaces.end()) return {};
  const auto schema = found->second.parts.find(Key("", "capabilities"));
  if (schema == found->second.parts.end()) return {};
  const Status fits = schema->second.check_text(text);
  if (!fits) return fail(fits.error().within(std::string(interface) + " capabilities"));
  return {};
}

}  // namespace skep::schema
