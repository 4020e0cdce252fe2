// The part of Go's text templates that people write behind --format: `{{.Spec.Name}}`,
// `{{json .}}`, `{{index .Labels "a"}}`, `{{range .Tasks}}..{{end}}`, `{{if
// .X}}..{{else}}..{{end}}`, and upper, lower, title, len, join. A template is parsed once, then
// printed for each object.
//
// Variables, pipelines, comparisons and nested templates are refused with a sentence, not guessed
// at: printing something else than docker would is worse than printing nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/json.hpp"
#include "core/model/result.hpp"

namespace skep::cli {

struct TemplateNode;

class Template {
 public:
  // `\t` and `\n` written as two characters count as tab and newline, as docker has it.
  static Result<Template> parse(std::string_view text);

  // Fails when a named field does not exist in an object.
  Result<std::string> print(const Json& object) const;

  // The header line for "table TEMPLATE": each field replaced by its column name, or
  // by its own in capitals.
  std::string header(const Json& column_names) const;

 private:
  std::shared_ptr<const std::vector<TemplateNode>> nodes_;
};

}  // namespace skep::cli
