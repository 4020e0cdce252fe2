// Go's templates, as far as we go.
// SPDX-License-Identifier: Apache-2.0
#include "cli/template.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using skep::cli::Json;
using skep::cli::Template;

namespace {

const char* const kObject =
    R"({"ID":"abc","Spec":{"Name":"web","Labels":{"a.b":"c"},"Ports":[80,443]},
  "Networks":{"x":{"Address":"10.0.0.1"},"y":{"Address":"10.0.0.2"}},"Empty":[]})";

std::string printed(std::string_view text) {
  const auto made = Template::parse(text);
  if (!made) return "refused: " + made.error().message;
  const auto out = made->print(Json::parse(kObject));
  return out ? *out : "failed: " + out.error().message;
}

}  // namespace

TEST_CASE("fields, JSON, index, and escaped tabs") {
  CHECK(printed("{{.ID}}\\t{{ .Spec.Name }}") == "abc\tweb");
  CHECK(printed("{{json .Spec.Labels}}") == R"({"a.b":"c"})");
  CHECK(printed("{{index .Spec.Labels \"a.b\"}}") == "c");
  CHECK(printed("{{.Spec.Ports}}") == "[80 443]");
  CHECK(printed("{{.Spec.Labels}}") == "map[a.b:c]");
  CHECK(printed("{{upper .Spec.Name}}{{len .Spec.Ports}}") == "WEB2");
}

TEST_CASE("range and if print their bodies") {
  CHECK(printed("{{range .Networks}}{{.Address}} {{end}}") == "10.0.0.1 10.0.0.2 ");
  CHECK(printed("{{range .Empty}}x{{else}}none{{end}}") == "none");
  CHECK(printed("{{if .Empty}}yes{{else}}no{{end}}") == "no");
}

TEST_CASE("a field that isn't there is an error at the top and no value below") {
  CHECK(printed("{{.Nope}}").starts_with("failed: "));
  CHECK(printed("{{.Spec.Nope}}") == "<no value>");
}

TEST_CASE("what is not understood is refused, not guessed") {
  CHECK(printed("{{.ID | upper}}").starts_with("refused: "));
  CHECK(printed("{{with .Spec}}x{{end}}").starts_with("refused: "));
  CHECK(printed("{{if .ID}}x").starts_with("refused: "));
  CHECK(printed("{{.ID").starts_with("refused: "));
  CHECK(printed("x{{end}}").starts_with("refused: "));
}

TEST_CASE("a table's heading is the column's, or the field's own in capitals as docker has it") {
  const Json names = Json::parse(R"({"Name":"VOLUME NAME"})");
  CHECK(Template::parse("{{.Name}}\\t{{.Size}}\\t{{.CreatedAt}}\\t{{.ID}}")->header(names) ==
        "VOLUME NAME\tSIZE\tCREATED AT\tID");
}
