// Outcomes as text.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/outcome.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace skep::conformance {

std::string Outcome::text(std::string_view member) const {
  const json value = this->member(member);
  return value.is_string() ? value.get<std::string>() : std::string();
}

json Outcome::member(std::string_view name) const {
  if (!reply.is_object()) return nullptr;
  const auto found = reply.find(std::string(name));
  return found == reply.end() ? json(nullptr) : *found;
}

std::string status_name(skep_status status) {
  static constexpr std::array<std::pair<skep_status, std::string_view>, 15> names{{
      {SKEP_OK, "OK"},
      {SKEP_PENDING, "PENDING"},
      {SKEP_E_INVALID, "INVALID"},
      {SKEP_E_NOTFOUND, "NOTFOUND"},
      {SKEP_E_EXISTS, "EXISTS"},
      {SKEP_E_BUSY, "BUSY"},
      {SKEP_E_UNAVAILABLE, "UNAVAILABLE"},
      {SKEP_E_PRECONDITION, "PRECONDITION"},
      {SKEP_E_EXHAUSTED, "EXHAUSTED"},
      {SKEP_E_DENIED, "DENIED"},
      {SKEP_E_UNIMPLEMENTED, "UNIMPLEMENTED"},
      {SKEP_E_CANCELLED, "CANCELLED"},
      {SKEP_E_DEADLINE, "DEADLINE"},
      {SKEP_E_INTERNAL, "INTERNAL"},
      {SKEP_E_PLUGIN_LOST, "PLUGIN_LOST"},
  }};
  for (const auto& [code, name] : names) {
    if (code == status) return std::string(name);
  }
  return fmt::format("a status that is not in the list ({})", status);
}

std::string shortened(std::string_view text, size_t max) {
  std::string line;
  for (const char c : text) {
    if (line.size() >= max) {
      line += fmt::format(".. ({} bytes)", text.size());
      break;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line += "\\n";
    } else if (byte < 0x20 || byte == 0x7f || byte >= 0xf5) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

std::string described(const Outcome& outcome) {
  if (!outcome.answered) return fmt::format("no answer within {} ms", outcome.took_ms);
  if (outcome.ok()) return "OK " + shortened(outcome.reply_text);
  return fmt::format("{}: {}", status_name(outcome.status),
                     outcome.error.empty() ? "(no sentence)" : shortened(outcome.error));
}

}  // namespace skep::conformance
