// docs/drivers/operations.md: every operation of every kind in a table, made from the catalog (what
// a host knows) and the schemas (what the documents hold).
//
//     operations_table > docs/drivers/operations.md    writes it
//     operations_table --check FILE                    0 when FILE is what would be written
// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "sdk/host/catalog.hpp"
#include "sdk/schema/schemas.hpp"

namespace {

using json = nlohmann::ordered_json;
using skep::host::Effect;
using skep::host::Interface;
using skep::host::Operation;

constexpr const char* introduction =
    R"(<!-- Made by sdk/schema/operations_table.cpp from the catalog and the schemas; not to be edited. -->
# The operations of each kind

One table for each interface of `sdk/include/skep/`. A driver of a kind has `skep.base/1` and its kind's interface;
what is marked optional may be missing. Members marked `?` may be absent; what each means, its unit and its default
stand in the interface's JSON Schema, and the words of the contract in its header.

**Order** says how calls may overlap: *changes NAME*: calls for one NAME come one after the other, in the host's
order; *changes* without a name, *reads*, *waits* and *streams* may come at any moment. The time is the host's default
deadline. Beside the errors told here every operation
may end with INVALID (a malformed request), UNAVAILABLE (a dependency is away, or after drain), CANCELLED,
DEADLINE, or INTERNAL.
)";

const json& resolved(const json& file, const json& schema) {
  if (!schema.contains("$ref")) return schema;
  const std::string target = schema.at("$ref");
  return file.at("definitions").at(target.substr(target.rfind('/') + 1));
}

// "`volume` `options?`", or what else the document is.
std::string members(const json& file, const json& schema) {
  const json& document = resolved(file, schema);
  if (!document.contains("properties")) {
    if (document.value("type", "") != "object") return "any JSON";
    return schema.contains("$ref") ? "`{}`" : "an object";
  }
  std::set<std::string> required;
  if (document.contains("required")) {
    for (const json& name : document.at("required")) required.insert(name.get<std::string>());
  }
  std::string text;
  for (const auto& [name, member] : document.at("properties").items()) {
    if (!text.empty()) text += ' ';
    text += '`' + name + (required.contains(name) ? "`" : "?`");
  }
  return text;
}

std::string errors(const json& operation) {
  std::string text;
  if (!operation.contains("errors")) return text;
  for (const auto& [code, when] : operation.at("errors").items()) {
    text += "<br>" + code + ": " + when.get<std::string>();
  }
  return text;
}

std::string order(const Operation& operation) {
  const std::string key =
      operation.key.empty() ? std::string() : " `" + std::string(operation.key) + "`";
  switch (operation.effect) {
    case Effect::reads:
      return "reads";
    case Effect::changes:
      return "changes" + key;
    case Effect::waits:
      return "waits";
    case Effect::streams:
      return "streams";
  }
  return "";
}

std::string duration(int64_t deadline_ms) {
  if (deadline_ms == skep::host::no_deadline) return "none";
  return std::to_string(deadline_ms / 1000) + " s";
}

std::string row(const json& file, const Operation& known) {
  const json& operation = file.at("operations").at(std::string(known.name));
  const std::string item =
      operation.contains("item") ? "items " + members(file, operation.at("item")) + ", then " : "";
  return "| `" + std::string(known.name) + "`" + (known.required ? "" : " (optional)") + " | " +
         members(file, operation.at("request")) + " | " + item +
         members(file, operation.at("reply")) + " | " + operation.at("summary").get<std::string>() +
         errors(operation) + " | " + order(known) + " | " + duration(known.deadline_ms) + " |\n";
}

std::string page() {
  std::string text = introduction;
  for (const Interface& interface : skep::host::interfaces()) {
    const json file = json::parse(skep::schema::schema_of(interface.id));
    text += "\n## " + std::string(interface.id) + "\n\n";
    const std::string title = file.at("title");
    std::string what = title.substr(title.find(": ") + 2);
    what.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(what.front())));
    text += what + ". ";
    if (!interface.required) {
      text += "Optional for drivers of the kind " + std::string(interface.kind) + ". ";
    }
    if (file.at("definitions").contains("capabilities")) {
      text += "Its capabilities: " + members(file, file.at("definitions").at("capabilities")) + ".";
    }
    while (text.back() == ' ') text.pop_back();
    text +=
        "\n\n| operation | request | reply | what it does, and how else it ends | order | time |\n";
    text += "|---|---|---|---|---|---|\n";
    for (const Operation& operation : interface.operations) text += row(file, operation);
  }
  return text;
}

int check(const char* path) {
  std::ifstream file(path);
  std::ostringstream there;
  there << file.rdbuf();
  if (file && there.str() == page()) return 0;
  std::cerr << path << " is not what the catalog and the schemas say; write it anew with"
            << " out/bin/operations_table > docs/drivers/operations.md\n";
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  const bool to_check = count == 3 && std::string(arguments[1]) == "--check";
  if (count != 1 && !to_check) {
    std::cerr << "usage: operations_table [--check FILE]\n";
    return 2;
  }
  if (to_check) return check(arguments[2]);
  std::cout << page();
  return 0;
}
