// The journal keeps what was flushed, cuts what was torn, and refuses what has rotted.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/journal.hpp"

#include <catch2/catch.hpp>

namespace {

using namespace skep;
using namespace skep::sim;

raft::Persist batch_of(uint64_t index, size_t bytes) {
  raft::Persist batch;
  batch.hard_state = {{index}, {1}, {0}};
  batch.entries.push_back(
      {{index}, {index}, raft::EntryKind::normal, std::make_shared<const std::string>(bytes, 'x')});
  return batch;
}

void finish(JournalDisk& disk) {
  while (!disk.advance().value()) {
  }
}

}  // namespace

TEST_CASE("what was flushed survives any loss of power, and a torn record goes whole") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    JournalDisk disk;
    REQUIRE(disk.format({1}, {9}, {{0}, {0}, {{{1}}, {}, {}}}));
    const uint64_t flushed = random.below(5);
    for (uint64_t i = 1; i <= flushed; ++i) {
      REQUIRE(disk.begin(batch_of(i, random.below(2000))));
      finish(disk);
    }
    REQUIRE(disk.begin(batch_of(flushed + 1, 3000)));
    disk.lose_power(random);
    const auto found = disk.load();
    REQUIRE(found);
    REQUIRE(found->has_value());
    const size_t entries = (*found)->restored.entries.size();
    CHECK((entries == flushed || entries == flushed + 1));
    CHECK((*found)->restored.hard_state.term.value == entries);
    CHECK((*found)->incarnation.value == 9);
  }
}

TEST_CASE("a power cut while a snapshot is saved leaves the old log or the new one") {
  int old_ones = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    JournalDisk disk;
    REQUIRE(disk.format({1}, {9}, {{0}, {0}, {{{1}}, {}, {}}}));
    for (uint64_t i = 1; i <= 6; ++i) {
      REQUIRE(disk.begin(batch_of(i, 700)));
      finish(disk);
    }
    REQUIRE(disk.begin(SaveSnapshot{{{4}, {4}, {{{1}}, {}, {}}}, sealed("state"), 1}));
    if (random.below(2) == 0) REQUIRE(disk.advance() == false);
    disk.lose_power(random);
    const auto found = disk.load();
    REQUIRE(found);
    const raft::Restored& restored = (*found)->restored;
    CHECK(restored.entries.back().index.value == 6);
    if (restored.snapshot.index.value == 0) {
      old_ones += 1;
      CHECK(restored.entries.size() == 6);
    } else {
      CHECK(restored.snapshot.index.value == 4);
      CHECK(restored.entries.front().index.value == 4);
      CHECK(is_sound((*found)->state));
    }
  }
  CHECK(old_ones > 20);
  CHECK(old_ones < 180);
}

TEST_CASE("a bit that flips in the middle is found, and nothing is cut") {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    JournalDisk disk;
    REQUIRE(disk.format({1}, {9}, {{0}, {0}, {{{1}}, {}, {}}}));
    for (uint64_t i = 1; i <= 4; ++i) {
      REQUIRE(disk.begin(batch_of(i, random.below(1500))));
      finish(disk);
    }
    REQUIRE(disk.rot(random));
    CHECK_FALSE(disk.load());
  }
}

TEST_CASE("a flush that fails is told, and a full disk refuses to grow") {
  JournalDisk disk;
  REQUIRE(disk.format({1}, {9}, {{0}, {0}, {{{1}}, {}, {}}}));
  disk.faults().failing_flushes = 1;
  REQUIRE(disk.begin(batch_of(1, 10)));
  CHECK_FALSE(disk.advance());
  disk.faults().full = true;
  REQUIRE(disk.load());
  CHECK_FALSE(disk.begin(batch_of(1, 10)));
}

TEST_CASE("a snapshot comes in by chunks; damaged and foreign ones count for nothing") {
  JournalDisk disk;
  REQUIRE(disk.format({1}, {9}, {}));
  JournalDisk sender;
  REQUIRE(sender.format({2}, {8}, {}));
  for (uint64_t i = 1; i <= 3; ++i) {
    REQUIRE(sender.begin(batch_of(i, 10)));
    finish(sender);
  }
  const raft::SnapshotPointer at{{3}, {3}, {{{2}}, {}, {}}};
  REQUIRE(sender.begin(SaveSnapshot{at, sealed(std::string(1000, 's')), 0}));
  finish(sender);
  uint64_t offset = 0;
  for (bool damaged = true; true; damaged = false) {
    const raft::ChunkRead read = sender.read({{1}, at, offset}, 300);
    REQUIRE(read.bytes);
    const raft::ChunkStored stored =
        disk.store({at, offset, read.bytes, read.checksum + (damaged ? 1 : 0), read.last});
    CHECK(stored.received == offset + (damaged ? 0 : read.bytes->size()));
    offset = stored.received;
    if (stored.complete) break;
  }
  raft::Persist install;
  install.hard_state = {{3}, {0}, {3}};
  install.install = at;
  REQUIRE(disk.begin(install));
  finish(disk);
  CHECK(disk.load().value()->restored.snapshot == at);
  CHECK(is_sound(disk.state()));
  CHECK(sender.read({{1}, {{2}, {2}, {}}, 0}, 300).bytes == nullptr);
}
