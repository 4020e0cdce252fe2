// Base 36 of 128 bits, most significant digit first, padded to 25 characters.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/ids.hpp"

namespace skep::model {
namespace {

__extension__ using uint128 = unsigned __int128;

uint128 join(IdBits bits) {
  return (static_cast<uint128>(bits.high) << 64) | bits.low;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string id_text(IdBits bits) {
  std::string text(kIdLength, '0');
  uint128 rest = join(bits);
  for (size_t i = kIdLength; i-- > 0; rest /= 36) {
    text[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[static_cast<size_t>(rest % 36)];
  }
  return text;
}

std::optional<IdBits> parse_id_text(std::string_view text) {
  if (text.size() != kIdLength) return std::nullopt;
  uint128 value = 0;
  for (const char c : text) {
    const int digit = digit_value(c);
    if (digit < 0) return std::nullopt;
    value = value * 36 + static_cast<uint128>(digit);
  }
  const IdBits bits{static_cast<uint64_t>(value >> 64), static_cast<uint64_t>(value)};
  // 36^25 is a little more than 2^128: a text beyond that would wrap to another id.
  if (id_text(bits) != text) return std::nullopt;
  return bits;
}

std::optional<IdBits> first_with_prefix(std::string_view prefix) {
  if (prefix.size() > kIdLength) return std::nullopt;
  std::string text(prefix);
  text.resize(kIdLength, '0');
  return parse_id_text(text);
}

}  // namespace skep::model
