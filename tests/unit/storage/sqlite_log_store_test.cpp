// What was persisted comes back, what was changed behind our back is found, and a failed write is
// the last one.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/sqlite_log_store.hpp"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "daemon/storage/sqlite_connection.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace skep::storage {
namespace {

using raft::Configuration;
using raft::Entry;
using raft::EntryKind;

const Configuration kAlone{{{1}}, {}};
const Identity kIdentity{{{1, 0xffff'ffff'ffff'fffe}}, {{3, 4}}, {1}, {5}, {2}};

Entry entry(uint64_t term, uint64_t index, std::string bytes) {
  return {{term}, {index}, EntryKind::normal, std::make_shared<const std::string>(bytes)};
}

raft::Persist batch(raft::HardState state, std::vector<Entry> entries) {
  return {{1}, state, std::nullopt, std::nullopt, std::move(entries)};
}

std::unique_ptr<LogStore> opened(const std::string& path) {
  Result<std::unique_ptr<LogStore>> store = open_sqlite_log_store(path);
  if (!store) FAIL(store.error().message);
  return std::move(*store);
}

// A store with three entries, closed.
void fill(const std::string& path) {
  const std::unique_ptr<LogStore> store = opened(path);
  REQUIRE(store->initialise(kIdentity, kAlone));
  REQUIRE(store->persist(
      batch({{2}, {1}, {1}}, {entry(1, 1, ""), entry(2, 2, "two"), entry(2, 3, "three")})));
}

Status save(LogStore& store, const raft::SnapshotPointer& at, const std::string& state) {
  SKEP_TRY(store.begin_snapshot(at));
  SKEP_TRY(store.append_snapshot(state));
  return store.finish_snapshot();
}

std::string load_failure_after(const std::string& path, const char* sql) {
  {
    Result<Connection> raw = Connection::open(path);
    REQUIRE(raw.has_value());
    REQUIRE(raw->execute(sql));
  }
  const Result<std::optional<Loaded>> loaded = opened(path)->load();
  REQUIRE_FALSE(loaded.has_value());
  CHECK(loaded.error().kind == ErrorKind::internal);
  return loaded.error().message;
}

}  // namespace

TEST_CASE("from its first entry on a log is written into a file that does not grow") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  const std::unique_ptr<LogStore> store = opened(path);
  const uintmax_t size = std::filesystem::file_size(path + "-wal");
  CHECK(size > 4'000'000);
  REQUIRE(store->initialise(kIdentity, kAlone));
  REQUIRE(store->persist(batch({{2}, {1}, {0}}, {entry(1, 1, std::string(100'000, 'x'))})));
  CHECK(std::filesystem::file_size(path + "-wal") == size);
}

TEST_CASE("a new store is empty, and is made once") {
  const testing::TemporaryFolder folder;
  const std::unique_ptr<LogStore> store = opened(folder.file("raft.db"));
  const Result<std::optional<Loaded>> nothing = store->load();
  REQUIRE(nothing.has_value());
  CHECK_FALSE(nothing->has_value());
  CHECK(store->initialise(kIdentity, kAlone));
  CHECK(store->initialise(kIdentity, kAlone).error().kind == ErrorKind::conflict);
  CHECK_FALSE(store->broken());  // a refusal is not a failed write
  CHECK((std::filesystem::status(folder.file("raft.db")).permissions() &
         std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("what was persisted is there after opening again") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  fill(path);
  const Result<std::optional<Loaded>> loaded = opened(path)->load();
  REQUIRE(loaded.has_value());
  REQUIRE(loaded->has_value());
  const Loaded& found = **loaded;
  CHECK(found.identity == kIdentity);
  CHECK(found.hard_state == raft::HardState{{2}, {1}, {1}});
  CHECK(found.snapshot.at == raft::SnapshotPointer{{0}, {0}, kAlone});
  REQUIRE(found.entries.size() == 3);
  CHECK(*found.entries[0].bytes == "");
  CHECK(*found.entries[2].bytes == "three");
  CHECK(found.entries[2].term == raft::Term{2});
}

TEST_CASE("a batch that truncates replaces the tail") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  fill(path);
  {
    const std::unique_ptr<LogStore> store = opened(path);
    REQUIRE(store->load());
    raft::Persist overwrite = batch({{3}, {0}, {1}}, {entry(3, 2, "other")});
    overwrite.truncate_from = raft::Index{2};
    REQUIRE(store->persist(overwrite));
  }
  const Result<std::optional<Loaded>> loaded = opened(path)->load();
  REQUIRE((*loaded)->entries.size() == 2);
  CHECK(*(*loaded)->entries[1].bytes == "other");
}

TEST_CASE("a snapshot survives, and compaction cuts what it covers") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  fill(path);
  const std::string state(3 << 20, 's');
  {
    const std::unique_ptr<LogStore> store = opened(path);
    REQUIRE(store->load());
    CHECK(store->compact({3}).error().kind == ErrorKind::precondition);  // in no snapshot yet
    REQUIRE(save(*store, {{3}, {2}, kAlone}, state));
    CHECK(*store->compact({3}));
    REQUIRE(store->persist(batch({{2}, {1}, {3}}, {entry(2, 4, "four")})));
  }
  const Result<std::optional<Loaded>> loaded = opened(path)->load();
  REQUIRE(loaded.has_value());
  CHECK((*loaded)->snapshot.at.index == raft::Index{3});
  CHECK((*loaded)->snapshot.state == state);
  REQUIRE((*loaded)->entries.size() == 1);
  CHECK((*loaded)->entries[0].index == raft::Index{4});
}

TEST_CASE("a row that was changed or lost is found, and the error says which") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  fill(path);
  SECTION("an entry's bytes") {
    CHECK(load_failure_after(path,
                             "UPDATE entries SET bytes = substr(bytes, 1, 30) || x'00' ||"
                             " substr(bytes, 32) WHERE idx = 2") ==
          "raft log on disk: entry 2 does not open with its key: it was changed");
  }
  SECTION("an entry's term") {
    CHECK(load_failure_after(path, "UPDATE entries SET term = 1 WHERE idx = 3") ==
          "raft log on disk: entry 3 does not open with its key: it was changed");
  }
  SECTION("an entry's bytes are another entry's") {
    CHECK(load_failure_after(path,
                             "UPDATE entries SET bytes = (SELECT bytes FROM entries WHERE idx = 2)"
                             " WHERE idx = 3") ==
          "raft log on disk: entry 3 does not open with its key: it was changed");
  }
  SECTION("an entry is cut short") {
    CHECK(load_failure_after(path, "UPDATE entries SET bytes = x'01000000aa' WHERE idx = 2") ==
          "raft log on disk: entry 2 is cut short");
  }
  SECTION("an entry in the middle is gone") {
    CHECK(load_failure_after(path, "DELETE FROM entries WHERE idx = 2") ==
          "raft log on disk: entry 3 follows entry 1");
  }
  SECTION("the last entry is gone") {
    CHECK(load_failure_after(path, "DELETE FROM entries WHERE idx = 3") ==
          "raft log on disk: the log ends at entry 2 but entry 3 was the last one made durable");
  }
  SECTION("the vote") {
    CHECK(load_failure_after(path, "UPDATE hard_state SET vote = 2") ==
          "raft log on disk: the hard state row fails its checksum");
  }
  SECTION("the hard state is gone") {
    CHECK(load_failure_after(path, "DELETE FROM hard_state") ==
          "raft log on disk: the hard state row is missing");
  }
  SECTION("the identity") {
    CHECK(load_failure_after(path, "UPDATE identity SET member = 9") ==
          "raft log on disk: the identity row fails its checksum");
  }
  SECTION("the snapshot") {
    CHECK(load_failure_after(path, "UPDATE snapshot SET idx = 2") ==
          "raft log on disk: the snapshot row fails its checksum");
  }
}

TEST_CASE("a file that is no database is an error") {
  const testing::TemporaryFolder folder;
  {
    Result<Connection> raw = Connection::open(folder.file("raft.db"));
    REQUIRE(raw->execute("CREATE TABLE t (a)"));
  }
  std::filesystem::resize_file(folder.file("raft.db"), 700);
  CHECK_FALSE(open_sqlite_log_store(folder.file("raft.db")).has_value());
}

TEST_CASE("a store that is open can't be opened twice") {
  const testing::TemporaryFolder folder;
  const std::unique_ptr<LogStore> first = opened(folder.file("raft.db"));
  const Result<std::unique_ptr<LogStore>> second = open_sqlite_log_store(folder.file("raft.db"));
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().kind == ErrorKind::conflict);
}

TEST_CASE("after a failed write nothing is written, even when the disk is well again") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  fill(path);
  {
    const std::unique_ptr<LogStore> store = opened(path);
    REQUIRE(store->load());
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit full{64 << 10, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
    const Status refused =
        store->persist(batch({{2}, {1}, {3}}, {entry(2, 4, std::string(1 << 20, 'x'))}));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, old_handler);
    REQUIRE_FALSE(refused.has_value());
    CHECK(store->broken().has_value());

    const Status again = store->persist(batch({{2}, {1}, {3}}, {entry(2, 4, "small")}));
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error() == *store->broken());
    CHECK_FALSE(store->begin_snapshot({{3}, {2}, kAlone}).has_value());
    CHECK_FALSE(store->compact({1}).has_value());
    CHECK_FALSE(store->load().has_value());
  }
  const Result<std::optional<Loaded>> loaded = opened(path)->load();
  REQUIRE(loaded.has_value());
  CHECK((*loaded)->entries.size() == 3);  // all that was ever acknowledged, and nothing else
}

TEST_CASE("a log of the format before is refused, and left as it is") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  {
    Result<Connection> raw = Connection::open(path);
    REQUIRE(raw->execute("CREATE TABLE identity (one INTEGER PRIMARY KEY, format INTEGER)"));
    REQUIRE(raw->execute("INSERT INTO identity VALUES (1, 1)"));
  }
  const Result<std::unique_ptr<LogStore>> store = open_sqlite_log_store(path);
  REQUIRE_FALSE(store.has_value());
  CHECK(store.error() == Error{ErrorKind::unimplemented,
                               path + ": the raft log is of format 1; this version of skep reads "
                                      "format 2 only"});
}

TEST_CASE("a batch that does not follow the log is refused") {
  const testing::TemporaryFolder folder;
  const std::unique_ptr<LogStore> store = opened(folder.file("raft.db"));
  REQUIRE(store->initialise(kIdentity, kAlone));
  CHECK_FALSE(store->persist(batch({{1}, {1}, {0}}, {entry(1, 2, "x")})).has_value());
  CHECK(store->broken().has_value());
}

}  // namespace skep::storage
