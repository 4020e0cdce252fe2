// A small recursive printer for Template: text, a value, `if` and `range` with their bodies.
//
// Go prints a missing map key as "<no value>" and refuses a missing struct field; JSON objects
// don't tell which of the two they were. A missing key is an error at the top level, where it is
// nearly always a slip in the template, and "<no value>" below it, where the API leaves out what is
// empty.
// SPDX-License-Identifier: Apache-2.0
#include "cli/template.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>

namespace skep::cli {

struct TemplateNode {
  enum class Kind { text, value, conditional, loop };
  Kind kind = Kind::text;
  std::string text;                 // literal text
  std::vector<std::string> words;   // the expression, split: {"json", ".Spec"}
  std::vector<TemplateNode> body;   // of conditional and loop
  std::vector<TemplateNode> other;  // behind {{else}}
};

namespace {

constexpr std::array<std::string_view, 8> kFunctions = {"json", "upper", "lower", "title",
                                                        "len",  "join",  "index", "print"};

Error unsupported(std::string_view expression) {
  return {ErrorKind::invalid, "template parsing error: skep does not know {{" +
                                  std::string(expression) +
                                  "}}; it knows {{.Field}}, {{json .}}, {{index .Field \"key\"}}, "
                                  "{{range}}, {{if}}, {{else}}, {{end}}, upper, lower, title, "
                                  "len and join"};
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 't' || text[i + 1] == 'n')) {
      out += text[++i] == 't' ? '\t' : '\n';
    } else {
      out += text[i];
    }
  }
  return out;
}

// Splits at blanks; a quoted word keeps its opening quote as a mark. nullopt: a quote is not
// closed.
Result<std::vector<std::string>> split_words(std::string_view expression) {
  std::vector<std::string> words;
  size_t i = 0;
  while (i < expression.size()) {
    if (std::isspace(static_cast<unsigned char>(expression[i])) != 0) {
      ++i;
      continue;
    }
    if (expression[i] == '"' || expression[i] == '`') {
      const size_t end = expression.find(expression[i], i + 1);
      if (end == std::string_view::npos) return fail(unsupported(expression));
      words.push_back("\"" + std::string(expression.substr(i + 1, end - i - 1)));
      i = end + 1;
      continue;
    }
    const size_t end = std::min(expression.find_first_of(" \t\n\"`", i), expression.size());
    words.emplace_back(expression.substr(i, end - i));
    i = end;
  }
  return words;
}

bool is_operand(const std::string& word) {
  if (word.starts_with('"')) return true;
  if (word.starts_with('.')) {
    return std::ranges::all_of(word, [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_';
    });
  }
  return !word.empty() &&
         std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c); });
}

Status check_expression(const std::vector<std::string>& words, std::string_view expression) {
  if (words.empty()) return fail(unsupported(expression));
  const bool has_function = std::ranges::find(kFunctions, words.front()) != kFunctions.end();
  if (!has_function && (words.size() != 1 || !is_operand(words.front()))) {
    return fail(unsupported(expression));
  }
  if (has_function && words.size() < 2) return fail(unsupported(expression));
  for (size_t i = has_function ? 1 : 0; i < words.size(); ++i) {
    if (!is_operand(words[i])) return fail(unsupported(expression));
  }
  return {};
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  // Reads until the end of the text, or an {{else}} or {{end}}, which is left in `stop`.
  Result<std::vector<TemplateNode>> body(int depth, std::string& stop) {
    constexpr int kDepthMax = 32;
    if (depth > kDepthMax) {
      return fail(ErrorKind::invalid, "template parsing error: nested too deeply");
    }
    std::vector<TemplateNode> nodes;
    while (!rest_.empty()) {
      const size_t open = rest_.find("{{");
      if (open != 0) nodes.push_back({.text = std::string(rest_.substr(0, open))});
      if (open == std::string_view::npos) return nodes;
      rest_.remove_prefix(open + 2);
      const size_t close = rest_.find("}}");
      if (close == std::string_view::npos) {
        return fail(ErrorKind::invalid, "template parsing error: unclosed action");
      }
      const std::string_view expression = rest_.substr(0, close);
      rest_.remove_prefix(close + 2);
      SKEP_TRY_ASSIGN(std::vector<std::string> words, split_words(expression));
      if (words.size() == 1 && (words.front() == "end" || words.front() == "else")) {
        stop = words.front();
        return nodes;
      }
      SKEP_TRY_ASSIGN(TemplateNode node, action(std::move(words), expression, depth));
      nodes.push_back(std::move(node));
    }
    return nodes;
  }

 private:
  Result<TemplateNode> action(std::vector<std::string> words, std::string_view expression,
                              int depth) {
    TemplateNode node{.kind = TemplateNode::Kind::value};
    const bool opens = !words.empty() && (words.front() == "if" || words.front() == "range");
    if (opens) {
      node.kind =
          words.front() == "if" ? TemplateNode::Kind::conditional : TemplateNode::Kind::loop;
      words.erase(words.begin());
    }
    SKEP_TRY(check_expression(words, expression));
    node.words = std::move(words);
    if (!opens) return node;
    std::string stop;
    SKEP_TRY_ASSIGN(node.body, body(depth + 1, stop));
    if (stop == "else") {
      stop.clear();
      SKEP_TRY_ASSIGN(node.other, body(depth + 1, stop));
    }
    if (stop != "end")
      return fail(ErrorKind::invalid, "template parsing error: {{end}} is missing");
    return node;
  }

  std::string_view rest_;
};

bool is_true(const Json& value) {
  if (value.is_null()) return false;
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.empty();
}

