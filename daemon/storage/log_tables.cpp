// See the header. Format 1 had neither keys nor snapshot files; nobody has such a log any more.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/log_tables.hpp"

#include <zlib.h>

#include <array>
#include <initializer_list>
#include <span>

namespace skep::storage {
namespace {

constexpr uint64_t kFormat = 2;
// One step of a compaction; each is a transaction, and someone may wait for its end.
constexpr uint64_t kSliceRows = 1000;
constexpr uint64_t kSliceBytes = 4 << 20;

constexpr const char* kSchema = R"(
  CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL,
    cluster_high INTEGER NOT NULL, cluster_low INTEGER NOT NULL,
    node_high INTEGER NOT NULL, node_low INTEGER NOT NULL,
    member INTEGER NOT NULL, incarnation INTEGER NOT NULL, generation INTEGER NOT NULL,
    checksum INTEGER NOT NULL, key_check BLOB NOT NULL);
  CREATE TABLE hard_state (
    one INTEGER PRIMARY KEY CHECK (one = 1), term INTEGER NOT NULL, vote INTEGER NOT NULL,
    commit_index INTEGER NOT NULL, last_index INTEGER NOT NULL, checksum INTEGER NOT NULL);
  CREATE TABLE entries (
    idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, kind INTEGER NOT NULL, bytes BLOB NOT NULL);
  CREATE TABLE snapshot (
    one INTEGER PRIMARY KEY CHECK (one = 1), idx INTEGER NOT NULL, term INTEGER NOT NULL,
    file INTEGER NOT NULL, size INTEGER NOT NULL, key INTEGER NOT NULL,
    configuration BLOB NOT NULL, checksum INTEGER NOT NULL);
  PRAGMA user_version = 2;
)";

