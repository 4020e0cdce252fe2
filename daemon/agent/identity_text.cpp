// OpenSSL for digests and random bytes; RFC 3339 by hand, because no library here reads
// nanoseconds.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/identity_text.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <chrono>

namespace skep::agent {
namespace {

constexpr size_t kDigestBytes = 32;

std::string hex(const unsigned char* bytes, size_t count) {
  std::string text;
  text.reserve(count * 2);
  for (size_t i = 0; i < count; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

// The number in text[from, from + count), or nullopt.
std::optional<int> number(std::string_view text, size_t from, size_t count) {
  if (text.size() < from + count) return std::nullopt;
  int value = 0;
  const char* end = text.data() + from + count;
  const auto [at, error] = std::from_chars(text.data() + from, end, value);
  if (error != std::errc() || at != end || value < 0) return std::nullopt;
  return value;
}

}  // namespace

std::string sha256_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const int done =
      EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  SKEP_ASSERT(done == 1 && size == kDigestBytes, "SHA-256 is built into the library");
  return hex(digest.data(), kDigestBytes);
}

std::string container_id_of(model::TaskId task) {
  return sha256_hex(task.str());
}

Result<std::string> random_hex_id() {
  std::array<unsigned char, kDigestBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return fail(ErrorKind::internal, "the system's random generator gave nothing");
  }
  return hex(bytes.data(), bytes.size());
}

model::WallTime parse_time_text(std::string_view text) {
  using namespace std::chrono;
  const auto y = number(text, 0, 4), mo = number(text, 5, 2), d = number(text, 8, 2);
  const auto h = number(text, 11, 2), mi = number(text, 14, 2), s = number(text, 17, 2);
  if (!y || !mo || !d || !h || !mi || !s) return {};
  const year_month_day date{year(*y), month(static_cast<unsigned>(*mo)),
                            day(static_cast<unsigned>(*d))};
  if (!date.ok() || *y < 1970) return {};
  int64_t ns = 0;
  size_t at = 19;
  if (at < text.size() && text[at] == '.') {
    int64_t unit = 100'000'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      ns += (text[at] - '0') * unit;
    }
  }
  seconds offset{0};
  if (at + 6 == text.size() && (text[at] == '+' || text[at] == '-')) {
    const auto oh = number(text, at + 1, 2), om = number(text, at + 4, 2);
    if (!oh || !om) return {};
    offset = hours(*oh) + minutes(*om);
    if (text[at] == '-') offset = -offset;
  }
  const seconds since =
      sys_days(date).time_since_epoch() + hours(*h) + minutes(*mi) + seconds(*s) - offset;
  return {duration_cast<nanoseconds>(since).count() + ns};
}

}  // namespace skep::agent
