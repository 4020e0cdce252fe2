// Schemas applied: what fits, what does not, and what the sentence then says.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/schema/documents.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "sdk/schema/json_schema.hpp"

using Catch::Contains;
using skep::ErrorKind;
using skep::Status;
using skep::schema::Documents;
using skep::schema::JsonSchema;
using skep::schema::Part;

namespace {

const Documents& documents() {
  static const Documents all = [] {
    auto loaded = Documents::load();
    if (!loaded) throw std::runtime_error(loaded.error().message);
    return std::move(*loaded);
  }();
  return all;
}

std::string told(const Status& status) {
  return status ? "fits" : status.error().message;
}

std::string volume(std::string_view operation, Part part, std::string_view text) {
  return told(documents().check("skep.volume/1", operation, part, text));
}

}  // namespace

TEST_CASE("every published schema compiles") {
  const auto loaded = Documents::load();
  CHECK(told(loaded ? Status() : skep::fail(loaded.error())) == "fits");
}

TEST_CASE("a document that fits is taken, with members nobody knows") {
  CHECK(volume("create", Part::request, R"({"volume":"data"})") == "fits");
  CHECK(volume("create", Part::request,
               R"({"volume":"data","options":{"size":"1g"},"sharing":"none","new":[1]})") ==
        "fits");
  CHECK(volume("publish", Part::reply, R"({"path":"/srv/data"})") == "fits");
}

TEST_CASE("one that does not names operation, part and member") {
  CHECK(volume("create", Part::request, "{}") ==
        "skep.volume/1 create request: the document: Missing required property 'volume'");
  CHECK_THAT(volume("publish", Part::reply, R"({"path":"data"})"),
             Contains("skep.volume/1 publish reply: /path: "));
  CHECK_THAT(volume("list", Part::reply,
                    R"({"volumes":[{"volume":"a","handle":1},{"volume":2,"handle":1}]})"),
             Contains("/volumes/1/volume: "));
  CHECK_THAT(volume("create", Part::request, R"({"volume":"data","sharing":"some"})"),
             Contains("/sharing: "));
  CHECK_THAT(volume("create", Part::request, R"({"volume":"data","capacity_bytes":"1"})"),
             Contains("/capacity_bytes: "));
  CHECK_THAT(volume("create", Part::request, "{"), Contains("the document is no JSON"));
}

TEST_CASE("a detail is checked where one is told, and is no part of other operations") {
  const auto detail = [](std::string_view operation, std::string_view text) {
    return told(documents().check("skep.lb/1", operation, Part::detail, text));
  };
  CHECK(detail("apply", R"({"failed":[{"service":"web","reason":"no room"}]})") == "fits");
  CHECK_THAT(detail("apply", R"({"failed":[{"service":"web"}]})"), Contains("/failed/0: "));
  CHECK_THAT(detail("cut", "{}"), Contains("there is no schema for it"));
}

TEST_CASE("an operation or interface that is not there is not found") {
  const Status nowhere = documents().check("skep.volume/1", "melt", Part::request, "{}");
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().kind == ErrorKind::not_found);
  CHECK_FALSE(documents().has("skep.nothing/1", "create", Part::request));
  CHECK(documents().operations("skep.nothing/1").empty());
}

TEST_CASE("capabilities are checked by the words of the kind") {
  CHECK(told(documents().check_capabilities("skep.volume/1", R"({"scope":"local"})")) == "fits");
  CHECK_THAT(told(documents().check_capabilities("skep.volume/1", R"({"scope":"here"})")),
             Contains("skep.volume/1 capabilities: /scope: "));
  CHECK_THAT(told(documents().check_capabilities("skep.lb/1", "{}")), Contains("protocols"));
  CHECK(told(documents().check_capabilities("skep.base/1", R"({"any":1})")) == "fits");
}

TEST_CASE("what is no schema is refused as one") {
  CHECK_FALSE(JsonSchema::compile_text("{"));
  CHECK_FALSE(JsonSchema::compile_text("[]"));
  CHECK_FALSE(JsonSchema::compile_text(R"({"type":"thing"})"));
  CHECK(JsonSchema::compile_text(R"({"type":"object"})"));
}
