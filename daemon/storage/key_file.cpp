// Two lines of text: `skep raft key 1 plain` or `... sealed`, and the keys in base 64, each as its
// number (4 bytes) and 32 bytes; plain ones end with their CRC-32.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/key_file.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <zlib.h>

#include <array>

namespace skep::storage {
namespace {

constexpr std::string_view kPlain = "skep raft key 1 plain\n";
constexpr std::string_view kSealed = "skep raft key 1 sealed\n";
constexpr std::string_view kUnlockPrefix = "SWMKEY-1-";
constexpr size_t kKeyRecordBytes = 4 + Secret::kBytes;
// Each rotation adds one until a snapshot has been taken; nobody rotates that often.
constexpr size_t kKeysMax = 64;

void put(uint32_t number, std::string* to) {
  for (int shift = 0; shift < 32; shift += 8) to->push_back(static_cast<char>(number >> shift));
}

uint32_t take(std::string_view bytes) {
  uint32_t number = 0;
  for (size_t i = 4; i-- > 0;) number = (number << 8) | static_cast<unsigned char>(bytes[i]);
  return number;
}

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

// Strict: what does not encode to the same text again is not base 64 to us.
Result<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  if (size >= static_cast<int>(padding)) {
    bytes.resize(static_cast<size_t>(size) - padding);
    if (base64(bytes) == text) return bytes;
  }
  return fail(ErrorKind::invalid, "not base 64");
}

uint32_t crc_of(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

tl::unexpected<Error> damaged(const std::string& path) {
  return fail(ErrorKind::internal,
              path + " is damaged; without its keys the raft log can't be read");
}

}  // namespace

// --- the unlock key ------------------------------------------------------------------------

Result<UnlockKey> UnlockKey::random() {
  SKEP_TRY_ASSIGN(const Secret secret, Secret::random());
  return UnlockKey{secret};
}

Result<UnlockKey> UnlockKey::parse(std::string_view text) {
  if (text.substr(0, kUnlockPrefix.size()) == kUnlockPrefix) {
    const Result<std::string> bytes =
        from_base64(std::string(text.substr(kUnlockPrefix.size())) + "=");
    if (bytes && bytes->size() == Secret::kBytes) return UnlockKey{Secret(*bytes)};
  }
  return fail(ErrorKind::invalid, "an unlock key is SWMKEY-1- and 43 characters of base 64");
}

std::string UnlockKey::text() const {
  std::string encoded = base64(secret.bytes());
  encoded.pop_back();  // 32 bytes always end in one '='
  return std::string(kUnlockPrefix) + encoded;
}

Result<std::string> wrap(const UnlockKey& key, std::string_view plain) {
  SKEP_TRY_ASSIGN(Seal seal, Seal::with(key.secret));
  return seal.close(about(RecordKind::key_file), plain);
}

Result<std::string> unwrap(const UnlockKey& key, std::string_view wrapped) {
  SKEP_TRY_ASSIGN(Seal seal, Seal::with(key.secret));
  Result<std::string> plain = seal.open(about(RecordKind::key_file), wrapped);
  if (!plain) return fail(ErrorKind::denied, "the swarm can't be unlocked: invalid key provided");
  return plain;
}

// --- the file ------------------------------------------------------------------------------

Result<std::optional<KeyFile>> KeyFile::open(FileSystem& files, std::string path) {
  // Left over from a crash in replace_file; it was never looked at.
  SKEP_TRY(files.remove(path + ".tmp"));
  const Result<std::unique_ptr<File>> file = files.open(path);
  if (!file && file.error().kind == ErrorKind::not_found) return std::optional<KeyFile>();
  if (!file) return fail(file.error());
  constexpr size_t kFileBytesMax = 64 << 10;
  SKEP_TRY_ASSIGN(const std::string content, (*file)->read(0, kFileBytesMax));
  const size_t end = content.find('\n');
  const std::string_view all = content;
  const std::string_view head = all.substr(0, end == std::string::npos ? 0 : end + 1);
  if (head != kPlain && head != kSealed) return damaged(path);
  std::string_view encoded = all.substr(head.size());
  if (encoded.empty() || encoded.back() != '\n') return damaged(path);
  encoded.remove_suffix(1);
  const Result<std::string> body = from_base64(encoded);
  if (!body || body->size() < 4) return damaged(path);
  KeyFile keys(files, path);
  if (head == kSealed) {
    keys.sealed_ = *body;
    return std::optional<KeyFile>(std::move(keys));
  }
  const std::string_view records(body->data(), body->size() - 4);
  if (take(std::string_view(*body).substr(records.size())) != crc_of(records)) {
    return damaged(path);
  }
  Result<Keys> parsed = parse(records);
  if (!parsed) return damaged(path);
  keys.keys_ = std::move(*parsed);
  return std::optional<KeyFile>(std::move(keys));
}

Result<KeyFile> KeyFile::create(FileSystem& files, std::string path) {
  KeyFile keys(files, std::move(path));
  SKEP_TRY_ASSIGN(const Secret secret, Secret::random());
  SKEP_TRY_ASSIGN(const std::string content, keys.text({{1, secret}}, std::nullopt));
  SKEP_TRY(replace_file(files, keys.path_, content));
  SKEP_TRY(add(1, secret, &keys.keys_));
  return keys;
}

Status KeyFile::add(uint32_t number, const Secret& secret, Keys* to) {
  SKEP_TRY_ASSIGN(Seal seal, Seal::with(secret));
  to->emplace(number, Key{secret, std::move(seal)});
  return {};
}

Result<KeyFile::Keys> KeyFile::parse(std::string_view body) {
  Keys keys;
  if (body.empty() || body.size() % kKeyRecordBytes != 0) {
    return fail(ErrorKind::invalid, "cut short");
  }
  for (; !body.empty(); body.remove_prefix(kKeyRecordBytes)) {
    SKEP_TRY(add(take(body), Secret(body.substr(4, Secret::kBytes)), &keys));
  }
  return keys;
}

Result<std::string> KeyFile::text(const std::map<uint32_t, Secret>& secrets,
                                  const std::optional<UnlockKey>& key) const {
  std::string body;
  for (const auto& [number, secret] : secrets) {
    put(number, &body);
    body += secret.bytes();
  }
  std::string content(kPlain);
  if (key) {
    SKEP_TRY_ASSIGN(const std::string wrapped, wrap(*key, body));
    content = std::string(kSealed) + base64(wrapped);
  } else {
    put(crc_of(body), &body);
    content += base64(body);
  }
  OPENSSL_cleanse(body.data(), body.size());
  return content + "\n";
}

std::map<uint32_t, Secret> KeyFile::secrets() const {
  std::map<uint32_t, Secret> all;
  for (const auto& [number, key] : keys_) all.emplace(number, key.secret);
  return all;
}

Status KeyFile::unlock(const UnlockKey& key) {
  if (!locked()) return fail(ErrorKind::conflict, "the swarm is not locked");
  SKEP_TRY_ASSIGN(std::string body, unwrap(key, sealed_));
  Result<Keys> parsed = parse(body);
  OPENSSL_cleanse(body.data(), body.size());
  if (!parsed) return damaged(path_);
  keys_ = std::move(*parsed);
  unlock_key_ = key;
  sealed_.clear();
  return {};
}

Status KeyFile::change(std::optional<UnlockKey> key) {
  SKEP_ASSERT(!locked(), "the keys are known");
  if (keys_.size() >= kKeysMax) {
    return fail(ErrorKind::exhausted, "the keys of this manager's log were changed " +
                                          std::to_string(kKeysMax) +
                                          " times since its last snapshot; wait for the next one");
  }
  SKEP_TRY_ASSIGN(const Secret fresh, Secret::random());
  const uint32_t next = number() + 1;
  std::map<uint32_t, Secret> all = secrets();
  all.emplace(next, fresh);
  SKEP_TRY_ASSIGN(const std::string content, text(all, key));
  SKEP_TRY(replace_file(*files_, path_, content));
  unlock_key_ = std::move(key);
  return add(next, fresh, &keys_);
}

Status KeyFile::forget_before(uint32_t number) {
  SKEP_ASSERT(!locked() && number <= this->number(), "the key in use stays");
  if (keys_.begin()->first >= number) return {};
  std::map<uint32_t, Secret> all = secrets();
  all.erase(all.begin(), all.lower_bound(number));
  SKEP_TRY_ASSIGN(const std::string content, text(all, unlock_key_));
  SKEP_TRY(replace_file(*files_, path_, content));
  keys_.erase(keys_.begin(), keys_.lower_bound(number));
  return {};
}

// --- sealing -------------------------------------------------------------------------------

Result<std::string> KeyFile::seal(std::string_view about, std::string_view plain) {
  SKEP_ASSERT(!locked(), "the keys are known");
  std::string out;
  put(number(), &out);
  SKEP_TRY_ASSIGN(const std::string sealed, keys_.rbegin()->second.seal.close(about, plain));
  return out + sealed;
}

Result<std::string> KeyFile::unseal(std::string_view about, std::string_view sealed) {
  const auto it = keys_.find(number_of(sealed));
  if (it == keys_.end()) {
    return fail(ErrorKind::internal, "needs key " + std::to_string(number_of(sealed)) +
                                         ", which is not in the key file");
  }
  return it->second.seal.open(about, sealed.substr(4));
}

uint32_t KeyFile::number_of(std::string_view sealed) {
  return sealed.size() < 4 ? 0 : take(sealed);
}

}  // namespace skep::storage
