// A log store on a disk that fails, and what it should hold: shared by the tests of both.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "daemon/storage/snapshot_files.hpp"
#include "daemon/storage/sqlite_log_store.hpp"
#include "tests/fakes/storage/faulty_disk.hpp"

namespace skep::storage::testing {

using skep::testing::FaultyDisk;

inline const raft::Configuration kAlone{{{1}}, {}, {}};
inline const Identity kIdentity{{{1, 2}}, {{3, 4}}, {1}, {5}, {2}};
inline const std::string kPath = "/d/raft.db";

inline Result<std::unique_ptr<LogStore>> open_on(FaultyDisk& disk, RoomLimits room = {0, 0}) {
  StoreOptions options;
  options.room = room;
  options.vfs = disk.vfs();
  options.files = &disk.files();
  return open_sqlite_log_store(kPath, options);
}

inline std::unique_ptr<LogStore> opened_on(FaultyDisk& disk, RoomLimits room = {0, 0}) {
  Result<std::unique_ptr<LogStore>> store = open_on(disk, room);
  if (!store) FAIL(store.error().message);
  return std::move(*store);
}

// Opened and loaded. Requires: there is a log.
inline Loaded reloaded(FaultyDisk& disk) {
  const std::unique_ptr<LogStore> store = opened_on(disk);
  Result<std::optional<Loaded>> loaded = store->load();
  if (!loaded) FAIL(loaded.error().message);
  REQUIRE(loaded->has_value());
  return std::move(**loaded);
}

inline std::string load_failure(FaultyDisk& disk) {
  Result<std::unique_ptr<LogStore>> store = open_on(disk);
  if (!store) return store.error().message;
  const Result<std::optional<Loaded>> loaded = (*store)->load();
  return loaded ? "" : loaded.error().message;
}

inline raft::Entry entry(uint64_t term, uint64_t index, std::string bytes) {
  return {{term},
          {index},
          raft::EntryKind::normal,
          std::make_shared<const std::string>(std::move(bytes))};
}

inline raft::Persist batch(raft::HardState state, std::vector<raft::Entry> entries) {
  raft::Persist persist;
  persist.hard_state = state;
  persist.entries = std::move(entries);
  return persist;
}

inline Status save(LogStore& store, const raft::SnapshotPointer& at, const std::string& state) {
  SKEP_TRY(store.begin_snapshot(at));
  SKEP_TRY(store.append_snapshot(state));
  return store.finish_snapshot();
}

inline raft::StoreChunk chunk_of(const raft::SnapshotPointer& at, const std::string& state,
                                 uint64_t offset) {
  raft::StoreChunk chunk;
  chunk.at = at;
  chunk.offset = offset;
  chunk.bytes = std::make_shared<const std::string>(
      std::string_view(state).substr(offset, raft::kSnapshotChunkBytes));
  chunk.checksum = chunk_checksum(*chunk.bytes);
  chunk.last = offset + chunk.bytes->size() == state.size();
  return chunk;
}

// All its chunks.
inline Status receive(LogStore& store, const raft::SnapshotPointer& at, const std::string& state) {
  uint64_t offset = 0;
  for (;;) {
    SKEP_TRY_ASSIGN(const raft::ChunkStored stored, store.store_chunk(chunk_of(at, state, offset)));
    if (stored.complete) return {};
    SKEP_ASSERT(stored.received > offset, "a sound chunk is taken");
    offset = stored.received;
  }
}

// Three entries, closed.
inline void fill(FaultyDisk& disk) {
  const std::unique_ptr<LogStore> store = opened_on(disk);
  REQUIRE(store->initialise(kIdentity, kAlone));
  REQUIRE(store->persist(
      batch({{2}, {1}, {1}}, {entry(1, 1, "one"), entry(2, 2, "two"), entry(2, 3, "three")})));
}

inline std::string snapshot_file(const FaultyDisk& disk) {
  for (const std::string& path : disk.paths()) {
    if (path.find("/snapshots/") != std::string::npos) return path;
  }
  return "";
}

}  // namespace skep::storage::testing
