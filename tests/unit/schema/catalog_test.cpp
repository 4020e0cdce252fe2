// Schemas and catalog tell of the same operations, one from the documents' side and one from the
// tables'.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/catalog.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sdk/schema/schemas.hpp"

namespace {

using json = nlohmann::ordered_json;
using skep::host::Effect;
using skep::host::Interface;
using skep::host::Operation;

// The members that a request must have, references followed.
std::vector<std::string> required_members(const json& file, json request) {
  if (request.contains("$ref")) {
    const std::string target = request.at("$ref");
    request = file.at("definitions").at(target.substr(target.rfind('/') + 1));
  }
  return request.value("required", std::vector<std::string>());
}

}  // namespace

TEST_CASE("there is a schema for each interface of the catalog and for no other, in its order") {
  std::vector<std::string> published;
  for (const auto& schema : skep::schema::schemas()) published.emplace_back(schema.interface);
  std::vector<std::string> wanted;
  for (const Interface& interface : skep::host::interfaces()) wanted.emplace_back(interface.id);
  CHECK(published == wanted);
}

TEST_CASE("a schema has the operations of its table, in the table's order") {
  for (const Interface& interface : skep::host::interfaces()) {
    INFO(interface.id);
    const json file = json::parse(skep::schema::schema_of(interface.id));
    std::vector<std::string> published;
    for (const auto& [name, operation] : file.at("operations").items()) published.push_back(name);
    std::vector<std::string> wanted;
    for (const Operation& operation : interface.operations) wanted.emplace_back(operation.name);
    CHECK(published == wanted);
  }
}

TEST_CASE("the member that names an operation's object is one that its request must have") {
  for (const Interface& interface : skep::host::interfaces()) {
    const json file = json::parse(skep::schema::schema_of(interface.id));
    for (const Operation& operation : interface.operations) {
      if (operation.key.empty()) continue;
      INFO(interface.id << " " << operation.name);
      const auto members = required_members(
          file, file.at("operations").at(std::string(operation.name)).at("request"));
      CHECK(std::find(members.begin(), members.end(), operation.key) != members.end());
    }
  }
}

TEST_CASE("streams and nothing else have items") {
  for (const Interface& interface : skep::host::interfaces()) {
    const json file = json::parse(skep::schema::schema_of(interface.id));
    for (const Operation& operation : interface.operations) {
      INFO(interface.id << " " << operation.name);
      CHECK(file.at("operations").at(std::string(operation.name)).contains("item") ==
            (operation.effect == Effect::streams));
    }
  }
}
