// What of a configuration may be shown.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/config_view.hpp"

#include <catch2/catch.hpp>

using skep::drivers::shown_config;

TEST_CASE("what the schema marks as secret is hidden, wherever it stands") {
  const std::string schema = R"({
    "properties": {
      "user": {"type": "string"},
      "password": {"type": "string", "secret": true},
      "accounts": {"type": "array", "items": {"$ref": "#/definitions/account"}},
      "either": {"anyOf": [{"type": "string"}, {"properties": {"key": {"secret": true}}}]}
    },
    "additionalProperties": {"properties": {"token": {"secret": true}}},
    "definitions": {"account": {"properties": {"key": {"secret": true}}}}
  })";
  const std::string config = R"x({"user":"u","password":"p","accounts":[{"key":"k","name":"n"}],
                                "either":{"key":"k"},"other":{"token":"t","x":1}})x";
  const std::string shown =
      R"x({"accounts":[{"key":"(hidden)","name":"n"}],"either":{"key":"(hidden)"},)x"
      R"x("other":{"token":"(hidden)","x":1},"password":"(hidden)","user":"u"})x";
  CHECK(shown_config(config, schema) == shown);
}

TEST_CASE("a secret is hidden too where a pattern, a place in a list or a condition describes it") {
  const std::string schema = R"({
    "patternProperties": {"^token_": {"secret": true}},
    "properties": {
      "pair": {"items": [{"type": "string"}, {"secret": true}]},
      "rest": {"items": [], "additionalItems": {"secret": true}},
      "one": {"contains": {"properties": {"key": {"secret": true}}}}
    },
    "if": {"properties": {"a": {"secret": true}}},
    "dependencies": {"b": {"properties": {"b": {"secret": true}}}, "c": ["b"]}
  })";
  const std::string shown = shown_config(
      R"({"token_x":"S1","pair":["u","S2"],"rest":["S3"],"one":[{"key":"S4"}],"a":"S5","b":"S6"})",
      schema);
  INFO(shown);
  for (const char* secret : {"S1", "S2", "S3", "S4", "S5", "S6"}) {
    CHECK(shown.find(secret) == std::string::npos);
  }
}

TEST_CASE("nothing is shown for a driver whose schema nobody knows yet") {
  skep::drivers::DriverFacts facts;
  CHECK(shown_config(R"({"a":1})", facts) == "null");
  facts.known = true;
  CHECK(shown_config(R"({"a":1})", facts) == R"({"a":1})");
}

TEST_CASE("a secret object is hidden as a whole") {
  CHECK(shown_config(R"({"s":{"a":1}})", R"({"properties":{"s":{"secret":true}}})") ==
        R"x({"s":"(hidden)"})x");
}

TEST_CASE("a schema that refers to itself without end, or to nowhere, does no harm") {
  const std::string round = R"({"properties":{"a":{"$ref":"#/properties/a"}}})";
  CHECK(shown_config(R"({"a":1})", round) == R"x({"a":"(hidden)"})x");
  for (const std::string target : {"#/nowhere", "#nonsense", "http://x/y", "#/~x"}) {
    const std::string schema = R"x({"properties":{"a":{"$ref":")x" + target + R"x("}}})x";
    CHECK(shown_config(R"x({"a":1})x", schema) == R"x({"a":1})x");
  }
}

TEST_CASE("without a schema all is shown, and what is no JSON is not") {
  CHECK(shown_config(R"({"a":1})", "") == R"({"a":1})");
  CHECK(shown_config("no json", "{}") == "{}");
}
