// Parsing and matching of constraints, and the small address arithmetic that node.ip needs.
//
// Addresses are compared as bits: IPv4 and IPv6 are parsed here rather than by the system's
// resolver functions, because the core calls nothing of the machine it runs on.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/constraint.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace skep::model {
namespace {

constexpr std::string_view kNodeLabels = "node.labels.";
constexpr std::string_view kEngineLabels = "engine.labels.";
constexpr std::array<std::string_view, 6> kPlainKeys = {
    "node.id", "node.hostname", "node.ip", "node.role", "node.platform.os", "node.platform.arch"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// An address as bits, most significant byte first; 4 or 16 bytes.
using AddressBytes = std::vector<uint8_t>;

template <class Number>
std::optional<Number> parse_number(std::string_view text, int base, Number max) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

std::optional<AddressBytes> parse_ipv4(std::string_view text) {
  AddressBytes bytes;
  for (int part = 0; part < 4; ++part) {
    const size_t dot = part < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    const auto value = parse_number<unsigned>(text.substr(0, dot), 10, 255);
    if (!value) return std::nullopt;
    bytes.push_back(static_cast<uint8_t>(*value));
    text.remove_prefix(part < 3 ? dot + 1 : dot);
  }
  return bytes;
}

// One side of "::": groups of up to four hex digits.
std::optional<AddressBytes> parse_groups(std::string_view text) {
  AddressBytes bytes;
  while (!text.empty()) {
    const size_t colon = std::min(text.find(':'), text.size());
    const auto group = text.substr(0, colon);
    const auto value = parse_number<unsigned>(group, 16, 0xffff);
    if (!value || group.size() > 4 || bytes.size() == 16) return std::nullopt;
    bytes.push_back(static_cast<uint8_t>(*value >> 8));
    bytes.push_back(static_cast<uint8_t>(*value & 0xff));
    if (colon == text.size()) break;
    text.remove_prefix(colon + 1);
    if (text.empty()) return std::nullopt;  // ends in a single colon
  }
  return bytes;
}

std::optional<AddressBytes> parse_ipv6(std::string_view text) {
  const size_t gap = text.find("::");
  const bool has_gap = gap != std::string_view::npos;
  const std::optional<AddressBytes> head =
      parse_groups(text.substr(0, has_gap ? gap : text.size()));
  const std::optional<AddressBytes> tail =
      parse_groups(has_gap ? text.substr(gap + 2) : std::string_view{});
  if (!head || !tail) return std::nullopt;
  const size_t given = head->size() + tail->size();
  if (has_gap ? given > 14 : given != 16) return std::nullopt;
  AddressBytes bytes = *head;
  bytes.resize(16 - tail->size());
  bytes.insert(bytes.end(), tail->begin(), tail->end());
  return bytes;
}

std::optional<AddressBytes> parse_address(std::string_view text) {
  return text.find(':') == std::string_view::npos ? parse_ipv4(text) : parse_ipv6(text);
}

struct AddressBlock {
  AddressBytes bytes;
  size_t prefix = 0;  // bits
};

std::optional<AddressBlock> parse_block(std::string_view text) {
  const size_t slash = text.find('/');
  std::optional<AddressBytes> bytes = parse_address(text.substr(0, slash));
  if (!bytes) return std::nullopt;
  AddressBlock block{std::move(*bytes), 0};
  block.prefix = block.bytes.size() * 8;
  if (slash == std::string_view::npos) return block;
  const auto prefix =
      parse_number<unsigned>(text.substr(slash + 1), 10, static_cast<unsigned>(block.prefix));
  if (!prefix) return std::nullopt;
  block.prefix = *prefix;
  return block;
}

bool contains(const AddressBlock& block, const AddressBytes& address) {
  if (block.bytes.size() != address.size()) return false;
  for (size_t bit = 0; bit < block.prefix; ++bit) {
    const uint8_t mask = static_cast<uint8_t>(0x80u >> (bit % 8));
    if ((block.bytes[bit / 8] & mask) != (address[bit / 8] & mask)) return false;
  }
  return true;
}

// The address a node is seen under, without a port.
std::string_view host_of(std::string_view address) {
  if (!address.empty() && address.front() == '[') {
    return address.substr(1, address.find(']') - 1);
  }
  const size_t colon = address.find(':');
  const bool one_colon = colon != std::string_view::npos && address.rfind(':') == colon;
  return one_colon ? address.substr(0, colon) : address;
}

std::string_view label(const Labels& labels, std::string_view key) {
  const auto found = labels.find(std::string(key));
  return found == labels.end() ? std::string_view{} : std::string_view(found->second);
}

std::string property(const Constraint& constraint, const Node& node) {
  const std::string_view key = constraint.key;
  if (key == "node.id") return node.id.str();
  if (key == "node.hostname") return node.description.hostname;
  if (key == "node.role") return node.role == NodeRole::manager ? "manager" : "worker";
  if (key == "node.platform.os") return node.description.platform.os;
  if (key == "node.platform.arch") return node.description.platform.architecture;
  if (key.starts_with(kNodeLabels)) {
    return std::string(label(node.spec.labels, key.substr(kNodeLabels.size())));
  }
  return std::string(label(node.description.engine_labels, key.substr(kEngineLabels.size())));
}

bool same(const Constraint& constraint, const Node& node) {
  if (constraint.key != "node.ip") {
    return equal_ignoring_case(property(constraint, node), constraint.value);
  }
  const std::optional<AddressBlock> block = parse_block(constraint.value);
  const std::optional<AddressBytes> address = parse_address(host_of(node.status.address));
  return block && address && contains(*block, *address);
}

tl::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  return fail(ErrorKind::invalid, "constraint '" + std::string(text) + "': " + std::string(why));
}

// The key in its canonical case, or nothing. A label's own name keeps its case.
std::optional<std::string> canonical_key(std::string_view key) {
  for (const std::string_view plain : kPlainKeys) {
    if (equal_ignoring_case(key, plain)) return std::string(plain);
  }
  for (const std::string_view prefix : {kNodeLabels, kEngineLabels}) {
    if (key.size() > prefix.size() && equal_ignoring_case(key.substr(0, prefix.size()), prefix)) {
      return std::string(prefix) + std::string(key.substr(prefix.size()));
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Constraint> parse_constraint(std::string_view text) {
  const size_t equal_at = text.find("==");
  const size_t differ_at = text.find("!=");
  const size_t at = std::min(equal_at, differ_at);
  if (at == std::string_view::npos) {
    return refuse(text, "expected one operator from == and !=");
  }
  const std::string_view key = trimmed(text.substr(0, at));
  const std::string_view value = trimmed(text.substr(at + 2));
  std::optional<std::string> canonical = canonical_key(key);
  if (!canonical) {
    return refuse(text,
                  "unknown key '" + std::string(key) +
                      "', expected node.id, node.hostname, node.ip, node.role, node.platform.os, "
                      "node.platform.arch, node.labels.NAME or engine.labels.NAME");
  }
  if (value.empty()) return refuse(text, "the value is empty");
  if (*canonical == "node.ip" && !parse_block(value)) {
    return refuse(text, "'" + std::string(value) + "' is neither an address nor a CIDR block");
  }
  return Constraint{std::move(*canonical), at == equal_at, std::string(value)};
}

Result<std::vector<Constraint>> parse_constraints(const std::vector<std::string>& texts) {
  std::vector<Constraint> constraints;
  constraints.reserve(texts.size());
  for (const std::string& text : texts) {
    SKEP_TRY_ASSIGN(Constraint constraint, parse_constraint(text));
    constraints.push_back(std::move(constraint));
  }
  return constraints;
}

bool matches(const Constraint& constraint, const Node& node) {
  return same(constraint, node) == constraint.equal;
}

bool matches_all(const std::vector<Constraint>& constraints, const Node& node) {
  return std::all_of(constraints.begin(), constraints.end(),
                     [&](const Constraint& c) { return matches(c, node); });
}

}  // namespace skep::model
