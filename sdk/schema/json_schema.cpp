// valijson's visitor, and its errors told as one sentence.
//
// valijson reports from the inside out: the first error is the deepest, the ones after it only say
// that a child did not fit. So the first is told, unless a later one is deeper.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/schema/json_schema.hpp"

#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "sdk/schema/harmless.hpp"

namespace skep::schema {
namespace {

using nlohmann::json;
using Adapter = valijson::adapters::NlohmannJsonAdapter;

// "<root>", "[ports]", "[0]" -> "/ports/0".
std::string pointer(const std::vector<std::string>& context) {
  std::string text;
  for (const std::string& step : context) {
    if (step.size() < 2 || step.front() != '[') continue;
    text += "/" + step.substr(1, step.size() - 2);
  }
  return text.empty() ? "the document" : text;
}

std::string sentence(const valijson::ValidationResults& results) {
  const valijson::ValidationResults::Error* deepest = nullptr;
  for (const auto& error : results) {
    if (deepest == nullptr || error.context.size() > deepest->context.size()) deepest = &error;
  }
  if (deepest == nullptr) return "the document does not fit its schema";
  std::string text = pointer(deepest->context) + ": " + deepest->description;
  while (!text.empty() && text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

struct JsonSchema::Parts {
  valijson::Schema schema;
  Patterns patterns;
};

JsonSchema::JsonSchema(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;
JsonSchema& JsonSchema::operator=(JsonSchema&&) noexcept = default;
JsonSchema::~JsonSchema() = default;

Result<JsonSchema> JsonSchema::compile_text(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return fail(ErrorKind::invalid, "the schema is no JSON");
  return compile(document);
}

Result<JsonSchema> JsonSchema::compile(const json& schema) {
  auto parts = std::make_unique<Parts>();
  const Result<Patterns> harmless = check_harmless(schema);
  if (!harmless) return fail(harmless.error().within("no JSON Schema to work with"));
  parts->patterns = *harmless;
  try {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(Adapter(schema), parts->schema);
  } catch (const std::exception& bad) {
    return fail(ErrorKind::invalid, std::string("no JSON Schema: ") + bad.what());
  }
  return JsonSchema(std::move(parts));
}

Status JsonSchema::check(const json& document) const {
  SKEP_TRY(check_document(document, parts_->patterns));
  try {
    valijson::ValidationResults results;
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    if (validator.validate(parts_->schema, Adapter(document), &results)) return {};
    return fail(ErrorKind::invalid, sentence(results));
  } catch (const std::exception& bad) {
    return fail(ErrorKind::internal, std::string("the schema can't be applied: ") + bad.what());
  }
}

Status JsonSchema::check_text(std::string_view text) const {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return fail(ErrorKind::invalid, "the document is no JSON");
  return check(document);
}

}  // namespace skep::schema
