// A manager's log in memory: what a disk would hold, without the disk.
//
// The Disk outlives the logs that write it, as a disk outlives its processes, so that a test can
// start a manager again on it. A log is written by the storage thread; a test that looks at the
// Disk meanwhile takes its mutex.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <mutex>

#include "daemon/storage/log_store.hpp"
#include "daemon/storage/snapshot_files.hpp"

namespace skep::manager {

struct Disk {
  std::mutex mutex;
  storage::Loaded content;
  size_t persists = 0;
  size_t snapshots = 0;      // made here
  size_t largest_piece = 0;  // of a snapshot that was made here
  bool fails = false;
  bool withholds = false;  // the bytes of its snapshot, from who reads it

  size_t normal_entries() {
    const std::lock_guard lock(mutex);
    size_t count = 0;
    for (const raft::Entry& entry : content.entries) count += entry.kind == raft::EntryKind::normal;
    return count;
  }
};

class MemoryLog final : public storage::LogStore {
 public:
  explicit MemoryLog(Disk& disk) : disk_(disk) {}
  Status initialise(const storage::Identity&, const raft::Configuration&) override { return {}; }
  Result<std::optional<storage::Loaded>> load() override { return disk_.content; }
  Status persist(const raft::Persist& batch) override {
    const std::lock_guard lock(disk_.mutex);
    if (disk_.fails) return fail(ErrorKind::internal, "the disk is gone");
    ++disk_.persists;
    storage::Loaded& now = disk_.content;
    now.hard_state = batch.hard_state;
    if (batch.install) {
      now.snapshot = std::move(arriving_);
      now.entries.clear();
    }
    std::erase_if(now.entries, [&](const raft::Entry& entry) {
      return batch.truncate_from && entry.index >= *batch.truncate_from;
    });
    now.entries.insert(now.entries.end(), batch.entries.begin(), batch.entries.end());
    return {};
  }
  Status persist_anew(raft::Generation generation, const raft::Persist& batch) override {
    SKEP_TRY(persist(batch));
    disk_.content.identity.generation = generation;
    return {};
  }
  Status begin_snapshot(const raft::SnapshotPointer& at) override {
    making_ = {at, {}};
    return {};
  }
  Status append_snapshot(std::string_view bytes) override {
    const std::lock_guard lock(disk_.mutex);
    disk_.largest_piece = std::max(disk_.largest_piece, bytes.size());
    making_.state += bytes;
    return {};
  }
  Status finish_snapshot() override {
    const std::lock_guard lock(disk_.mutex);
    disk_.content.snapshot = std::move(making_);
    ++disk_.snapshots;
    return {};
  }
  Result<bool> compact(raft::Index through) override {
    const std::lock_guard lock(disk_.mutex);
    std::erase_if(disk_.content.entries, [&](const auto& e) { return e.index <= through; });
    return true;
  }
  Result<raft::ChunkRead> read_chunk(const raft::ReadChunk& read) override {
    const std::lock_guard lock(disk_.mutex);
    raft::ChunkRead chunk{read.to, read.at.index, read.offset, nullptr, 0, false};
    const storage::Snapshot& here = disk_.content.snapshot;
    if (here.at != read.at || read.offset > here.state.size()) return chunk;
    if (disk_.withholds) {
      chunk.bytes = std::make_shared<const std::string>();
      return chunk;
    }
    chunk.bytes = std::make_shared<const std::string>(
        here.state.substr(read.offset, raft::kSnapshotChunkBytes));
    chunk.checksum = storage::chunk_checksum(*chunk.bytes);
    chunk.last = read.offset + chunk.bytes->size() == here.state.size();
    return chunk;
  }
  Result<raft::ChunkStored> store_chunk(const raft::StoreChunk& chunk) override {
    if (arriving_.at != chunk.at) arriving_ = {chunk.at, {}};
    const bool fits = arriving_.state.size() == chunk.offset;
    if (fits) arriving_.state += *chunk.bytes;
    return raft::ChunkStored{chunk.at.index, arriving_.state.size(), fits && chunk.last};
  }
  Status tidy() override { return {}; }
  storage::DiskRoom room() const override { return {}; }
  bool locked() const override { return false; }
  Status unlock(const storage::UnlockKey&) override { return {}; }
  Status set_unlock_key(const std::optional<storage::UnlockKey>&) override { return {}; }
  bool has_unlock_key(const std::optional<storage::UnlockKey>&) const override { return true; }
  bool holds_old_keys() const override { return false; }
  std::optional<Error> broken() const override { return std::nullopt; }

 private:
  storage::Snapshot making_;
  storage::Snapshot arriving_;
  Disk& disk_;
};

}  // namespace skep::manager
