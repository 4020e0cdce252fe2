// What a disk does to a log, by name, and the outcome that is promised. Traps of segmented logs (a
// torn write in a preallocated area, a recycled segment, a segment half-created on a full disk)
// have no place of their own while the log is SQLite's; their outcomes are here all the same. Where
// a guard is named, it was taken out and the test was seen to fail.
// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/executor_work_guard.hpp>
#include <thread>

#include "daemon/storage/persister.hpp"
#include "daemon/storage/sqlite_connection.hpp"
#include "tests/unit/storage/store_bench.hpp"

namespace skep::storage::testing {
namespace {

using Operation = FaultyDisk::Operation;
using Times = FaultyDisk::Times;

raft::Persist numbered(uint64_t index, size_t size = 100) {
  return batch({{2}, {1}, {1}}, {entry(2, index, std::string(size, 'n'))});
}

// Commits `count` entries after the three of fill(), and closes without SQLite having the chance to
// move its log into the database.
void commit_and_cut(FaultyDisk& disk, uint64_t count) {
  std::unique_ptr<LogStore> store = opened_on(disk);
  REQUIRE(store->load());
  for (uint64_t i = 0; i < count; ++i) REQUIRE(store->persist(numbered(4 + i)));
  disk.cut_power_after(0);
  store.reset();
  disk.restart();
}

size_t entries_after(FaultyDisk& disk) {
  return reloaded(disk).entries.size();
}

}  // namespace

TEST_CASE("trap 23: a torn tail that nobody was told of is cut") {
  FaultyDisk disk(1);
  fill(disk);
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->load());
    REQUIRE(store->persist(numbered(4)));
    disk.cut_power_after(2);  // in the middle of its frames
    CHECK_FALSE(store->persist(numbered(5, 20'000)));
  }
  disk.restart();
  CHECK(entries_after(disk) == 4);
}

// Guard: check_write_ahead_log, before SQLite sees the file.
TEST_CASE("trap 23: damage in the middle of the log is not taken for its end") {
  FaultyDisk disk(2);
  fill(disk);
  commit_and_cut(disk, 10);
  SECTION("in a frame") {
    disk.flip_bit(kPath + "-wal", (32 + 2 * (24 + 4096) + 500) * 8);
    CHECK(load_failure(disk).find("frame 3 of /d/raft.db-wal is damaged") != std::string::npos);
  }
  SECTION("in the header of a frame") {
    disk.flip_bit(kPath + "-wal", (32 + 4 * (24 + 4096) + 9) * 8);
    CHECK(load_failure(disk).find("of /d/raft.db-wal is damaged") != std::string::npos);
  }
  SECTION("in the header of the log") {
    disk.flip_bit(kPath + "-wal", 17 * 8);
    CHECK(load_failure(disk).find("the header of /d/raft.db-wal is damaged") != std::string::npos);
  }
  SECTION("nowhere") {
    CHECK(entries_after(disk) == 13);
  }
}

TEST_CASE("a commit is one flush, and two pages when it is small") {
  FaultyDisk disk(12);
  fill(disk);
  const std::unique_ptr<LogStore> store = opened_on(disk);
  REQUIRE(store->load());
  REQUIRE(store->persist(numbered(4, 512)));  // the first one begins the log anew
  const uint64_t syncs = disk.syncs();
  const uint64_t bytes = disk.bytes_written();
  constexpr uint64_t kCommits = 200;
  for (uint64_t i = 0; i < kCommits; ++i) REQUIRE(store->persist(numbered(5 + i, 512)));
  CHECK(disk.syncs() - syncs == kCommits);
  // And a third where a page of entries is full.
  CHECK((disk.bytes_written() - bytes) / kCommits < 3 * 4120);
}

// Torn writes of every size are also in crash_test.cpp.
TEST_CASE("trap 24: a torn write into a log file that is used again is no entry") {
  FaultyDisk disk(3);
  fill(disk);
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->load());
    uint64_t index = 4;
    // Long enough for the log file to be used from its beginning again.
    for (; index < 700; ++index) {
      REQUIRE(store->persist(numbered(index, 3000)));
      REQUIRE(store->tidy());
    }
    disk.cut_power_after(1);
    CHECK_FALSE(store->persist(numbered(index, 3000)));
  }
  disk.restart();
  CHECK(entries_after(disk) == 699);
}

TEST_CASE("trap 25: frames of an earlier use of the log file are not read as new ones") {
  FaultyDisk disk(4);
  fill(disk);
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->load());
    for (uint64_t index = 4; index < 700; ++index) {
      REQUIRE(store->persist(numbered(index, 3000)));
      REQUIRE(store->tidy());
    }
  }
  // The file now holds a few new frames and many old ones behind them, all valid in their time.
  commit_and_cut(disk, 0);
  CHECK(entries_after(disk) == 699);
}