// How Go's template printer shows a value: maps and lists in its bracket form.
std::string shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "<no value>";
  if (value.is_array()) {
    std::string out = "[";
    for (const Json& item : value) out += (out.size() > 1 ? " " : "") + shown(item);
    return out + "]";
  }
  if (value.is_object()) {
    std::string out = "map[";
    for (const auto& [key, item] : value.items()) {
      out += (out.size() > 4 ? " " : "") + key + ":" + shown(item);
    }
    return out + "]";
  }
  return compact(value);
}

Result<Json> operand(const std::string& word, const Json& object) {
  if (word.starts_with('"')) return Json(word.substr(1));
  if (!word.starts_with('.')) return Json(std::stoll(word));
  const Json* at = &object;
  bool top = true;
  std::string_view rest = std::string_view(word).substr(1);
  while (!rest.empty()) {
    const std::string key(rest.substr(0, rest.find('.')));
    rest.remove_prefix(std::min(rest.size(), key.size() + 1));
    const auto found = at->is_object() ? at->find(key) : at->end();
    if (!at->is_object() || found == at->end()) {
      if (!top) return Json();
      return fail(ErrorKind::invalid, "template: can't evaluate field " + key + " in this object");
    }
    at = &*found;
    top = false;
  }
  return *at;
}

std::string changed_case(std::string text, const std::string& function) {
  bool at_start = true;
  for (char& c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    const bool to_upper = function == "upper" || (function == "title" && at_start);
    if (to_upper) c = static_cast<char>(std::toupper(byte));
    if (function == "lower") c = static_cast<char>(std::tolower(byte));
    at_start = c == ' ';
  }
  return text;
}

Json indexed(const Json& in, const Json& key) {
  if (in.is_object() && key.is_string()) {
    const auto found = in.find(key.get<std::string>());
    return found == in.end() ? Json() : *found;
  }
  if (in.is_array() && key.is_number_integer()) {
    const size_t position = key.get<size_t>();
    return position < in.size() ? in[position] : Json();
  }
  return {};
}

Result<Json> evaluated(const std::vector<std::string>& words, const Json& object) {
  if (words.size() == 1) return operand(words.front(), object);
  const std::string& function = words.front();
  SKEP_TRY_ASSIGN(Json first, operand(words[1], object));
  if (function == "json") return Json(compact(first));
  if (function == "print") return Json(shown(first));
  if (function == "len")
    return Json(first.is_string() ? first.get<std::string>().size() : first.size());
  if (function == "index") {
    for (size_t i = 2; i < words.size(); ++i) {
      SKEP_TRY_ASSIGN(const Json key, operand(words[i], object));
      first = indexed(first, key);
    }
    return first;
  }
  if (function == "join") {
    SKEP_TRY_ASSIGN(const Json between, operand(words.size() > 2 ? words[2] : "\"", object));
    std::string out;
    for (size_t i = 0; i < first.size() && first.is_array(); ++i) {
      out += (i > 0 ? shown(between) : "") + shown(first[i]);
    }
    return Json(out);
  }
  return Json(changed_case(shown(first), function));
}

Status print_nodes(const std::vector<TemplateNode>& nodes, const Json& object, std::string& out) {
  for (const TemplateNode& node : nodes) {
    if (node.kind == TemplateNode::Kind::text) {
      out += node.text;
      continue;
    }
    SKEP_TRY_ASSIGN(const Json value, evaluated(node.words, object));
    switch (node.kind) {
      case TemplateNode::Kind::text:
        break;
      case TemplateNode::Kind::value:
        out += shown(value);
        break;
      case TemplateNode::Kind::conditional:
        SKEP_TRY(print_nodes(is_true(value) ? node.body : node.other, object, out));
        break;
      case TemplateNode::Kind::loop:
        if (value.empty()) SKEP_TRY(print_nodes(node.other, object, out));
        for (const Json& item : value) SKEP_TRY(print_nodes(node.body, item, out));
        break;
    }
  }
  return {};
}

}  // namespace

Result<Template> Template::parse(std::string_view text) {
  const std::string source = unescaped(text);
  std::string stop;
  SKEP_TRY_ASSIGN(std::vector<TemplateNode> nodes, Parser(source).body(0, stop));
  if (!stop.empty())
    return fail(ErrorKind::invalid, "template parsing error: unexpected {{" + stop + "}}");
  Template made;
  made.nodes_ = std::make_shared<const std::vector<TemplateNode>>(std::move(nodes));
  return made;
}

Result<std::string> Template::print(const Json& object) const {
  std::string out;
  SKEP_TRY(print_nodes(*nodes_, object, out));
  return out;
}

namespace {

// A field that no table shows, as docker heads it: "CreatedAt" is "CREATED AT", "ID" one word.
std::string heading_of(const std::string& field) {
  const auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  const auto small = [](char c) { return c >= 'a' && c <= 'z'; };
  std::string heading;
  for (size_t i = 0; i < field.size(); ++i) {
    if (i > 0 && capital(field[i]) && small(field[i - 1])) heading += ' ';
    heading += small(field[i]) ? static_cast<char>(field[i] - 32) : field[i];
  }
  return heading;
}

}  // namespace

std::string Template::header(const Json& column_names) const {
  std::string out;
  for (const TemplateNode& node : *nodes_) {
    if (node.kind == TemplateNode::Kind::text) out += node.text;
    if (node.kind != TemplateNode::Kind::value) continue;
    const std::string field = node.words.back().substr(1);
    const std::string name = text_at(column_names, "/" + field);
    out += name.empty() ? heading_of(field) : name;
  }
  return out;
}

}  // namespace skep::cli
