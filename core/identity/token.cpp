// Base 36 of byte strings by long division, and the text form of join tokens.
//
// 50 characters hold a little more than 256 bits and 25 a little more than 128, so a text of the
// right length can still be too large a number: that is refused, which leaves each token one text.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/token.hpp"

#include <span>

namespace skep::identity {
namespace {

constexpr std::string_view kPrefix = "SWMTKN-";
constexpr std::string_view kVersion = "SWMTKN-1-";
constexpr size_t kDigestLength = 50;
constexpr size_t kSecretLength = 25;
constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";

// `bytes` is a big-endian number; it is used up.
std::string to_base36(std::span<uint8_t> bytes, size_t length) {
  std::string text(length, '0');
  for (size_t i = length; i > 0; --i) {
    uint32_t remainder = 0;
    for (uint8_t& byte : bytes) {
      const uint32_t value = remainder * 256 + byte;
      byte = static_cast<uint8_t>(value / 36);
      remainder = value % 36;
    }
    text[i - 1] = kDigits[remainder];
  }
  return text;
}

// False if a character is no digit of base 36 or the number doesn't fit.
bool from_base36(std::string_view text, std::span<uint8_t> bytes) {
  for (uint8_t& byte : bytes) byte = 0;
  for (char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return false;
    uint32_t carry = static_cast<uint32_t>(digit);
    for (size_t i = bytes.size(); i > 0; --i) {
      const uint32_t value = bytes[i - 1] * 36u + carry;
      bytes[i - 1] = static_cast<uint8_t>(value);
      carry = value >> 8;
    }
    if (carry != 0) return false;
  }
  return true;
}

// The volatile accumulator keeps the compiler from leaving the loop early.
bool equal_in_constant_time(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

tl::unexpected<Error> malformed(std::string_view why) {
  return fail(ErrorKind::invalid, "invalid join token: " + std::string(why));
}

}  // namespace

std::string JoinToken::str() const {
  Digest digest = root_digest;
  Secret rest = secret;
  std::string text(kVersion);
  text += to_base36(digest, kDigestLength);
  text += '-';
  text += to_base36(rest, kSecretLength);
  return text;
}

Result<JoinToken> parse_join_token(std::string_view text) {
  if (text.empty()) return malformed("it is empty");
  if (!text.starts_with(kPrefix)) return malformed("it doesn't begin with \"SWMTKN-1-\"");
  if (!text.starts_with(kVersion)) {
    return malformed("it is of another version than \"SWMTKN-1-\"");
  }
  const std::string_view rest = text.substr(kVersion.size());
  const size_t dash = rest.find('-');
  if (dash == std::string_view::npos) return malformed("the secret after the digest is missing");
  const std::string_view digest = rest.substr(0, dash);
  const std::string_view secret = rest.substr(dash + 1);
  if (digest.size() != kDigestLength) {
    return malformed("its digest has " + std::to_string(digest.size()) +
                     " characters instead of 50");
  }
  if (secret.size() != kSecretLength) {
    return malformed("its secret has " + std::to_string(secret.size()) +
                     " characters instead of 25");
  }
  JoinToken token;
  if (!from_base36(digest, token.root_digest)) {
    return malformed("its digest isn't a number in base 36 (0-9, a-z)");
  }
  if (!from_base36(secret, token.secret)) {
    return malformed("its secret isn't a number in base 36 (0-9, a-z)");
  }
  return token;
}

bool same_token(const JoinToken& a, const JoinToken& b) {
  const bool digests = equal_in_constant_time(a.root_digest, b.root_digest);
  const bool secrets = equal_in_constant_time(a.secret, b.secret);
  return digests && secrets;
}

std::optional<model::NodeRole> role_of_token(std::string_view given, std::string_view worker_token,
                                             std::string_view manager_token) {
  const Result<JoinToken> token = parse_join_token(given);
  const Result<JoinToken> worker = parse_join_token(worker_token);
  const Result<JoinToken> manager = parse_join_token(manager_token);
  if (!token || !worker || !manager) return std::nullopt;
  const bool is_worker = same_token(*token, *worker);
  const bool is_manager = same_token(*token, *manager);
  if (is_manager) return model::NodeRole::manager;
  if (is_worker) return model::NodeRole::worker;
  return std::nullopt;
}

}  // namespace skep::identity
