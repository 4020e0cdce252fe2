// The keys that a manager's log is sealed with, in one small file beside it.
//
// There is one data key in use, with a number, and older ones for as long as anything on the disk
// was sealed with them; each record begins with the number of its key. The file holds them plain
// (then its mode 0600 is all that guards them), or sealed with an unlock key that is kept nowhere
// on the machine: then a manager that starts is locked until somebody brings it.
//
// Turning the lock on, or changing the unlock key, does not by itself protect from who has seen the
// data key before: change() takes a new one as well.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/storage/file_system.hpp"
#include "daemon/storage/seal.hpp"

namespace skep::storage {

// What unlocks a manager; written `SWMKEY-1-` and 43 characters of base 64, as Docker does.
struct UnlockKey {
  Secret secret;
  static Result<UnlockKey> random();
  // ErrorKind::invalid if it is not of that form.
  static Result<UnlockKey> parse(std::string_view text);
  std::string text() const;
  bool operator==(const UnlockKey&) const = default;
};

// Anything else that is guarded by the same unlock key (a private key, say). The bytes differ each
// time. unwrap: ErrorKind::denied if it is another key.
Result<std::string> wrap(const UnlockKey& key, std::string_view plain);
Result<std::string> unwrap(const UnlockKey& key, std::string_view wrapped);

// One thread at a time. Every change is durable when it returns; when it fails, either state may
// be on the disk and the object holds the old one.
class KeyFile {
 public:
  static constexpr size_t kOverhead = 4 + Seal::kOverhead;

  // nullopt if there is none. `files` outlives it.
  static Result<std::optional<KeyFile>> open(FileSystem& files, std::string path);
  // A first key, plain. Requires: there is no file.
  static Result<KeyFile> create(FileSystem& files, std::string path);

  // Nothing can be sealed or opened before unlock().
  bool locked() const { return !sealed_.empty(); }
  // An unlock key is needed at the next start.
  bool is_protected() const { return locked() || unlock_key_.has_value(); }
  // The key that is needed at the next start; nullopt: none is. Requires: not locked.
  const std::optional<UnlockKey>& unlock_key() const { return unlock_key_; }
  // ErrorKind::conflict if it is not locked, denied if the key is wrong.
  Status unlock(const UnlockKey& key);

  // The rest requires: not locked.
  // Another unlock key (nullopt: the file will need none any more) and a new data key from here on,
  // which is never on the disk under the old one; the old data keys stay until forget_before.
  Status change(std::optional<UnlockKey> key);
  // Drops the keys with lower numbers. Does nothing if there are none.
  Status forget_before(uint32_t number);
  uint32_t number() const { return keys_.rbegin()->first; }
  bool holds_old_keys() const { return keys_.size() > 1; }

  Result<std::string> seal(std::string_view about, std::string_view plain);
  Result<std::string> unseal(std::string_view about, std::string_view sealed);
  // The number of the key that a sealed record needs; zero if it is cut short.
  static uint32_t number_of(std::string_view sealed);

 private:
  struct Key {
    Secret secret;
    Seal seal;
  };
  using Keys = std::map<uint32_t, Key>;

  KeyFile(FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}
  static Result<Keys> parse(std::string_view body);
  static Status add(uint32_t number, const Secret& secret, Keys* to);
  Result<std::string> text(const std::map<uint32_t, Secret>& secrets,
                           const std::optional<UnlockKey>& key) const;
  std::map<uint32_t, Secret> secrets() const;

  FileSystem* files_;
  std::string path_;
  Keys keys_;           // empty while locked
  std::string sealed_;  // what unlock() opens; empty unless locked
  std::optional<UnlockKey> unlock_key_;
};

}  // namespace skep::storage
