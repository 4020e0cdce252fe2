// JSON Schema (draft-07, what libvalijson knows of it), applied to a document.
//
// A compiled schema is constant; checking is [any-thread]. The schema may be somebody else's, and
// the document anything: what would end or hang whoever applies it is refused (harmless.hpp).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "core/model/result.hpp"

namespace skep::schema {

class JsonSchema {
 public:
  // ErrorKind::invalid when the text is no JSON or no schema.
  static Result<JsonSchema> compile_text(std::string_view text);
  static Result<JsonSchema> compile(const nlohmann::json& schema);

  JsonSchema(JsonSchema&&) noexcept;
  JsonSchema& operator=(JsonSchema&&) noexcept;
  ~JsonSchema();

  // ErrorKind::invalid when the document does not fit; the sentence begins with the JSON pointer of
  // the member: "/ports/0/protocol: ...", or with "the document" for the whole.
  Status check(const nlohmann::json& document) const;
  // The same for a text; also when that is no JSON.
  Status check_text(std::string_view text) const;

 private:
  struct Parts;
  explicit JsonSchema(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace skep::schema
