// Three looks at a schema: its depth, what one value leads to in place, and its patterns.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/schema/harmless.hpp"

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace skep::schema {
namespace {

using nlohmann::json;

// Calls `look` for every value; false when one lies too deep or `look` said false.
template <class Look>
bool walk(const json& value, const Look& look, size_t depth = 0) {
  if (depth > depth_max || !look(value)) return false;
  if (!value.is_structured()) return true;
  for (const json& member : value) {
    if (!walk(member, look, depth + 1)) return false;
  }
  return true;
}

// The schemas that apply to the same value as this one does.
class InPlace {
 public:
  explicit InPlace(const json& root) : root_(root) {}

  // How many schemas a value meets when it meets `schema`; an error when that has no end.
  Result<size_t> steps(const json& schema, size_t led_on = 0) {
    if (led_on > depth_max) {
      return fail(ErrorKind::invalid, "one value would be led on more than " +
                                          std::to_string(depth_max) + " times, to no end");
    }
    const auto known = steps_.find(&schema);
    if (known != steps_.end()) {
      if (known->second == under_way) {
        return fail(ErrorKind::invalid, "it refers to itself without going on to a member");
      }
      return known->second;
    }
    steps_[&schema] = under_way;
    size_t count = 1;
    for (const json* next : applied_with(schema)) {
      SKEP_TRY_ASSIGN(const size_t more, steps(*next, led_on + 1));
      count += more;
      if (count > schema_steps_max) {
        return fail(ErrorKind::invalid, "one value would have to meet more than " +
                                            std::to_string(schema_steps_max) + " schemas");
      }
    }
    steps_[&schema] = count;
    return count;
  }

 private:
  static constexpr size_t under_way = 0;

  std::vector<const json*> applied_with(const json& schema) const {
    std::vector<const json*> all;
    if (!schema.is_object()) return all;
    for (const char* list : {"allOf", "anyOf", "oneOf"}) {
      const auto found = schema.find(list);
      if (found == schema.end() || !found->is_array()) continue;
      for (const json& entry : *found) all.push_back(&entry);
    }
    for (const char* member : {"not", "if", "then", "else"}) {
      const auto found = schema.find(member);
      if (found != schema.end()) all.push_back(&*found);
    }
    const auto dependencies = schema.find("dependencies");
    if (dependencies != schema.end() && dependencies->is_object()) {
      for (const json& entry : *dependencies) all.push_back(&entry);
    }
    if (const json* target = referred(schema)) all.push_back(target);
    return all;
  }

  // Where "$ref" leads within this schema; nullptr when nowhere, which valijson refuses itself.
  const json* referred(const json& schema) const {
    const auto found = schema.find("$ref");
    if (found == schema.end() || !found->is_string()) return nullptr;
    const std::string& text = found->get_ref<const std::string&>();
    if (!text.starts_with('#')) return nullptr;
    try {
      const json::json_pointer place(text.substr(1));
      return root_.contains(place) ? &root_.at(place) : nullptr;
    } catch (const json::exception&) {
      return nullptr;  // no JSON pointer
    }
  }

  const json& root_;
  std::map<const json*, size_t> steps_;
};

// What a pattern does to a backtracking matcher.
enum class Cost { bounded, unbounded, explosive };

bool repeats_without_bound(std::string_view rest) {
  if (rest.empty()) return false;
  if (rest.front() == '*' || rest.front() == '+') return true;
  const size_t end = rest.find('}');
  return rest.front() == '{' && end != std::string_view::npos && rest[end - 1] == ',';
}

Cost cost_of(std::string_view pattern) {
  Cost cost = Cost::bounded;
  std::vector<bool> risky = {false};  // of each open group: repeats or chooses within
  bool in_set = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\') {
      ++i;  // a back reference is as good as a repetition
      if (i < pattern.size() && pattern[i] >= '1' && pattern[i] <= '9') risky.back() = true;
    } else if (in_set) {
      in_set = c != ']';
    } else if (c == '[') {
      in_set = true;
    } else if (c == '(') {
      risky.push_back(false);
    } else if (c == ')' && risky.size() > 1) {
      const bool was_risky = risky.back();
      risky.pop_back();
      if (was_risky && repeats_without_bound(pattern.substr(i + 1))) return Cost::explosive;
      risky.back() = risky.back() || was_risky;
    } else if (c == '|') {
      risky.back() = true;
    } else if (repeats_without_bound(pattern.substr(i))) {
      risky.back() = true;
      cost = Cost::unbounded;
    }
  }
  return cost;
}

Status look_at_pattern(const std::string& pattern, Patterns& patterns) {
  const Cost cost = cost_of(pattern);
  if (cost == Cost::explosive) {
    return fail(ErrorKind::invalid, "its pattern " + pattern +
                                        " repeats a group that itself repeats or chooses; such a "
                                        "pattern may take for ever");
  }
  if (cost == Cost::unbounded) patterns.any_unbounded = true;
  return {};
}

Status look_at_patterns(const json& schema, Patterns& patterns) {
  const auto pattern = schema.find("pattern");
  if (pattern != schema.end() && pattern->is_string()) {
    SKEP_TRY(look_at_pattern(pattern->get<std::string>(), patterns));
  }
  const auto named = schema.find("patternProperties");
  if (named == schema.end() || !named->is_object()) return {};
  for (const auto& [text, member] : named->items()) SKEP_TRY(look_at_pattern(text, patterns));
  return {};
}

}  // namespace

Result<Patterns> check_harmless(const json& schema) {
  if (!walk(schema, [](const json&) { return true; })) {
    return fail(ErrorKind::invalid,
                "it is nested more than " + std::to_string(depth_max) + " levels deep");
  }
  InPlace in_place(schema);
  Patterns patterns;
  Status found;
  walk(schema, [&](const json& part) {
    if (!part.is_object()) return true;
    const auto steps = in_place.steps(part);
    found = steps ? look_at_patterns(part, patterns) : fail(steps.error());
    return found.has_value();
  });
  SKEP_TRY(found);
  return patterns;
}

Status check_document(const json& document, const Patterns& patterns) {
  bool too_long = false;
  const bool whole = walk(document, [&](const json& value) {
    too_long = patterns.any_unbounded && value.is_string() &&
               value.get_ref<const std::string&>().size() > matched_text_max;
    return !too_long;
  });
  if (whole) return {};
  if (too_long) {
    return fail(ErrorKind::invalid, "a text of the document is longer than the " +
                                        std::to_string(matched_text_max) +
                                        " bytes that its schema's patterns are matched with");
  }
  return fail(ErrorKind::invalid,
              "the document is nested more than " + std::to_string(depth_max) + " levels deep");
}

}  // namespace skep::schema
