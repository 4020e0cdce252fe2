// Splits a line at its first blank, and finds the word among operations and the console's own.
// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/console_line.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/grammar.hpp"

namespace skep::cli {
namespace {

constexpr std::array<std::string_view, 7> kWords = {"help", "ops",     "log",    "kill",
                                                    "quit", "restart", "metrics"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// "skep.runtime.exec/1" as "runtime.exec".
std::string_view short_interface(std::string_view id) {
  constexpr std::string_view kHouse = "skep.";
  if (id.starts_with(kHouse)) id.remove_prefix(kHouse.size());
  return id.substr(0, id.find('/'));
}

const host::Operation* find(std::string_view word,
                            const std::vector<const host::Operation*>& operations) {
  for (const host::Operation* operation : operations) {
    if (operation->name == word || full_name(*operation) == word) return operation;
  }
  return nullptr;
}

tl::unexpected<Error> unknown(std::string_view word,
                              const std::vector<const host::Operation*>& operations, Words known) {
  for (const host::Operation* operation : operations) {
    known.emplace_back(operation->name);
    known.push_back(full_name(*operation));
  }
  std::string sentence = "there is no operation \"" + std::string(word) + "\"";
  if (const auto near = nearest_word(word, known)) {
    sentence += "; did you mean " + *near + "?";
  } else {
    sentence += "; \"ops\" lists what there is";
  }
  return fail(ErrorKind::invalid, std::move(sentence));
}

Status check_request(std::string_view request) {
  try {
    if (nlohmann::json::parse(request).is_object()) return {};
    return fail(ErrorKind::invalid, "the request has to be a JSON object, {...}");
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorKind::invalid, std::string("the request is no JSON: ") + error.what());
  }
}

}  // namespace

std::string full_name(const host::Operation& operation) {
  return std::string(short_interface(operation.interface)) + "." + std::string(operation.name);
}

std::vector<const host::Operation*> operations_of(const std::vector<std::string>& interfaces) {
  std::vector<const host::Operation*> own;
  std::vector<const host::Operation*> base;
  for (const host::Interface& interface : host::interfaces()) {
    const bool is_base = interface.kind == "base";
    if (!is_base && std::ranges::find(interfaces, interface.id) == interfaces.end()) continue;
    auto& into = is_base ? base : own;
    for (const host::Operation& operation : interface.operations) into.push_back(&operation);
  }
  own.insert(own.end(), base.begin(), base.end());
  return own;
}

Result<ConsoleLine> parse_console_line(std::string_view line,
                                       const std::vector<std::string>& interfaces) {
  line = trimmed(line);
  if (line.empty() || line.starts_with('#')) return Nothing{};
  ConsoleCall call;
  if (line.starts_with('!')) {
    call.has_to_fail = true;
    line = trimmed(line.substr(1));
  }
  const size_t end = std::min(line.find_first_of(" \t{"), line.size());
  const std::string_view word = line.substr(0, end);
  const std::string_view rest = trimmed(line.substr(end));
  const std::vector<const host::Operation*> operations = operations_of(interfaces);
  call.operation = find(word, operations);
  if (call.operation == nullptr) {
    if (!call.has_to_fail && std::ranges::find(kWords, word) != kWords.end()) {
      return ConsoleWord{std::string(word), std::string(rest)};
    }
    const Words own = call.has_to_fail ? Words() : Words(kWords.begin(), kWords.end());
    return unknown(word, operations, own);
  }
  call.request = rest.empty() ? "{}" : rest;
  SKEP_TRY(check_request(call.request));
  return call;
}

}  // namespace skep::cli