// CRC-32 of the numbers (8 bytes each, least significant first) and then of the bytes.
uint64_t checksum(std::span<const uint64_t> numbers, std::string_view bytes = {}) {
  uLong crc = crc32_z(0, nullptr, 0);
  for (const uint64_t number : numbers) {
    unsigned char raw[8];
    for (unsigned i = 0; i < 8; ++i) raw[i] = static_cast<unsigned char>(number >> (8 * i));
    crc = crc32_z(crc, raw, sizeof raw);
  }
  // zlib starts anew when it is given a null pointer, which is what an empty view may hold.
  if (bytes.empty()) return crc;
  return crc32_z(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

// The numbers of the identity row, in the order of its columns.
std::array<uint64_t, 8> numbers_of(const Identity& identity) {
  return {kFormat,
          identity.cluster.bits.high,
          identity.cluster.bits.low,
          identity.node.bits.high,
          identity.node.bits.low,
          identity.member.value,
          identity.incarnation.value,
          identity.generation.value};
}

uint64_t checksum(std::initializer_list<uint64_t> numbers, std::string_view bytes = {}) {
  return checksum(std::span(numbers.begin(), numbers.size()), bytes);
}

uint64_t checksum(const SnapshotFile& file, std::string_view configuration) {
  return checksum({file.at.index.value, file.at.term.value, file.id, file.bytes, file.key},
                  configuration);
}

std::string entry_about(raft::Index index, raft::Term term, uint64_t kind) {
  return about(RecordKind::entry, {index.value, term.value, kind});
}

Result<uint64_t> single_number(Connection& connection, std::string_view sql) {
  SKEP_TRY_ASSIGN(Statement statement, connection.prepare(sql));
  SKEP_TRY_ASSIGN(const bool row, statement.next());
  return row ? statement.number(0) : uint64_t{0};
}

Status make_or_check(Connection& connection) {
  SKEP_TRY_ASSIGN(const uint64_t format, single_number(connection, "PRAGMA user_version"));
  if (format == kFormat) return {};
  SKEP_TRY_ASSIGN(const uint64_t tables,
                  single_number(connection, "SELECT count(*) FROM sqlite_schema"));
  if (tables != 0) {
    // Format 1 did not say so.
    return fail(ErrorKind::unimplemented,
                "the raft log is of format " + std::to_string(format == 0 ? 1 : format) +
                    "; this version of skep reads format " + std::to_string(kFormat) + " only");
  }
  SKEP_TRY(connection.execute("BEGIN IMMEDIATE"));
  SKEP_TRY(connection.execute(kSchema));
  return connection.execute("COMMIT");
}

}  // namespace

tl::unexpected<Error> corrupt(const std::string& what) {
  return fail(ErrorKind::internal, "raft log on disk: " + what);
}

Result<LogTables> LogTables::open(const std::string& path, const std::string& vfs) {
  LogTables tables;
  SKEP_TRY_ASSIGN(tables.connection_, Connection::open(path, vfs));
  Connection& connection = tables.connection_;
  SKEP_TRY(connection.execute("PRAGMA locking_mode=EXCLUSIVE"));
  SKEP_TRY(connection.execute("PRAGMA journal_mode=WAL"));
  SKEP_TRY(connection.execute("PRAGMA synchronous=FULL"));
  SKEP_TRY(make_or_check(connection));
  SKEP_TRY(connection.take_over_checkpoints());
  const std::pair<Statement*, std::string_view> statements[] = {
      {&tables.begin_, "BEGIN IMMEDIATE"},
      {&tables.commit_, "COMMIT"},
      {&tables.rollback_, "ROLLBACK"},
      {&tables.put_hard_state_, "REPLACE INTO hard_state VALUES (1, ?, ?, ?, ?, ?)"},
      // Not REPLACE: an entry that is there already was not truncated, which is a bug above.
      {&tables.put_entry_, "INSERT INTO entries VALUES (?, ?, ?, ?)"},
      {&tables.cut_from_, "DELETE FROM entries WHERE idx >= ?"},
      {&tables.cut_through_, "DELETE FROM entries WHERE idx <= ?"},
      {&tables.slice_,
       "SELECT idx, length(bytes) FROM entries WHERE idx BETWEEN ? AND ?"
       " ORDER BY idx LIMIT ?"}};
  for (const auto& [statement, sql] : statements) {
    SKEP_TRY_ASSIGN(*statement, connection.prepare(sql));
  }
  return tables;
}

// --- writing -------------------------------------------------------------------------------

Status LogTables::put_identity(const Identity& identity, std::string_view key_check) {
  SKEP_TRY_ASSIGN(
      Statement put,
      connection_.prepare("INSERT INTO identity VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  const std::array<uint64_t, 8> numbers = numbers_of(identity);
  int position = 0;
  for (const uint64_t number : numbers) put.bind(++position, number);
  put.bind(++position, checksum(numbers));
  put.bind(++position, key_check);
  return put.run();
}

Status LogTables::put_generation(raft::Generation generation) {
  SKEP_TRY_ASSIGN(auto present, identity());
  if (!present) return fail(ErrorKind::internal, "a log without an identity has no generation");
  present->first.generation = generation;
  SKEP_TRY_ASSIGN(Statement put,
                  connection_.prepare("UPDATE identity SET generation = ?, checksum = ?"));
  put.bind(1, generation.value);
  put.bind(2, checksum(numbers_of(present->first)));
  return put.run();
}

Status LogTables::put_key_check(std::string_view key_check) {
  SKEP_TRY_ASSIGN(Statement put, connection_.prepare("UPDATE identity SET key_check = ?"));
  put.bind(1, key_check);
  return put.run();
}

Status LogTables::put_hard_state(const raft::HardState& state, raft::Index last) {
  put_hard_state_.bind(1, state.term.value);
  put_hard_state_.bind(2, state.vote.value);
  put_hard_state_.bind(3, state.commit.value);
  put_hard_state_.bind(4, last.value);
  put_hard_state_.bind(
      5, checksum({state.term.value, state.vote.value, state.commit.value, last.value}));
  return put_hard_state_.run();
}

Status LogTables::put_snapshot(const SnapshotFile& snapshot) {
  const std::string configuration = raft::encode(snapshot.at.configuration);
  SKEP_TRY_ASSIGN(Statement put,
                  connection_.prepare("REPLACE INTO snapshot VALUES (1, ?, ?, ?, ?, ?, ?, ?)"));
  put.bind(1, snapshot.at.index.value);
  put.bind(2, snapshot.at.term.value);
  put.bind(3, snapshot.id);
  put.bind(4, snapshot.bytes);
  put.bind(5, uint64_t{snapshot.key});
  put.bind(6, configuration);
  put.bind(7, checksum(snapshot, configuration));
  return put.run();
}

Status LogTables::put_entry(const raft::Entry& entry, KeyFile& keys) {
  const auto kind = static_cast<uint64_t>(entry.kind);
  SKEP_TRY_ASSIGN(const std::string sealed,
                  keys.seal(entry_about(entry.index, entry.term, kind), *entry.bytes));
  put_entry_.bind(1, entry.index.value);
  put_entry_.bind(2, entry.term.value);
  put_entry_.bind(3, kind);
  put_entry_.bind(4, sealed);
  return put_entry_.run();
}

Status LogTables::cut_from(raft::Index first) {
  cut_from_.bind(1, first.value);
  return cut_from_.run();
}

Status LogTables::cut_through(raft::Index last) {
  cut_through_.bind(1, last.value);
  return cut_through_.run();
}

Status LogTables::cut_all() {
  return connection_.execute("DELETE FROM entries");
}

// --- reading -------------------------------------------------------------------------------

Result<std::optional<std::pair<Identity, std::string>>> LogTables::identity() {
  SKEP_TRY_ASSIGN(Statement all, connection_.prepare("SELECT * FROM identity"));
  SKEP_TRY_ASSIGN(const bool row, all.next());
  if (!row) return std::optional<std::pair<Identity, std::string>>();
  uint64_t n[9];
  for (int i = 0; i < 9; ++i) n[i] = all.number(i + 1);
  if (n[8] != checksum({n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]})) {
    return corrupt("the identity row fails its checksum");
  }
  const Identity identity{{{n[1], n[2]}}, {{n[3], n[4]}}, {n[5]}, {n[6]}, {n[7]}};
  return std::optional(std::pair(identity, std::string(all.bytes(10))));
}

Result<std::pair<raft::HardState, raft::Index>> LogTables::hard_state() {
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

Result<SnapshotFile> LogTables::snapshot() {
  SKEP_TRY_ASSIGN(Statement all, connection_.prepare("SELECT * FROM snapshot"));
  SKEP_TRY_ASSIGN(const bool row, all.next());
  if (!row) return corrupt("the snapshot row is missing");
  SnapshotFile file;
  file.at.index = {all.number(1)};
  file.at.term = {all.number(2)};
  file.id = all.number(3);
  file.bytes = all.number(4);
  file.key = static_cast<uint32_t>(all.number(5));
  if (all.number(7) != checksum(file, all.bytes(6))) {
    return corrupt("the snapshot row fails its checksum");
  }
  // Of nobody until a joiner has the entry that made it a member, however much it applied by then.
  SKEP_TRY_ASSIGN(file.at.configuration, raft::decode_first_configuration(all.bytes(6)));
  return file;
}

Result<std::vector<raft::Entry>> LogTables::entries(KeyFile& keys) {
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
    Result<std::string> bytes =
        keys.unseal(entry_about(entry.index, entry.term, kind), all.bytes(3));
    if (!bytes) return corrupt(where + " " + bytes.error().message);
    if (kind > static_cast<uint64_t>(raft::EntryKind::configuration)) {
      return corrupt(where + " is of kind " + std::to_string(kind) + ", which is not known here");
    }
    entry.kind = static_cast<raft::EntryKind>(kind);
    entry.bytes = std::make_shared<const std::string>(std::move(*bytes));
    if (!entries.empty() && entry.index != entries.back().index.next()) {
      return corrupt(where + " follows entry " + std::to_string(entries.back().index.value));
    }
    entries.push_back(std::move(entry));
  }
}

Result<raft::Index> LogTables::slice(raft::Index first, raft::Index through) {
  slice_.bind(1, first.value);
  slice_.bind(2, through.value);
  slice_.bind(3, kSliceRows);
  raft::Index last = first;
  uint64_t rows = 0;
  uint64_t bytes = 0;
  for (;;) {
    SKEP_TRY_ASSIGN(const bool row, slice_.next());
    // No more rows than these: the rest of the range is empty.
    if (!row) return rows < kSliceRows ? through : last;
    last = {slice_.number(0)};
    ++rows;
    bytes += slice_.number(1);
    if (bytes >= kSliceBytes) break;
  }
  slice_.reset();
  return last;
}

Result<std::optional<uint32_t>> LogTables::oldest_key() {
  SKEP_TRY_ASSIGN(
      Statement first,
      connection_.prepare("SELECT substr(bytes, 1, 4) FROM entries ORDER BY idx LIMIT 1"));
  SKEP_TRY_ASSIGN(const bool row, first.next());
  if (!row) return std::optional<uint32_t>();
  return std::optional(KeyFile::number_of(first.bytes(0)));
}

}  // namespace skep::storage
