// Snapshots on the disk: one file each, in sealed chunks of 256 KiB.
//
// The manifest of a snapshot is a row of the log's database: which file, how many bytes, up to
// which entry. So log, hard state and snapshot change in one transaction, and a file that no row
// names is nothing. A file gets its final name only when all of it is on the disk:
//   write NAME.tmp, sync it, rename it, sync the folder; then the row; then the old file goes.
// Each chunk is sealed about (file, number, is it the last), so a chunk that is missing, damaged,
// from another file or in another place is found when it is read.
//
// A long file is synced every few MiB while it is written: one flush at its end would hold up the
// log's flushes on the same disk for seconds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/raft/types.hpp"
#include "daemon/storage/file_system.hpp"
#include "daemon/storage/key_file.hpp"

namespace skep::storage {

// What the manifest row says.
struct SnapshotFile {
  raft::SnapshotPointer at;
  uint64_t id = 0;     // random, part of the file's name; zero: no file, the state is empty
  uint64_t bytes = 0;  // of the state, not of the file
  uint32_t key = 0;    // the oldest key it needs
};

// A file in the making. Without finish() its temporary file goes with it.
class SnapshotWriter {
 public:
  SnapshotWriter(FileSystem& files, std::string folder, KeyFile& keys,
                 const raft::SnapshotPointer& at);
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  Status begin();
  // After an error there is nothing left to do but to drop the writer.
  Status append(std::string_view bytes);
  // Everything is durable under its final name. Nothing else may be called then.
  Result<SnapshotFile> finish();

  const raft::SnapshotPointer& at() const { return made_.at; }
  uint64_t bytes() const { return made_.bytes; }
  uint32_t key() const { return made_.key; }

 private:
  enum class Position { inside, last };
  Status write_chunk(std::string_view plain, Position position);

  FileSystem& files_;
  std::string folder_;
  KeyFile& keys_;
  SnapshotFile made_;
  std::unique_ptr<File> file_;
  std::string buffered_;  // at most one chunk: whether it is the last is not known yet
  uint64_t chunks_ = 0;   // written
  uint64_t unsynced_ = 0;
};

// A finished file, open for reading.
class SnapshotReader {
 public:
  static Result<SnapshotReader> open(FileSystem& files, const std::string& folder, KeyFile& keys,
                                     const SnapshotFile& file);
  // From `offset` to the end of its chunk. Requires: offset <= bytes. Errors name the file.
  Result<std::string> read(uint64_t offset);
  const SnapshotFile& file() const { return made_; }

 private:
  SnapshotReader(KeyFile& keys, const SnapshotFile& made, std::string path)
      : keys_(&keys), made_(made), path_(std::move(path)) {}

  KeyFile* keys_;
  SnapshotFile made_;
  std::string path_;
  std::unique_ptr<File> file_;  // null: no bytes
};

std::string snapshot_path(const std::string& folder, const SnapshotFile& file);
// Removes every file but `keep`.
Status sweep_snapshots(FileSystem& files, const std::string& folder, const SnapshotFile& keep);

uint32_t chunk_checksum(std::string_view bytes);

}  // namespace skep::storage
