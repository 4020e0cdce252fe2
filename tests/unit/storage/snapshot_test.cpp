// Snapshots on the disk: whole or not at all, found damaged when they are, and handed on in chunks.
// Crashes between the steps are in crash_test.cpp.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/storage/store_bench.hpp"

namespace skep::storage::testing {
namespace {

const raft::SnapshotPointer kAt{{3}, {2}, kAlone};
constexpr size_t kChunk = raft::kSnapshotChunkBytes;

std::string state_of(size_t bytes) {
  std::string state(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) state[i] = static_cast<char>((i * 2'654'435'761U) >> 13);
  return state;
}

std::unique_ptr<LogStore> with_snapshot(FaultyDisk& disk, const std::string& state) {
  fill(disk);
  std::unique_ptr<LogStore> store = opened_on(disk);
  REQUIRE(store->load());
  REQUIRE(save(*store, kAt, state));
  return store;
}

raft::ChunkRead read(LogStore& store, const raft::SnapshotPointer& at, uint64_t offset) {
  const Result<raft::ChunkRead> chunk = store.read_chunk({{7}, at, offset});
  if (!chunk) FAIL(chunk.error().message);
  return *chunk;
}

}  // namespace

TEST_CASE("a snapshot of any size is read in chunks as it was written") {
  const size_t size = GENERATE(size_t{0}, size_t{1}, kChunk - 1, kChunk, kChunk + 1, 3 * kChunk);
  const std::string state = state_of(size);
  FaultyDisk disk(1);
  const std::unique_ptr<LogStore> store = with_snapshot(disk, state);
  std::string got;
  for (;;) {
    const raft::ChunkRead chunk = read(*store, kAt, got.size());
    REQUIRE(chunk.bytes);
    CHECK(chunk.to == raft::RaftId{7});
    CHECK(chunk.snapshot == kAt.index);
    CHECK(chunk.offset == got.size());
    CHECK(chunk.checksum == chunk_checksum(*chunk.bytes));
    CHECK(chunk.bytes->size() <= kChunk);
    got += *chunk.bytes;
    if (chunk.last) break;
    REQUIRE_FALSE(chunk.bytes->empty());
  }
  CHECK(got == state);
  // From the middle of a chunk, and at what is not there (any more).
  if (size > 1) CHECK(*read(*store, kAt, 1).bytes == state.substr(1, kChunk - 1));
  CHECK_FALSE(read(*store, kAt, size + 1).bytes);
  CHECK_FALSE(read(*store, {{2}, {2}, kAlone}, 0).bytes);
}

TEST_CASE("what is on the disk can be read by nobody without the key") {
  const std::string secret = "a very secret sentence of some length";
  FaultyDisk disk(2);
  {
    const std::unique_ptr<LogStore> store = with_snapshot(disk, secret);
    REQUIRE(store->persist(batch({{2}, {1}, {3}}, {entry(2, 4, secret)})));
  }
  for (const std::string& path : disk.paths()) {
    INFO(path);
    CHECK(disk.content(path).find(secret) == std::string::npos);
  }
  CHECK(reloaded(disk).snapshot.state == secret);
}

TEST_CASE("a snapshot file that is missing, cut short or damaged is refused by its name") {
  FaultyDisk disk(3);
  with_snapshot(disk, state_of(3 * kChunk + 5)).reset();
  const std::string path = snapshot_file(disk);
  const std::string whole = disk.content(path);
  const size_t on_disk = kChunk + KeyFile::kOverhead;
  SECTION("missing") {
    disk.erase(path);
    CHECK(load_failure(disk) == "the snapshot file " + path + " is missing");
  }
  SECTION("half-written") {
    disk.set_content(path, whole.substr(0, whole.size() / 2));
    CHECK(load_failure(disk) == "chunk 1 of the snapshot file " + path + " is cut short");
  }
  SECTION("a bit has flipped") {
    disk.flip_bit(path, (2 * on_disk + 100) * 8 + 3);
    CHECK(load_failure(disk) ==
          "chunk 2 of the snapshot file " + path + ": does not open with its key: it was changed");
  }
  SECTION("two chunks have changed places") {
    disk.set_content(path, whole.substr(on_disk, on_disk) + whole.substr(0, on_disk) +
                               whole.substr(2 * on_disk));
    CHECK(load_failure(disk).find("chunk 0 of the snapshot file") == 0);
  }
  SECTION("a chunk is missing") {
    disk.set_content(path, whole.substr(0, on_disk) + whole.substr(2 * on_disk));
    CHECK(load_failure(disk).find("chunk 1 of the snapshot file") == 0);
  }
}

// Guard: the first question of compact().
TEST_CASE("trap 30: the log is cut only behind a snapshot that is durable") {
  FaultyDisk disk(4);
  fill(disk);
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->load());
    REQUIRE(store->begin_snapshot(kAt));
    REQUIRE(store->append_snapshot("half of it"));
    CHECK(store->compact({3}).error().kind == ErrorKind::precondition);
    disk.cut_power_after(0);
  }
  disk.restart();
  CHECK(reloaded(disk).entries.size() == 3);
}

TEST_CASE("a snapshot whose file can't be written or flushed takes nobody's place") {
  FaultyDisk disk(5);
  const std::unique_ptr<LogStore> store = with_snapshot(disk, "the first");
  const auto operation = GENERATE(FaultyDisk::Operation::write, FaultyDisk::Operation::sync,
                                  FaultyDisk::Operation::name);
  disk.fail({operation, 1, FaultyDisk::Times::once,
             operation == FaultyDisk::Operation::name ? "snapshots" : ".tmp"});
  REQUIRE(store->persist(batch({{2}, {1}, {4}}, {entry(2, 4, "four")})));
  CHECK_FALSE(save(*store, {{4}, {2}, kAlone}, state_of(kChunk * 2)));
  CHECK_FALSE(store->broken());  // the log itself is well
  CHECK(*read(*store, kAt, 0).bytes == "the first");
  REQUIRE(save(*store, {{4}, {2}, kAlone}, "the second"));
  CHECK(*read(*store, {{4}, {2}, kAlone}, 0).bytes == "the second");
}

// Guard: write_batch stores the hard state in the transaction that names the snapshot.
TEST_CASE("trap 31: a received snapshot takes the place of the log together with the hard state") {
  FaultyDisk disk(6);
  const std::string state = state_of(2 * kChunk + 9);
  const raft::SnapshotPointer at{{50}, {4}, {{{1}, {2}, {3}}, {}, {}}};
  {
    const std::unique_ptr<LogStore> store = with_snapshot(disk, "the old one");
    REQUIRE(receive(*store, at, state));
    // The last chunk again, because its answer was lost.
    CHECK(store->store_chunk(chunk_of(at, state, 2 * kChunk))->complete);
    raft::Persist install;
    install.install = at;
    install.hard_state = {{4}, {2}, {50}};
    REQUIRE(store->persist(install));
    CHECK(*read(*store, at, 2 * kChunk).bytes == state.substr(2 * kChunk));
  }
  CHECK(reloaded(disk).hard_state == raft::HardState{{4}, {2}, {50}});
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->load());
    REQUIRE(store->persist(batch({{4}, {2}, {50}}, {entry(4, 51, "next")})));
  }
  const Loaded loaded = reloaded(disk);
  CHECK(loaded.hard_state == raft::HardState{{4}, {2}, {50}});
  CHECK(loaded.snapshot.at == at);
  CHECK(loaded.snapshot.state == state);
  REQUIRE(loaded.entries.size() == 1);
  CHECK(loaded.entries[0].index == raft::Index{51});
}

