// The rows of a raft log in SQLite: `identity`, `hard_state` and `snapshot` of one row each, and
// `entries` by index. Writes and reads them and finds what was changed behind our back; what a
// transaction holds, and what the rows mean together, is the store's.
//
// A checksum covers the row's numbers too, so a row that was moved or renumbered is found. An
// entry's bytes are sealed about its numbers, which is the same and more.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "daemon/storage/log_store.hpp"
#include "daemon/storage/snapshot_files.hpp"
#include "daemon/storage/sqlite_connection.hpp"

namespace skep::storage {

// What is wrong with the log, as an error of the kind that nobody can mend by trying again.
tl::unexpected<Error> corrupt(const std::string& what);

class LogTables {
 public:
  // Makes the tables if the database is new. ErrorKind::unimplemented if it is of another format.
  static Result<LogTables> open(const std::string& path, const std::string& vfs);

  Status begin() { return begin_.run(); }
  Status commit() { return commit_.run(); }
  Status rollback() { return rollback_.run(); }
  Connection& connection() { return connection_; }

  // `key_check` is a sealed nothing: whether the key file belongs to this log.
  Status put_identity(const Identity& identity, std::string_view key_check);
  // Requires: there is an identity.
  Status put_generation(raft::Generation generation);
  Status put_key_check(std::string_view key_check);
  // `last` is the highest durable entry.
  Status put_hard_state(const raft::HardState& state, raft::Index last);
  Status put_snapshot(const SnapshotFile& snapshot);
  Status put_entry(const raft::Entry& entry, KeyFile& keys);
  Status cut_from(raft::Index first);
  Status cut_through(raft::Index last);
  Status cut_all();

  Result<std::optional<std::pair<Identity, std::string>>> identity();
  Result<std::pair<raft::HardState, raft::Index>> hard_state();
  Result<SnapshotFile> snapshot();
  Result<std::vector<raft::Entry>> entries(KeyFile& keys);
  // How far a compaction that begins at `first` may go in one step: through the index returned.
  Result<raft::Index> slice(raft::Index first, raft::Index through);
  // The number of the key that the first entry needs; nullopt if there are no entries.
  Result<std::optional<uint32_t>> oldest_key();

 private:
  Connection connection_;
  Statement begin_, commit_, rollback_, put_hard_state_, put_entry_, cut_from_, cut_through_,
      slice_;
};

}  // namespace skep::storage
