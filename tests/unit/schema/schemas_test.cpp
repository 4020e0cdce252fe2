// The schema files themselves: complete, described, and the same in the program as on disk.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/schema/schemas.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

namespace {

using nlohmann::json;
using skep::schema::Schema;
using skep::schema::schema_of;
using skep::schema::schemas;

// The codes of skep/abi.h that an operation may end with, without SKEP_E_.
const std::set<std::string> codes = {"INVALID",       "NOTFOUND",     "EXISTS",    "BUSY",
                                     "UNAVAILABLE",   "PRECONDITION", "EXHAUSTED", "DENIED",
                                     "UNIMPLEMENTED", "CANCELLED",    "DEADLINE",  "INTERNAL"};

// Every member named under a "properties" has a description, its own or that of what it refers to.
void look_at_members(const json& schema, const json& definitions, const std::string& where,
                     std::vector<std::string>& undescribed) {
  if (schema.is_object() && schema.contains("properties")) {
    for (const auto& [name, member] : schema.at("properties").items()) {
      const json* described = &member;
      if (member.contains("$ref")) {
        const std::string target = member.at("$ref");
        described = &definitions.at(target.substr(target.rfind('/') + 1));
      }
      if (described->value("description", "").empty()) undescribed.push_back(where + "/" + name);
    }
  }
  if (schema.is_structured()) {
    for (const auto& [name, below] : schema.items()) {
      look_at_members(below, definitions, where + "/" + name, undescribed);
    }
  }
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("every schema file is in the program, to the byte") {
  std::set<std::string> on_disk;
  for (const auto& entry : std::filesystem::directory_iterator(SKEP_SCHEMA_DIR)) {
    if (entry.path().extension() == ".json") on_disk.insert(content(entry.path()));
  }
  std::set<std::string> inside;
  for (const Schema& schema : schemas()) inside.insert(std::string(schema.text));
  CHECK(inside.size() == schemas().size());
  CHECK(inside == on_disk);
}

TEST_CASE("a schema is found by its interface, and one that is not there is empty") {
  CHECK(json::parse(schema_of("skep.volume/1")).at("interface") == "skep.volume/1");
  CHECK(schema_of("skep.volume/2").empty());
  CHECK(schema_of("").empty());
}

TEST_CASE("every member is described and every operation says what it does") {
  for (const Schema& schema : schemas()) {
    const json file = json::parse(schema.text);
    INFO(schema.interface);
    CHECK(file.at("interface") == schema.interface);
    CHECK(file.at("$schema") == "http://json-schema.org/draft-07/schema#");
    std::vector<std::string> undescribed;
    look_at_members(file, file.at("definitions"), "", undescribed);
    CHECK(undescribed.empty());
    if (!undescribed.empty()) CHECK(undescribed.front() == "");
    for (const auto& [name, operation] : file.at("operations").items()) {
      INFO(name);
      CHECK_FALSE(operation.value("summary", "").empty());
      CHECK(operation.contains("request"));
      CHECK(operation.contains("reply"));
      const json errors = operation.value("errors", json::object());
      for (const auto& [code, when] : errors.items()) {
        CHECK(codes.contains(code));
        CHECK_FALSE(when.get<std::string>().empty());
      }
    }
  }
}

TEST_CASE("unknown members are allowed everywhere, so that a new one is never a break") {
  for (const Schema& schema : schemas()) {
    INFO(schema.interface);
    CHECK(schema.text.find("\"additionalProperties\": false") == std::string_view::npos);
    CHECK(schema.text.find("propertyNames") == std::string_view::npos);
  }
}

TEST_CASE("no pattern repeats without a bound, for the stack's sake") {
  for (const Schema& schema : schemas()) {
    INFO(schema.interface);
    const json file = json::parse(schema.text);
    const json flat = file.flatten();
    for (const auto& [where, value] : flat.items()) {
      if (!where.ends_with("/pattern") || !value.is_string()) continue;
      INFO(where);
      CHECK(value.get<std::string>().find_first_of("*+") == std::string::npos);
    }
  }
}
