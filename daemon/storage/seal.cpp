// OpenSSL's EVP for it; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/seal.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>

namespace skep::storage {
namespace {

constexpr size_t kSaltBytes = 16;
constexpr size_t kCountBytes = 8;
constexpr size_t kTagBytes = 16;
constexpr size_t kNonceBytes = 12;

tl::unexpected<Error> openssl_failure(const std::string& what) {
  char text[160] = "no reason given";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return fail(ErrorKind::internal, "OpenSSL: " + what + ": " + text);
}

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(std::string& bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

void put(uint64_t number, std::string* to) {
  for (int shift = 0; shift < 64; shift += 8) to->push_back(static_cast<char>(number >> shift));
}

Result<Secret> derive(const Secret& key, std::string_view salt) {
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(
      EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(
      kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr, EVP_KDF_CTX_free);
  if (!context) return openssl_failure("HKDF");
  std::string digest = "SHA256";
  std::string secret(key.bytes());
  std::string salt_copy(salt);
  std::string purpose = "skep log at rest";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt_copy.data(), salt_copy.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, purpose.data(), purpose.size()),
      OSSL_PARAM_construct_end()};
  std::string out(Secret::kBytes, '\0');
  const bool derived = EVP_KDF_derive(context.get(), raw(out), out.size(), parameters) == 1;
  const Secret result(out);
  OPENSSL_cleanse(secret.data(), secret.size());
  OPENSSL_cleanse(out.data(), out.size());
  if (!derived) return openssl_failure("HKDF");
  return result;
}

Result<std::string> random_bytes(size_t size) {
  std::string bytes(size, '\0');
  if (RAND_bytes(raw(bytes), static_cast<int>(size)) != 1) return openssl_failure("random bytes");
  return bytes;
}

std::string nonce(std::string_view count) {
  std::string all(kNonceBytes - kCountBytes, '\0');
  all += count;
  return all;
}

}  // namespace

Secret::Secret(std::string_view bytes) {
  SKEP_ASSERT(bytes.size() == kBytes, "a key has 32 bytes");
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

Secret::~Secret() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

Result<Secret> Secret::random() {
  SKEP_TRY_ASSIGN(std::string bytes, random_bytes(kBytes));
  const Secret secret(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return secret;
}

std::string about(RecordKind kind, std::initializer_list<uint64_t> numbers) {
  std::string bytes(1, static_cast<char>(kind));
  for (const uint64_t number : numbers) put(number, &bytes);
  return bytes;
}

void Seal::Free::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);
}

Result<Seal> Seal::with(const Secret& key) {
  Seal seal(key);
  SKEP_TRY_ASSIGN(seal.salt_, random_bytes(kSaltBytes));
  SKEP_TRY_ASSIGN(seal.closing_, seal.cipher(seal.salt_, true));
  return seal;
}

Result<Seal::Cipher> Seal::cipher(std::string_view salt, bool closing) const {
  SKEP_TRY_ASSIGN(const Secret key, derive(key_, salt));
  Cipher context(EVP_CIPHER_CTX_new());
  if (!context || EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key.bytes()),
                                    nullptr, closing ? 1 : 0) != 1) {
    return openssl_failure("AES-256-GCM");
  }
  return context;
}

Result<std::string> Seal::close(std::string_view about, std::string_view plain) {
  std::string count;
  put(count_++, &count);
  std::string out = salt_ + count;
  out.resize(kSaltBytes + kCountBytes + plain.size() + kTagBytes);
  unsigned char* sealed = raw(out) + kSaltBytes + kCountBytes;
  const std::string iv = nonce(count);
  int size = 0;
  EVP_CIPHER_CTX* context = closing_.get();
  const bool done =
      EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, raw(iv)) == 1 &&
      EVP_EncryptUpdate(context, nullptr, &size, raw(about), static_cast<int>(about.size())) == 1 &&
      (plain.empty() || EVP_EncryptUpdate(context, sealed, &size, raw(plain),
                                          static_cast<int>(plain.size())) == 1) &&
      EVP_EncryptFinal_ex(context, sealed + plain.size(), &size) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kTagBytes, sealed + plain.size()) == 1;
  if (!done) return openssl_failure("sealing");
  return out;
}

Result<std::string> Seal::open(std::string_view about, std::string_view sealed) {
  if (sealed.size() < kOverhead) return fail(ErrorKind::internal, "is cut short");
  const std::string_view salt = sealed.substr(0, kSaltBytes);
  if (!opening_ || salt != opening_salt_) {
    SKEP_TRY_ASSIGN(opening_, cipher(salt, false));
    opening_salt_ = salt;
  }
  const std::string iv = nonce(sealed.substr(kSaltBytes, kCountBytes));
  const std::string_view body = sealed.substr(kSaltBytes + kCountBytes, sealed.size() - kOverhead);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  std::string plain(body.size(), '\0');
  unsigned char rest[16];
  int size = 0;
  EVP_CIPHER_CTX* context = opening_.get();
  const bool done =
      EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, raw(iv)) == 1 &&
      EVP_DecryptUpdate(context, nullptr, &size, raw(about), static_cast<int>(about.size())) == 1 &&
      (body.empty() || EVP_DecryptUpdate(context, raw(plain), &size, raw(body),
                                         static_cast<int>(body.size())) == 1) &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context, rest, &size) == 1;
  if (!done) {
    ERR_clear_error();
    return fail(ErrorKind::internal, "does not open with its key: it was changed");
  }
  return plain;
}

}  // namespace skep::storage
