// The tables: `identity` and `hard_state` and `snapshot` of one row each, and `entries` by index.
//
// A checksum covers the row's numbers too, so a row that was moved or renumbered is found. The
// latch is here and not in SQLite: SQLite forgets a failed flush and goes on.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/sqlite_log_store.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <initializer_list>

#include "daemon/storage/sqlite_connection.hpp"

namespace skep::storage {
namespace {

constexpr uint64_t kFormat = 1;

constexpr const char* kSchema = R"(
  CREATE TABLE IF NOT EXISTS identity (
    one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL,
    cluster_high INTEGER NOT NULL, cluster_low INTEGER NOT NULL,
    node_high INTEGER NOT NULL, node_low INTEGER NOT NULL,
    member INTEGER NOT NULL, incarnation INTEGER NOT NULL, checksum INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS hard_state (
    one INTEGER PRIMARY KEY CHECK (one = 1), term INTEGER NOT NULL, vote INTEGER NOT NULL,
    commit_index INTEGER NOT NULL, last_index INTEGER NOT NULL, checksum INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS entries (
    idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, kind INTEGER NOT NULL,
    bytes BLOB NOT NULL, checksum INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS snapshot (
    one INTEGER PRIMARY KEY CHECK (one = 1), idx INTEGER NOT NULL, term INTEGER NOT NULL,
    configuration BLOB NOT NULL, state BLOB NOT NULL, checksum INTEGER NOT NULL);
)";

// CRC-32 of the numbers (8 bytes each, least significant first) and then of the byte strings.
uint64_t checksum(std::initializer_list<uint64_t> numbers,
                  std::initializer_list<std::string_view> parts = {}) {
  uLong crc = crc32_z(0, nullptr, 0);
  for (const uint64_t number : numbers) {
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(number >> (8 * i));
    crc = crc32_z(crc, bytes, sizeof bytes);
  }
  for (const std::string_view part : parts) {
    // zlib starts anew when it is given a null pointer, which is what an empty view may hold.
    if (part.empty()) continue;
    crc = crc32_z(crc, reinterpret_cast<const unsigned char*>(part.data()), part.size());
  }
  return crc;
}

tl::unexpected<Error> corrupt(const std::string& what) {
  return fail(ErrorKind::internal, "raft log on disk: " + what);
}

class SqliteLogStore : public LogStore {
 public:
  Status open(const std::string& path);

  Status initialise(const Identity& identity, const raft::Configuration& first) override;
  Result<std::optional<Loaded>> load() override;
  Status persist(const raft::Persist& batch) override;
  Status save_snapshot(const Snapshot& snapshot) override;
  Status compact(raft::Index through) override;
  std::optional<Error> broken() const override { return broken_; }

 private:
  // Runs `write` in one transaction; any failure latches.
  template <class Write>
  Status transaction(Write write);
  Status write_identity(const Identity& identity);
  Status write_hard_state(const raft::HardState& state, raft::Index last);
  Status write_snapshot(const Snapshot& snapshot);
  Status write_entry(const raft::Entry& entry);
  Result<std::optional<Identity>> load_identity();
  // The hard state, and the highest entry that was durable when it was written.
  Result<std::pair<raft::HardState, raft::Index>> load_hard_state();
  Result<Snapshot> load_snapshot();
  Result<std::vector<raft::Entry>> load_entries();

  Connection connection_;
  Statement begin_, commit_, rollback_, put_hard_state_, put_entry_, cut_, compact_;
  raft::Index last_;  // durable
  std::optional<Error> broken_;
};

// Made by us so that the mode is right from the first byte on.
Status make_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return fail(ErrorKind::internal, path + ": " + std::strerror(errno));
  ::close(file);
  // A file whose name is not durable is a log that may be gone after a power cut.
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const int folder =
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return fail(ErrorKind::internal, parent + ": " + std::strerror(errno));
  const bool synced = ::fsync(folder) == 0;
  const int reason = errno;
  ::close(folder);
  if (!synced) return fail(ErrorKind::internal, parent + ": " + std::strerror(reason));
  return {};
}

Status SqliteLogStore::open(const std::string& path) {
  SKEP_TRY(make_file(path));
  SKEP_TRY_ASSIGN(connection_, Connection::open(path));
  SKEP_TRY(connection_.execute("PRAGMA locking_mode=EXCLUSIVE"));
  SKEP_TRY(connection_.execute("PRAGMA journal_mode=WAL"));
  SKEP_TRY(connection_.execute("PRAGMA synchronous=FULL"));
  SKEP_TRY(connection_.execute("BEGIN IMMEDIATE"));
  SKEP_TRY(connection_.execute(kSchema));
  SKEP_TRY(connection_.execute("COMMIT"));
  SKEP_TRY_ASSIGN(begin_, connection_.prepare("BEGIN IMMEDIATE"));
  SKEP_TRY_ASSIGN(commit_, connection_.prepare("COMMIT"));
  SKEP_TRY_ASSIGN(rollback_, connection_.prepare("ROLLBACK"));
  SKEP_TRY_ASSIGN(put_hard_state_,
                  connection_.prepare("REPLACE INTO hard_state VALUES (1, ?, ?, ?, ?, ?)"));
  // INSERT, not REPLACE: an entry that is there already was not truncated, which is a bug above.
  SKEP_TRY_ASSIGN(put_entry_, connection_.prepare("INSERT INTO entries VALUES (?, ?, ?, ?, ?)"));
  SKEP_TRY_ASSIGN(cut_, connection_.prepare("DELETE FROM entries WHERE idx >= ?"));
  SKEP_TRY_ASSIGN(compact_, connection_.prepare("DELETE FROM entries WHERE idx <= ?"));
  return {};
}

template <class Write>
Status SqliteLogStore::transaction(Write write) {
  if (broken_) return fail(*broken_);
  Status done = begin_.run();
  if (done) done = write();
  if (done) done = commit_.run();
  if (done) return {};
  // For order's sake: the outcome is unknown whatever the rollback says, so nothing is tried again.
  const Status undone = rollback_.run();
  broken_ = done.error().within(undone ? "raft log on disk" : "raft log on disk, not rolled back");
  return fail(*broken_);
}

// --- writing -------------------------------------------------------------------------------

Status SqliteLogStore::initialise(const Identity& identity, const raft::Configuration& first) {
  SKEP_TRY_ASSIGN(const std::optional<Identity> present, load_identity());
  if (present) return fail(ErrorKind::conflict, "this node already has a raft log");
  return transaction([&]() -> Status {
    SKEP_TRY(write_identity(identity));
    SKEP_TRY(write_hard_state({}, {}));
    return write_snapshot({{{}, {}, first}, {}});
  });
}

Status SqliteLogStore::write_identity(const Identity& identity) {
  SKEP_TRY_ASSIGN(Statement put,
                  connection_.prepare("INSERT INTO identity VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)"));
  const std::initializer_list<uint64_t> numbers = {kFormat,
                                                   identity.cluster.bits.high,
                                                   identity.cluster.bits.low,
                                                   identity.node.bits.high,
                                                   identity.node.bits.low,
                                                   identity.member.value,
                                                   identity.incarnation.value};
  int position = 0;
  for (const uint64_t number : numbers) put.bind(++position, number);
  put.bind(++position, checksum(numbers));
  return put.run();
}

Status SqliteLogStore::write_hard_state(const raft::HardState& state, raft::Index last) {
  put_hard_state_.bind(1, state.term.value);
  put_hard_state_.bind(2, state.vote.value);
  put_hard_state_.bind(3, state.commit.value);
  put_hard_state_.bind(4, last.value);
  put_hard_state_.bind(
      5, checksum({state.term.value, state.vote.value, state.commit.value, last.value}));
  return put_hard_state_.run();
}

Status SqliteLogStore::write_entry(const raft::Entry& entry) {
  const auto kind = static_cast<uint64_t>(entry.kind);
  put_entry_.bind(1, entry.index.value);
  put_entry_.bind(2, entry.term.value);
  put_entry_.bind(3, kind);
  put_entry_.bind(4, *entry.bytes);
  put_entry_.bind(5, checksum({entry.index.value, entry.term.value, kind}, {*entry.bytes}));
  return put_entry_.run();
}

Status SqliteLogStore::write_snapshot(const Snapshot& snapshot) {
  const std::string configuration = raft::encode(snapshot.at.configuration);
  SKEP_TRY_ASSIGN(Statement put,
                  connection_.prepare("REPLACE INTO snapshot VALUES (1, ?, ?, ?, ?, ?)"));
  put.bind(1, snapshot.at.index.value);
  put.bind(2, snapshot.at.term.value);
  put.bind(3, configuration);
  put.bind(4, snapshot.state);
  put.bind(5, checksum({snapshot.at.index.value, snapshot.at.term.value},
                       {configuration, snapshot.state}));
  return put.run();
}

Status SqliteLogStore::persist(const raft::Persist& batch) {
  raft::Index last = last_;
  if (batch.truncate_from) last = std::min(last, batch.truncate_from->previous());
  SKEP_TRY(transaction([&]() -> Status {
    if (batch.truncate_from) {
      cut_.bind(1, batch.truncate_from->value);
      SKEP_TRY(cut_.run());
    }
    for (const raft::Entry& entry : batch.entries) {
      if (entry.index != last.next()) {
        return fail(ErrorKind::internal, "entry " + std::to_string(entry.index.value) +
                                             " does not follow entry " +
                                             std::to_string(last.value));
      }
      SKEP_TRY(write_entry(entry));
      last = entry.index;
    }
    return write_hard_state(batch.hard_state, last);
  }));
  last_ = last;
  return {};
}

Status SqliteLogStore::save_snapshot(const Snapshot& snapshot) {
  return transaction([&] { return write_snapshot(snapshot); });
}

Status SqliteLogStore::compact(raft::Index through) {
  return transaction([&] {
    compact_.bind(1, through.value);
    return compact_.run();
  });
}

// --- reading -------------------------------------------------------------------------------

Result<std::optional<Identity>> SqliteLogStore::load_identity() {
  SKEP_TRY_ASSIGN(Statement all, connection_.prepare("SELECT * FROM identity"));
  SKEP_TRY_ASSIGN(const bool row, all.next());
  if (!row) return std::optional<Identity>();
  uint64_t n[8];
  for (int i = 0; i < 8; ++i) n[i] = all.number(i + 1);
  if (n[0] != kFormat) {
    return fail(ErrorKind::unimplemented,
                "raft log on disk: format " + std::to_string(n[0]) + " is not known here");
  }
  if (n[7] != checksum({n[0], n[1], n[2], n[3], n[4], n[5], n[6]})) {
    return corrupt("the identity row fails its checksum");
  }
  return std::optional<Identity>(Identity{{{n[1], n[2]}}, {{n[3], n[4]}}, {n[5]}, {n[6]}});
}

Result<std::pair<raft::HardState, raft::Index>> SqliteLogStore::load_hard_state() {
  SKEP_TRY_ASSIGN(Statement all, connection_.prepare("SELECT * FROM hard_state"));
  SKEP_TRY_ASSIGN(const bool row, all.next());
  if (!row) return corrupt("the hard state row is missing");
  const raft::HardState state{{all.number(1)}, {all.number(2)}, {all.number(3)}};
  const raft::Index last{all.number(4)};
  if (all.number(5) !=
      checksum({state.term.value, state.vote.value, state.commit.value, last.value})) {
    return corrupt("the hard state row fails its checksum");
  }
  return std::pair(state, last);
}

Result<Snapshot> SqliteLogStore::load_snapshot() {
  SKEP_TRY_ASSIGN(Statement all, connection_.prepare("SELECT * FROM snapshot"));
  SKEP_TRY_ASSIGN(const bool row, all.next());
  if (!row) return corrupt("the snapshot row is missing");
  Snapshot snapshot;
  snapshot.at.index = {all.number(1)};
  snapshot.at.term = {all.number(2)};
  snapshot.state = all.bytes(4);
  if (all.number(5) !=
      checksum({snapshot.at.index.value, snapshot.at.term.value}, {all.bytes(3), snapshot.state})) {
    return corrupt("the snapshot at entry " + std::to_string(snapshot.at.index.value) +
                   " fails its checksum");
  }
  SKEP_TRY_ASSIGN(snapshot.at.configuration, raft::decode_first_configuration(all.bytes(3)));
  return snapshot;
}

Result<std::vector<raft::Entry>> SqliteLogStore::load_entries() {
  SKEP_TRY_ASSIGN(Statement all, connection_.prepare("SELECT * FROM entries ORDER BY idx"));
  std::vector<raft::Entry> entries;
  for (;;) {
    SKEP_TRY_ASSIGN(const bool row, all.next());
    if (!row) return entries;
    raft::Entry entry;
    entry.index = {all.number(0)};
    entry.term = {all.number(1)};
    const uint64_t kind = all.number(2);
    const std::string where = "entry " + std::to_string(entry.index.value);
    if (all.number(4) != checksum({entry.index.value, entry.term.value, kind}, {all.bytes(3)})) {
      return corrupt(where + " fails its checksum");
    }
    if (kind > static_cast<uint64_t>(raft::EntryKind::configuration)) {
      return corrupt(where + " is of kind " + std::to_string(kind) + ", which is not known here");
    }
    entry.kind = static_cast<raft::EntryKind>(kind);
    entry.bytes = std::make_shared<const std::string>(all.bytes(3));
    if (!entries.empty() && entry.index != entries.back().index.next()) {
      return corrupt(where + " follows entry " + std::to_string(entries.back().index.value));
    }
    entries.push_back(std::move(entry));
  }
}

Result<std::optional<Loaded>> SqliteLogStore::load() {
  if (broken_) return fail(*broken_);
  SKEP_TRY_ASSIGN(const std::optional<Identity> identity, load_identity());
  if (!identity) return std::optional<Loaded>();
  Loaded loaded;
  loaded.identity = *identity;
  SKEP_TRY_ASSIGN(const auto hard_state, load_hard_state());
  loaded.hard_state = hard_state.first;
  SKEP_TRY_ASSIGN(loaded.snapshot, load_snapshot());
  SKEP_TRY_ASSIGN(loaded.entries, load_entries());
  const raft::Index last =
      loaded.entries.empty() ? loaded.snapshot.at.index : loaded.entries.back().index;
  if (last != hard_state.second) {
    return corrupt("the log ends at entry " + std::to_string(last.value) + " but entry " +
                   std::to_string(hard_state.second.value) + " was the last one made durable");
  }
  last_ = last;
  return std::optional<Loaded>(std::move(loaded));
}

}  // namespace

Result<std::unique_ptr<LogStore>> open_sqlite_log_store(const std::string& path) {
  auto store = std::make_unique<SqliteLogStore>();
  const Status opened = store->open(path);
  if (!opened) return fail(opened.error().within(path));
  return std::unique_ptr<LogStore>(std::move(store));
}

}  // namespace skep::storage