TEST_CASE("trap 26: before the disk is full the store is read-only, and says so") {
  FaultyDisk disk(5);
  disk.set_capacity(40 << 20);
  const RoomLimits limits{8 << 20, 16 << 20};
  const std::unique_ptr<LogStore> store = opened_on(disk, limits);
  REQUIRE(store->initialise(kIdentity, kAlone));
  REQUIRE(store->tidy());
  CHECK_FALSE(store->room().read_only);
  CHECK(disk.content("/d/raft.ballast").size() == (8 << 20));

  disk.set_capacity(20 << 20);
  REQUIRE(store->tidy());
  REQUIRE(store->room().read_only);
  CHECK(store->room().read_only->kind == ErrorKind::exhausted);
  CHECK(store->room().read_only->message ==
        "read-only: the disk of this manager is nearly full (7 MiB free)");
  CHECK(store->persist(numbered(1)));  // what is on its way is written

  disk.set_capacity(31 << 20);  // above the mark, but not by a quarter
  REQUIRE(store->tidy());
  CHECK(store->room().read_only);
  disk.set_capacity(40 << 20);
  REQUIRE(store->tidy());
  CHECK_FALSE(store->room().read_only);
}

// Guard: the second attempt in transaction(), with the ballast given up.
TEST_CASE("trap 26: on a full disk the ballast makes room, for writing and for a restart") {
  FaultyDisk disk(6);
  disk.set_capacity(4 << 20);
  const RoomLimits limits{1 << 20, 1 << 20};
  uint64_t index = 0;
  {
    const std::unique_ptr<LogStore> store = opened_on(disk, limits);
    REQUIRE(store->initialise(kIdentity, kAlone));
    REQUIRE(disk.content("/d/raft.ballast").size() == (1 << 20));
    const uint64_t before = disk.operations();
    // Others fill the disk up.
    disk.set_capacity((1 << 20) + (200 << 10));
    while (!disk.content("/d/raft.ballast").empty()) {
      const Status done = store->persist(numbered(++index, 10'000));
      if (!done) FAIL(done.error().message);
      REQUIRE(index < 1000);
    }
    CHECK(index > 1);
    CHECK(disk.operations() > before);
    // The room that was won holds for some time; then there is none, and that is final.
    Status last;
    while (last) {
      last = store->persist(numbered(index + 1, 10'000));
      if (last) ++index;
      REQUIRE(index < 1000);
    }
    CHECK(last.error().kind == ErrorKind::exhausted);
    CHECK(store->broken());
  }
  // No room at all, and no power either.
  disk.restart();
  CHECK(entries_after(disk) == index);
  disk.set_capacity(16 << 20);
  const std::unique_ptr<LogStore> store = opened_on(disk, limits);
  REQUIRE(store->load());
  REQUIRE(store->tidy());
  CHECK(disk.content("/d/raft.ballast").size() == (1 << 20));
  CHECK(store->persist(numbered(index + 1)));
}

TEST_CASE("trap 27: what was refused on a full disk leaves nothing behind that is found later") {
  FaultyDisk disk(7);
  fill(disk);
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->load());
    disk.set_capacity(0);
    CHECK_FALSE(store->persist(numbered(4, 8'000'000)));  // more than the log's file has room for
    disk.set_capacity(1 << 30);
    const Status again = store->persist(numbered(4));
    REQUIRE_FALSE(again);
    CHECK(again.error() == *store->broken());
  }
  disk.restart();
  const std::unique_ptr<LogStore> store = opened_on(disk);
  REQUIRE((*store->load())->entries.size() == 3);
  CHECK(store->persist(numbered(4)));
}

// Guard: SqliteLogStore::latch keeps why.
TEST_CASE("trap 28: once a flush failed nothing is acknowledged, though the next one works") {
  const std::string file = GENERATE("-wal", "raft.db");
  const bool power_goes = GENERATE(false, true);
  FaultyDisk disk(8);
  fill(disk);
  uint64_t kept = 3;
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->load());
    disk.fail({Operation::sync, 1, Times::once, file});
    while (store->persist(numbered(kept + 1, 3000))) {
      ++kept;
      REQUIRE(kept < 2000);
      if (!store->tidy()) break;
    }
    CHECK(store->broken());
    CHECK_FALSE(store->persist(numbered(kept + 1)));
    CHECK_FALSE(store->compact({1}));
    CHECK_FALSE(store->begin_snapshot({{3}, {2}, kAlone}));
    CHECK_FALSE(store->load());
    if (power_goes) disk.cut_power_after(0);
  }
  if (!power_goes) {
    // The machine's memory still has what the disk has not.
    const std::unique_ptr<LogStore> next = opened_on(disk);
    const Result<std::optional<Loaded>> loaded = next->load();
    if (!loaded) FAIL(loaded.error().message);
    const uint64_t found = (*loaded)->entries.size();
    CHECK((found == kept || found == kept + 1));
    REQUIRE(next->persist(numbered(found + 1)));
    kept = found + 1;
    disk.cut_power_after(0);
  }
  disk.restart();
  CHECK(entries_after(disk) >= kept);
}

