// UTF-8, a character at a time, with a fast way past plain ASCII, which is nearly all there is.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace skep::host {
namespace {

uint8_t byte_at(std::string_view text, size_t index) {
  return static_cast<uint8_t>(text[index]);
}

// The length of the character at the front of `text`, 0 when there is none.
size_t character(std::string_view text) {
  const uint8_t first = byte_at(text, 0);
  if (first < 0x80) return 1;
  const size_t length = first < 0xc2   ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  // The second byte's bounds keep overlong forms, surrogates and what is above U+10FFFF out.
  const uint8_t second = byte_at(text, 1);
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (size_t index = 2; index < length; ++index) {
    if ((byte_at(text, index) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// How many of the first bytes are ASCII, in steps of eight.
size_t ascii_run(std::string_view text) {
  constexpr uint64_t high_bits = 0x8080808080808080;
  size_t run = 0;
  for (uint64_t word = 0; text.size() - run >= sizeof word; run += sizeof word) {
    std::memcpy(&word, text.data() + run, sizeof word);
    if ((word & high_bits) != 0) break;
  }
  return run;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (;;) {
    text.remove_prefix(ascii_run(text));
    // Up to eight bytes one by one, then another attempt at the fast way.
    for (size_t count = 0; count < sizeof(uint64_t); ++count) {
      if (text.empty()) return true;
      const size_t length = character(text);
      if (length == 0) return false;
      text.remove_prefix(length);
    }
  }
}

std::string readable(std::string_view text, size_t bytes_max) {
  std::string result;
  result.reserve(std::min(text.size(), bytes_max));
  while (!text.empty()) {
    const size_t length = character(text);
    const std::string_view next = length == 0 ? std::string_view("?") : text.substr(0, length);
    if (result.size() + next.size() > bytes_max) break;
    result += next;
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return result;
}

}  // namespace skep::host
