// The keys of a log: made with it, wrapped by the swarm's lock, changed, and forgotten in time.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/storage/store_bench.hpp"

namespace skep::storage::testing {
namespace {

const std::string kKeyPath = "/d/raft.key";

UnlockKey new_key() {
  const Result<UnlockKey> key = UnlockKey::random();
  REQUIRE(key.has_value());
  return *key;
}

size_t keys_in_use(FaultyDisk& disk) {
  // Each key is 36 bytes; the file of a plain one ends with 4 more, in base 64 after one line.
  const std::string text = disk.content(kKeyPath);
  return (text.size() - text.find('\n')) / 4 * 3 / 36;
}

}  // namespace

TEST_CASE("an unlock key reads back from its text, and nothing else does") {
  const UnlockKey key = new_key();
  const std::string text = key.text();
  CHECK(text.substr(0, 9) == "SWMKEY-1-");
  CHECK(text.size() == 9 + 43);
  const Result<UnlockKey> back = UnlockKey::parse(text);
  REQUIRE(back.has_value());
  CHECK(back->secret == key.secret);
  for (const std::string& wrong :
       {std::string(), text.substr(1), text + "A", text.substr(0, 51), "SWMKEY-2-" + text.substr(9),
        text.substr(0, 51) + "\xff", text.substr(0, 51) + "="}) {
    INFO(wrong);
    CHECK_FALSE(UnlockKey::parse(wrong).has_value());
  }
}

TEST_CASE("a seal opens only as what it was closed about, and unchanged") {
  Result<Seal> seal = Seal::with(*Secret::random());
  REQUIRE(seal.has_value());
  const std::string about_it = about(RecordKind::entry, {1, 2, 3});
  const std::string sealed = *seal->close(about_it, "plain");
  CHECK(*seal->open(about_it, sealed) == "plain");
  CHECK(*seal->close(about_it, "plain") != sealed);
  CHECK_FALSE(seal->open(about(RecordKind::entry, {1, 2, 4}), sealed).has_value());
  CHECK_FALSE(seal->open(about(RecordKind::chunk, {1, 2, 3}), sealed).has_value());
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string changed = sealed;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    CHECK_FALSE(seal->open(about_it, changed).has_value());
  }
  CHECK_FALSE(seal->open(about_it, sealed.substr(1)).has_value());
  CHECK_FALSE(seal->open(about_it, "").has_value());
}

TEST_CASE("a log without its key, or with another's, is refused with that reason") {
  FaultyDisk disk(1);
  fill(disk);
  SECTION("it is gone") {
    disk.erase(kKeyPath);
    CHECK(load_failure(disk) ==
          "raft log on disk: raft.key is missing; without it the log can't be read");
  }
  SECTION("it is another's") {
    FaultyDisk other(2);
    fill(other);
    disk.set_content(kKeyPath, other.content(kKeyPath));
    CHECK(load_failure(disk) == "raft log on disk: raft.key is not the key of this log");
  }
  SECTION("it is damaged") {
    for (uint64_t bit = 3; bit < disk.content(kKeyPath).size() * 8; bit += 37) {
      disk.flip_bit(kKeyPath, bit);
      INFO(bit);
      CHECK(load_failure(disk).find("/d/raft.key is damaged") != std::string::npos);
      disk.flip_bit(kKeyPath, bit);
    }
    CHECK(load_failure(disk) == "");
  }
}

TEST_CASE("a locked manager starts with its unlock key and with no other") {
  FaultyDisk disk(3);
  fill(disk);
  const UnlockKey key = new_key();
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    CHECK(store->unlock(key).error().kind == ErrorKind::conflict);
    REQUIRE(store->load());
    REQUIRE(store->set_unlock_key(key));
    REQUIRE(store->persist(batch({{2}, {1}, {1}}, {entry(2, 4, "under the new key")})));
  }
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    CHECK(store->locked());
    CHECK_FALSE(store->has_unlock_key(key));
    CHECK(store->load().error().kind == ErrorKind::precondition);
    CHECK(store->persist(batch({{2}, {1}, {1}}, {})).error().kind == ErrorKind::precondition);
    CHECK_FALSE(store->broken());
    const Status wrong = store->unlock(new_key());
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error() ==
          Error{ErrorKind::denied, "the swarm can't be unlocked: invalid key provided"});
    REQUIRE(store->unlock(key));
    CHECK_FALSE(store->locked());
    CHECK(store->has_unlock_key(key));
    CHECK_FALSE(store->has_unlock_key(new_key()));
    CHECK_FALSE(store->has_unlock_key(std::nullopt));
    const Result<std::optional<Loaded>> loaded = store->load();
    REQUIRE(loaded.has_value());
    CHECK((*loaded)->entries.size() == 4);
    REQUIRE(store->set_unlock_key(std::nullopt));
  }
  CHECK(reloaded(disk).entries.size() == 4);
}

TEST_CASE("an old data key goes once a snapshot and the cut behind it need it no more") {
  FaultyDisk disk(4);
  fill(disk);
  const std::unique_ptr<LogStore> store = opened_on(disk);
  REQUIRE(store->load());
  REQUIRE(save(*store, {{2}, {2}, kAlone}, "under the first key"));
  REQUIRE(store->set_unlock_key(std::nullopt));
  REQUIRE(store->persist(batch({{2}, {1}, {1}}, {entry(2, 4, "four")})));
  REQUIRE(store->tidy());
  CHECK(keys_in_use(disk) == 2);
  CHECK(store->holds_old_keys());
  REQUIRE(save(*store, {{4}, {2}, kAlone}, "under the second key"));
  REQUIRE(store->tidy());
  CHECK(keys_in_use(disk) == 2);  // the entries are still there
  REQUIRE(store->compact({3}));
  REQUIRE(store->tidy());
  CHECK(keys_in_use(disk) == 1);
  CHECK_FALSE(store->holds_old_keys());
  const std::unique_ptr<LogStore> next = opened_on(disk);
  const Result<std::optional<Loaded>> loaded = next->load();
  if (!loaded) FAIL(loaded.error().message);
  CHECK((*loaded)->snapshot.state == "under the second key");
}

TEST_CASE("a change of the lock that is cut off leaves the old key or the new one") {
  const UnlockKey key = new_key();
  for (uint64_t cut = 0; cut < 14; ++cut) {
    INFO(cut);
    FaultyDisk disk(cut);
    fill(disk);
    bool changed = false;
    {
      const std::unique_ptr<LogStore> store = opened_on(disk);
      REQUIRE(store->load());
      disk.cut_power_after(cut);
      changed = store->set_unlock_key(key).has_value();
    }
    disk.restart();
    const std::unique_ptr<LogStore> store = opened_on(disk);
    if (changed) CHECK(store->locked());
    if (store->locked()) REQUIRE(store->unlock(key));
    const Result<std::optional<Loaded>> loaded = store->load();
    if (!loaded) FAIL(loaded.error().message);
    CHECK((*loaded)->entries.size() == 3);
    REQUIRE(store->persist(batch({{2}, {1}, {1}}, {entry(2, 4, "four")})));
  }
}

TEST_CASE("other secrets can be wrapped with the same unlock key") {
  const UnlockKey key = new_key();
  const std::string wrapped = *wrap(key, "a private key");
  CHECK(*unwrap(key, wrapped) == "a private key");
  CHECK(unwrap(new_key(), wrapped).error().kind == ErrorKind::denied);
}

}  // namespace skep::storage::testing