TEST_CASE("trap 28: a restart believes the disk and not what memory says of a failed flush") {
  for (uint64_t cut = 0; cut < 25; ++cut) {
    INFO(cut);
    FaultyDisk disk(cut);
    fill(disk);
    {
      const std::unique_ptr<LogStore> store = opened_on(disk);
      REQUIRE(store->load());
      // The second flush: the first is of the log's header. Nothing else is in the log, so nothing
      // else would hide a half-moved transaction.
      disk.fail({Operation::sync, 2, Times::once, "-wal"});
      CHECK_FALSE(store->persist(numbered(4, 20'000)));
      // The process ends at once, without closing anything.
      disk.fail({Operation::write, 1, Times::for_ever, ""});
    }
    disk.heal();
    disk.cut_power_after(cut);
    if (const auto store = open_on(disk)) static_cast<void>((*store)->load());
    disk.restart();
    CHECK(entries_after(disk) == 3);
  }
}

TEST_CASE("trap 28: an I/O error of any kind is final and loses nothing that was acknowledged") {
  const Operation operation = GENERATE(Operation::write, Operation::sync);
  const Times times = GENERATE(Times::once, Times::for_ever);
  const std::string file = GENERATE("raft.db", "-wal");
  for (uint64_t nth = 1; nth < 40; nth += 3) {
    FaultyDisk disk(nth);
    fill(disk);
    uint64_t index = 3;
    {
      const std::unique_ptr<LogStore> store = opened_on(disk);
      REQUIRE(store->load());
      disk.fail({operation, nth, times, file});
      for (; index < 1200; ++index) {
        if (!store->persist(numbered(index + 1, 2000)) || !store->tidy()) break;
      }
      if (store->broken()) {
        CHECK_FALSE(store->persist(numbered(index + 1)));
      }
    }
    disk.restart();
    CHECK(entries_after(disk) >= index);
    CHECK(entries_after(disk) <= index + 1);
  }
}

TEST_CASE("trap 29: a disk that hangs holds up no one but those who wait for it") {
  FaultyDisk disk(9);
  fill(disk);
  boost::asio::io_context loop;
  const auto guard = boost::asio::make_work_guard(loop);
  std::unique_ptr<LogStore> store = opened_on(disk);
  REQUIRE(store->load());
  Persister persister(loop, std::move(store));
  disk.hang();
  std::optional<Status> answer;
  persister.persist(numbered(4), [&](Status status) { answer = status; });
  // The loop is free meanwhile, and nothing is acknowledged.
  loop.run_one_for(std::chrono::milliseconds(50));
  CHECK_FALSE(answer);
  disk.release();
  while (!answer) REQUIRE(loop.run_one_for(std::chrono::seconds(30)) == 1);
  CHECK(answer->has_value());
}

// Guard: the question for the commit index when the log is loaded.
TEST_CASE("trap 32: a log that ends before what was committed is refused, not cut to fit") {
  FaultyDisk disk(10);
  fill(disk);
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->load());
    // What consensus must never ask for; the checksums are right.
    REQUIRE(store->persist(batch({{2}, {1}, {9}}, {})));
  }
  CHECK(load_failure(disk) ==
        "raft log on disk: entry 9 was committed but the log ends at entry 3");
}

TEST_CASE("any single bit that flips at rest is found, or changes nothing") {
  size_t found = 0;
  std::mt19937_64 random(11);
  for (int i = 0; i < 300; ++i) {
    FaultyDisk disk(static_cast<uint64_t>(i));
    fill(disk);  // closed in order: all of it is in the database file
    const uint64_t bits = disk.content(kPath).size() * 8;
    disk.flip_bit(kPath, random() % bits);
    const Result<std::unique_ptr<LogStore>> store = open_on(disk);
    if (!store) {
      ++found;
      continue;
    }
    const Result<std::optional<Loaded>> loaded = (*store)->load();
    if (!loaded) {
      ++found;
      continue;
    }
    REQUIRE(loaded->has_value());
    CHECK((*loaded)->identity == kIdentity);
    CHECK((*loaded)->hard_state == raft::HardState{{2}, {1}, {1}});
    REQUIRE((*loaded)->entries.size() == 3);
    CHECK(*(*loaded)->entries[2].bytes == "three");
  }
  CHECK(found > 0);  // most of a small database is empty space
}

}  // namespace skep::storage::testing
