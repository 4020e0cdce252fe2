// Bytes at rest, sealed: nobody reads them without the key, and nobody changes or swaps them
// unnoticed.
//
// AES-256-GCM is safe only as long as no key meets a nonce twice. Random nonces run out after some
// 2^32 records, which a busy log reaches in two weeks, and a plain counter would have to survive
// crashes. So each Seal object draws 16 random bytes, derives a key of its own from them with HKDF,
// and counts from zero under that key; the 16 bytes and the count travel with each record:
//   salt (16) | count (8) | sealed bytes | tag (16)
// What the record is about (its kind, its index, its term) goes in as associated data and is not
// stored: a record that is moved to another place does not open there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "core/model/result.hpp"

struct evp_cipher_ctx_st;

namespace skep::storage {

// 32 bytes that are wiped when they go.
class Secret {
 public:
  static constexpr size_t kBytes = 32;
  Secret() = default;
  // Requires: exactly kBytes.
  explicit Secret(std::string_view bytes);
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret();
  // From OpenSSL's generator, seeded by the kernel.
  static Result<Secret> random();
  std::string_view bytes() const { return {bytes_.data(), bytes_.size()}; }
  bool operator==(const Secret&) const = default;

 private:
  std::array<char, kBytes> bytes_{};
};

// What a sealed record is about; see above. Kinds never change their letter.
enum class RecordKind : char {
  entry = 'e',     // index, term, kind
  chunk = 'c',     // file id, number, 1 for the last
  key_file = 'k',  // nothing
  key_check = 'i',
  archive = 'a',  // nothing, or number, 1 for the last; then the head
};
std::string about(RecordKind kind, std::initializer_list<uint64_t> numbers = {});

// One thread at a time.
class Seal {
 public:
  static constexpr size_t kOverhead = 16 + 8 + 16;

  static Result<Seal> with(const Secret& key);

  Result<std::string> close(std::string_view about, std::string_view plain);
  // ErrorKind::internal when the bytes, the key or what it is about are not what they were.
  Result<std::string> open(std::string_view about, std::string_view sealed);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  using Cipher = std::unique_ptr<evp_cipher_ctx_st, Free>;

  explicit Seal(const Secret& key) : key_(key) {}
  Result<Cipher> cipher(std::string_view salt, bool closing) const;

  Secret key_;
  std::string salt_;
  uint64_t count_ = 0;
  Cipher closing_;
  // Records lie in runs of one salt, so the last one's key mostly serves the next.
  std::string opening_salt_;
  Cipher opening_;
};

}  // namespace skep::storage
