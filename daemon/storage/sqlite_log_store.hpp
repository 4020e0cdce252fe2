// A LogStore in a folder: one SQLite database (WAL mode, synchronous=FULL, so a commit is one
// flush), `snapshots/`, the key file `raft.key` and the ballast beside it.
//
// Entries and snapshots are sealed with the manager's data key (seal.hpp), which also finds every
// bit that flipped; the few rows that are not secret carry a CRC-32 over their key and content:
// SQLite finds torn pages of its write-ahead log, but not a bit that flipped in a page at rest. The
// hard-state row names the highest durable entry, so that a log whose end has gone is told from one
// that never was longer.
//
// One process may have it open (an exclusive lock is held). All files have mode 0600: they hold the
// cluster's CA key.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "daemon/storage/log_store.hpp"

namespace skep::storage {

struct StoreOptions {
  RoomLimits room;
  // For tests: a SQLite VFS by its registered name, and the rest of the disk (which outlives the
  // store). Empty and null: the machine's.
  std::string vfs;
  FileSystem* files = nullptr;
};

// Opens or makes the database at `path`; its folder exists and is the log's alone as far as the
// names raft.* and snapshots go. Errors: conflict (another process has it), unimplemented (of a
// format that is not known here), internal (it is damaged), unavailable or exhausted (the disk).
Result<std::unique_ptr<LogStore>> open_sqlite_log_store(const std::string& path,
                                                        StoreOptions options = {});

}  // namespace skep::storage
