// Schemas and documents that would end or hang whoever applies them.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/schema/harmless.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "sdk/schema/json_schema.hpp"

using Catch::Contains;
using skep::schema::depth_max;
using skep::schema::JsonSchema;
using skep::schema::matched_text_max;

namespace {

std::string compiled(const std::string& schema) {
  const auto made = JsonSchema::compile_text(schema);
  return made ? "a schema" : made.error().message;
}

std::string checked(const std::string& schema, const std::string& document) {
  const auto made = JsonSchema::compile_text(schema);
  if (!made) return made.error().message;
  const auto fits = made->check_text(document);
  return fits ? "fits" : fits.error().message;
}

std::string nested(const std::string& before, const std::string& after, size_t times) {
  std::string text, end;
  for (size_t i = 0; i < times; ++i) {
    text += before;
    end += after;
  }
  return text + "{}" + end;
}

}  // namespace

TEST_CASE(
    "a schema that refers to itself in place is refused; one that does so in a member is not") {
  const char* const endless[] = {
      R"({"$ref":"#"})",
      R"({"allOf":[{"$ref":"#"}]})",
      R"({"not":{"$ref":"#"}})",
      R"({"if":{"$ref":"#"}})",
      R"({"dependencies":{"a":{"$ref":"#"}}})",
      R"({"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"anyOf":[{"$ref":"#/definitions/a"}]}}})",
      R"({"properties":{"a":{"$ref":"#/properties/a"}}})",
  };
  for (const char* schema : endless) {
    INFO(schema);
    CHECK_THAT(compiled(schema), Contains("refers to itself"));
  }
  const char* tree = R"({"type":"object","properties":{"child":{"$ref":"#"}}})";
  CHECK(checked(tree, R"({"child":{"child":{}}})") == "fits");
  CHECK_THAT(checked(tree, R"({"child":{"child":1}})"), Contains("/child/child: "));
}

TEST_CASE("a schema whose references multiply is refused") {
  std::string schema = R"({"$ref":"#/definitions/a0","definitions":{)";
  for (int i = 0; i < 30; ++i) {
    const std::string next = R"({"$ref":"#/definitions/a)" + std::to_string(i + 1) + "\"}";
    schema += "\"a" + std::to_string(i) + R"(":{"allOf":[)" + next + "," + next + "]},";
  }
  schema += R"("a30":{"type":"object"}}})";
  CHECK_THAT(compiled(schema), Contains("more than 1000 schemas"));
}

// a100000 refers to a100001, and so on; or the other way round, so that whoever
// walks in the order of names meets the end of the chain first.
std::string chain(int length, bool backwards) {
  const auto name = [&](int i) {
    return "a" + std::to_string(100'000 + (backwards ? length - i : i));
  };
  std::string schema = R"({"items":{"$ref":"#/definitions/)" + name(0) + R"("},"definitions":{)";
  for (int i = 0; i < length; ++i) {
    schema += "\"" + name(i) + R"(":{"$ref":"#/definitions/)" + name(i + 1) + "\"},";
  }
  return schema + "\"" + name(length) + "\":{\"type\":\"array\"}}}";
}

TEST_CASE("a chain of references has an end within reach") {
  CHECK(checked(chain(60, false), "[[]]") == "fits");
  CHECK_THAT(compiled(chain(100'000, false)), Contains("led on more than 64 times"));
  CHECK_THAT(compiled(chain(100'000, true)), Contains("more than 1000 schemas"));
  // The longest that gets through does no harm.
  CHECK(checked(chain(990, true), "[[]]") == "fits");
  CHECK_THAT(checked(chain(990, true), "[{}]"), Contains("type"));
}

TEST_CASE("schemas and documents are nested only so deep") {
  CHECK(compiled(nested(R"({"not":)", "}", depth_max)) == "a schema");
  CHECK_THAT(compiled(nested(R"({"not":)", "}", depth_max + 1)), Contains("nested more than 64"));
  CHECK_THAT(compiled(nested(R"({"not":)", "}", 100'000)), Contains("nested more than 64"));
  const char* list = R"({"items":{"$ref":"#"}})";
  CHECK(checked(list, nested("[", "]", depth_max)) == "fits");
  CHECK_THAT(checked(list, nested("[", "]", 100'000)), Contains("the document is nested"));
}

TEST_CASE("a pattern that may take for ever is refused") {
  const char* const explosive[] = {"(a+)+$", "^(a|a)*$", "((a*)b){2,}", "(\\\\w*x)+", "([a]{1,})*"};
  for (const char* pattern : explosive) {
    INFO(pattern);
    CHECK_THAT(compiled(std::string(R"({"pattern":")") + pattern + "\"}"),
               Contains("may take for ever"));
    CHECK_THAT(compiled(std::string(R"({"properties":{"x":{"patternProperties":{")") + pattern +
                        R"(":{}}}}})"),
               Contains("may take for ever"));
  }
  const char* const fine[] = {"^[a-z0-9-]+$", "^(a|b)$",        "^([0-9]{1,3}[.]){3}[0-9]{1,3}$",
                              "^[+*()]{2}$",  "^\\\\(x\\\\)+$", "^(a|b){2}$"};
  for (const char* pattern : fine) {
    INFO(pattern);
    CHECK(compiled(std::string(R"({"pattern":")") + pattern + "\"}") == "a schema");
  }
}

TEST_CASE("a pattern without a bound is matched with short texts alone") {
  const std::string unbounded = R"({"items":{"pattern":"^[a-z]+$"}})";
  const std::string bounded = R"({"items":{"pattern":"^[a-z]{1,9}"}})";
  const std::string longest = "[\"" + std::string(matched_text_max, 'a') + "\"]";
  const std::string too_long = "[\"" + std::string(matched_text_max + 1, 'a') + "\"]";
  CHECK(checked(unbounded, longest) == "fits");
  CHECK_THAT(checked(unbounded, too_long), Contains("longer than the 4096 bytes"));
  CHECK(checked(bounded, "[\"" + std::string(1 << 20, 'a') + "\"]") == "fits");
}
