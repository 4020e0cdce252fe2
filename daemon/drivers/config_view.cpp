// Walking configuration and schema side by side.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/config_view.hpp"

#include <nlohmann/json.hpp>

namespace skep::drivers {
namespace {

using json = nlohmann::json;

constexpr int depth_max = 32;  // of references and nesting; deeper is hidden, not shown

class Hiding {
 public:
  explicit Hiding(const json& root) : root_(root) {}

  void hide(json& value, const json& schema, int depth) const {
    if (!schema.is_object()) return;
    const auto secret = schema.find("secret");
    if (depth > depth_max || (secret != schema.end() && *secret == true)) {
      value = "(hidden)";
      return;
    }
    if (const json* target = referred(schema)) hide(value, *target, depth + 1);
    for (const char* choice : {"allOf", "anyOf", "oneOf"}) {
      const auto found = schema.find(choice);
      if (found == schema.end() || !found->is_array()) continue;
      for (const json& one : *found) hide(value, one, depth + 1);
    }
    for (const char* branch : {"if", "then", "else", "not"}) {
      if (const auto found = schema.find(branch); found != schema.end()) {
        hide(value, *found, depth + 1);
      }
    }
    const auto dependent = schema.find("dependencies");
    if (dependent != schema.end() && dependent->is_object()) {
      for (const json& one : *dependent) hide(value, one, depth + 1);
    }
    if (value.is_object()) hide_members(value, schema, depth);
    if (value.is_array()) hide_items(value, schema, depth);
  }

 private:
  const json* referred(const json& schema) const {
    const auto found = schema.find("$ref");
    if (found == schema.end() || !found->is_string()) return nullptr;
    const std::string text = found->get<std::string>();
    if (!text.starts_with("#")) return nullptr;
    try {
      const json::json_pointer pointer(text.substr(1));
      return root_.contains(pointer) ? &root_.at(pointer) : nullptr;
    } catch (const json::exception&) {
      return nullptr;  // no pointer: the schema was refused already, or says nothing
    }
  }

  void hide_members(json& value, const json& schema, int depth) const {
    const auto properties = schema.find("properties");
    const auto patterns = schema.find("patternProperties");
    const auto others = schema.find("additionalProperties");
    for (auto& [name, member] : value.items()) {
      if (properties != schema.end() && properties->contains(name)) {
        hide(member, properties->at(name), depth + 1);
      } else if (others != schema.end()) {
        hide(member, *others, depth + 1);
      }
      if (patterns == schema.end() || !patterns->is_object()) continue;
      for (const json& pattern : *patterns) hide(member, pattern, depth + 1);
    }
  }

  void hide_items(json& value, const json& schema, int depth) const {
    for (const char* what : {"items", "additionalItems", "contains"}) {
      const auto items = schema.find(what);
      if (items == schema.end()) continue;
      // One schema for all, or one for each place: then the mark of any place counts for all.
      for (json& item : value) {
        if (!items->is_array()) hide(item, *items, depth + 1);
        if (!items->is_array()) continue;
        for (const json& place : *items) hide(item, place, depth + 1);
      }
    }
  }

  const json& root_;
};

}  // namespace

std::string shown_config(const std::string& config, const std::string& schema) {
  json shown = json::parse(config, nullptr, false);
  if (shown.is_discarded()) return "{}";
  const json described = json::parse(schema, nullptr, false);
  if (described.is_object()) Hiding(described).hide(shown, described, 0);
  return shown.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string shown_config(const std::string& config, const DriverFacts& facts) {
  return facts.known ? shown_config(config, facts.config_schema) : "null";
}

}  // namespace skep::drivers