TEST_CASE("chunks are taken in order, once each, and only when they are sound") {
  FaultyDisk disk(7);
  fill(disk);
  const std::unique_ptr<LogStore> store = opened_on(disk);
  REQUIRE(store->load());
  const std::string state = state_of(2 * kChunk + 9);
  const raft::SnapshotPointer at{{50}, {4}, kAlone};
  CHECK(store->store_chunk(chunk_of(at, state, kChunk))->received == 0);  // begins in the middle
  CHECK(store->store_chunk(chunk_of(at, state, 0))->received == kChunk);
  CHECK(store->store_chunk(chunk_of(at, state, 0))->received == kChunk);  // twice
  raft::StoreChunk damaged = chunk_of(at, state, kChunk);
  damaged.checksum ^= 1;
  CHECK(store->store_chunk(damaged)->received == kChunk);
  CHECK(store->store_chunk(chunk_of(at, state, kChunk))->received == 2 * kChunk);
  SECTION("another snapshot begins anew") {
    const raft::SnapshotPointer newer{{60}, {4}, kAlone};
    CHECK(store->store_chunk(chunk_of(newer, state, 2 * kChunk))->received == 0);
    CHECK(store->store_chunk(chunk_of(at, state, 2 * kChunk))->received == 0);
  }
  SECTION("after a restart it begins anew") {
    const std::unique_ptr<LogStore> next = opened_on(disk);
    REQUIRE(next->load());
    CHECK(snapshot_file(disk).empty());
    CHECK(next->store_chunk(chunk_of(at, state, 2 * kChunk))->received == 0);
  }
  SECTION("one that is not whole can't be installed") {
    raft::Persist install;
    install.install = at;
    CHECK_FALSE(store->persist(install));
    CHECK(store->broken());
  }
}

TEST_CASE("a snapshot made here gives way to a newer one that came in") {
  FaultyDisk disk(8);
  const std::unique_ptr<LogStore> store = with_snapshot(disk, "old");
  REQUIRE(store->persist(batch({{2}, {1}, {4}}, {entry(2, 4, "four")})));
  REQUIRE(store->begin_snapshot({{4}, {2}, kAlone}));
  REQUIRE(receive(*store, {{50}, {4}, kAlone}, "new"));
  raft::Persist install;
  install.install = raft::SnapshotPointer{{50}, {4}, kAlone};
  REQUIRE(store->persist(install));
  CHECK(store->append_snapshot("late").error().kind == ErrorKind::conflict);
  CHECK(*read(*store, {{50}, {4}, kAlone}, 0).bytes == "new");
}

TEST_CASE("a long log is compacted in steps, and what comes between them is kept") {
  FaultyDisk disk(9);
  uint64_t index = 0;
  {
    const std::unique_ptr<LogStore> store = opened_on(disk);
    REQUIRE(store->initialise(kIdentity, kAlone));
    while (index < 3500) {
      std::vector<raft::Entry> entries;
      for (int i = 0; i < 500; ++i) entries.push_back(entry(1, ++index, "x"));
      REQUIRE(store->persist(batch({{1}, {1}, {1}}, std::move(entries))));
    }
    REQUIRE(save(*store, {{3200}, {1}, kAlone}, "state"));
    int steps = 1;
    for (;; ++steps) {
      const Result<bool> all = store->compact({3200});
      REQUIRE(all.has_value());
      if (*all) break;
      ++index;
      REQUIRE(store->persist(batch({{1}, {1}, {1}}, {entry(1, index, "between")})));
    }
    CHECK(steps == 4);
  }
  const Loaded loaded = reloaded(disk);
  CHECK(loaded.entries.front().index == raft::Index{3201});
  CHECK(loaded.entries.back().index == raft::Index{index});
}

}  // namespace skep::storage::testing
