// What the rows and files of a log mean together; see the header.
//
// The order of things is what survives a crash between any two of them: a snapshot's file is whole
// and durable before its row names it, the row is durable before the old file or the entries it
// covers go. The latch is here and not in SQLite: SQLite forgets a failed flush and goes on.
//
// A full disk is the one failure that is tried again, once, when the ballast gave room: the write
// was refused, nothing was flushed, and the transaction was rolled back. A flush is never repeated.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/sqlite_log_store.hpp"

#include <algorithm>

#include "daemon/storage/log_tables.hpp"
#include "daemon/storage/wal_check.hpp"

namespace skep::storage {
namespace {

// 4 KiB each. Larger means fewer and longer stalls, and a longer recovery.
constexpr int kCheckpointPages = 1000;
// The write-ahead log is made this big, which is more than it mostly grows to: a flush of a file
// that does not grow has only its data to write.
constexpr size_t kLogFileBytes = (kCheckpointPages + 24) * size_t{4096 + 24};
// Snapshots that came in whole and wait for their installation. There may be a second one when
// leaders change in that moment; more than that are leftovers.
constexpr size_t kReceivedMax = 2;

class SqliteLogStore final : public LogStore {
 public:
  SqliteLogStore(std::string path, StoreOptions options, FileSystem* files);
  Status open();

  Status initialise(const Identity& identity, const raft::Configuration& first) override;
  Result<std::optional<Loaded>> load() override;
  Status persist(const raft::Persist& batch) override;
  Status persist_anew(raft::Generation generation, const raft::Persist& batch) override;
  Status begin_snapshot(const raft::SnapshotPointer& at) override;
  Status append_snapshot(std::string_view bytes) override;
  Status finish_snapshot() override;
  Result<bool> compact(raft::Index through) override;
  Result<raft::ChunkRead> read_chunk(const raft::ReadChunk& read) override;
  Result<raft::ChunkStored> store_chunk(const raft::StoreChunk& chunk) override;
  Status tidy() override;
  DiskRoom room() const override { return ballast_.room(); }
  bool locked() const override { return keys_ && keys_->locked(); }
  Status unlock(const UnlockKey& key) override;
  Status set_unlock_key(const std::optional<UnlockKey>& key) override;
  bool has_unlock_key(const std::optional<UnlockKey>& key) const override {
    return keys_ && !keys_->locked() && keys_->unlock_key() == key;
  }
  bool holds_old_keys() const override { return keys_ && keys_->holds_old_keys(); }
  std::optional<Error> broken() const override { return broken_; }

 private:
  // Runs `write` in one transaction; a failure latches.
  template <class Write>
  Status transaction(Write write);
  template <class Write>
  Status attempt(Write write);
  Status latch(const Error& error);
  // The same error, after having made room if that is what is missing.
  tl::unexpected<Error> short_of_room(const Error& error);
  template <class More>
  Status persist_with(const raft::Persist& batch, More more);
  Status write_batch(const raft::Persist& batch, raft::Index* last);
  Status write_install(const raft::SnapshotPointer& at);
  void take_in(SnapshotFile file);
  const SnapshotFile* received(const raft::SnapshotPointer& at) const;
  void drop(const SnapshotFile& file);
  Status check_keys(std::string_view key_check);
  Status check_ends(const Loaded& loaded, raft::Index durable) const;
  Result<std::string> read_state();
  Status ready() const;
  void lengthen_log_file();
  void forget_old_keys();
  // From the write-ahead log into the database.
  Status move_log();

  std::string path_;
  std::string folder_;
  std::string snapshots_;
  std::string vfs_;
  std::unique_ptr<FileSystem> own_files_;  // null if it was handed in
  FileSystem& files_;
  Ballast ballast_;
  std::optional<LogTables> tables_;
  std::optional<KeyFile> keys_;             // none: there is no log
  raft::Index first_;                       // of the entries; one above the last if there are none
  raft::Index last_;                        // durable
  SnapshotFile snapshot_;                   // what the row says
  std::optional<SnapshotReader> reader_;    // of snapshot_
  std::unique_ptr<SnapshotWriter> making_;  // here
  std::unique_ptr<SnapshotWriter> incoming_;  // from a leader
  std::vector<SnapshotFile> received_;        // whole, not installed
  bool old_keys_ = false;                     // perhaps there are some to be forgotten
  std::optional<Error> broken_;
};

SqliteLogStore::SqliteLogStore(std::string path, StoreOptions options, FileSystem* files)
    : path_(std::move(path)),
      folder_(folder_of(path_)),
      snapshots_(folder_ + "/snapshots"),
      vfs_(std::move(options.vfs)),
      own_files_(files == nullptr ? machine_files() : nullptr),
      files_(files == nullptr ? *own_files_ : *files),
      ballast_(files_, folder_, options.room) {}

Status SqliteLogStore::open() {
  ballast_.check();
  // What a full disk leaves to a restart. It comes back once there is room.
  if (ballast_.room().read_only) ballast_.give_up();
  SKEP_TRY(files_.make_folder(snapshots_));
  // Made by us so that the mode is right from the first byte on. A file whose name is not durable
  // is a log that may be gone after a power cut.
  SKEP_TRY(files_.touch(path_));
  SKEP_TRY(files_.sync_folder(folder_));
  // The run before may have ended with a flush that failed.
  SKEP_TRY(files_.forget_cached(path_));
  SKEP_TRY(files_.forget_cached(path_ + "-wal"));
  SKEP_TRY(check_write_ahead_log(files_, path_ + "-wal"));
  SKEP_TRY_ASSIGN(tables_, LogTables::open(path_, vfs_));
  // Each run begins with an empty log, so that the next check knows its frames from older ones.
  SKEP_TRY(move_log());
  lengthen_log_file();
  SKEP_TRY_ASSIGN(keys_, KeyFile::open(files_, folder_ + "/raft.key"));
  return {};
}

// With zeros, which SQLite and the check take for the end of the log. After SQLite opened it:
// beside a new database it deletes what it finds, and once a log file of this size was never there.
// That there is no room does not matter: SQLite lets the file grow as it needs.
void SqliteLogStore::lengthen_log_file() {
  if (ballast_.room().read_only) return;
  const Result<std::unique_ptr<File>> file = files_.edit(path_ + "-wal");
  if (!file) return;
  const Result<std::string> present = (*file)->read(0, kLogFileBytes);
  if (!present || present->size() == kLogFileBytes) return;
  Status longer = (*file)->write(present->size(), std::string(kLogFileBytes - present->size(), 0));
  if (longer) longer = (*file)->sync();
  static_cast<void>(longer);
}

// --- transactions --------------------------------------------------------------------------

template <class Write>
Status SqliteLogStore::attempt(Write write) {
  Status done = tables_->begin();
  if (done) done = write();
  if (done) done = tables_->commit();
  if (done) return {};
  // Without a rollback nothing may be tried again, whatever the reason was.
  if (tables_->connection().in_transaction() && !tables_->rollback()) {
    return fail(ErrorKind::internal, done.error().message + ", not rolled back");
  }
  return done;
}

template <class Write>
Status SqliteLogStore::transaction(Write write) {
  if (broken_) return fail(*broken_);
  Status done = attempt(write);
  if (!done && done.error().kind == ErrorKind::exhausted && ballast_.give_up()) {
    done = attempt(write);
  }
  if (!done) return latch(done.error());
  return {};
}

Status SqliteLogStore::latch(const Error& error) {
  broken_ = error.within("raft log on disk");
  return fail(*broken_);
}

tl::unexpected<Error> SqliteLogStore::short_of_room(const Error& error) {
  if (error.kind == ErrorKind::exhausted) ballast_.give_up();
  return fail(error);
}

Status SqliteLogStore::ready() const {
  if (broken_) return fail(*broken_);
  if (!keys_) return fail(ErrorKind::precondition, "there is no raft log yet");
  if (keys_->locked()) {
    return fail(ErrorKind::precondition,
                "the raft log of this manager is locked: unlock it with the swarm's unlock key");
  }
  return {};
}

// --- the log -------------------------------------------------------------------------------

Status SqliteLogStore::initialise(const Identity& identity, const raft::Configuration& first) {
  if (broken_) return fail(*broken_);
  SKEP_TRY_ASSIGN(const auto present, tables_->identity());
  if (present) return fail(ErrorKind::conflict, "this node already has a raft log");
  if (!keys_) {
    SKEP_TRY_ASSIGN(keys_, KeyFile::create(files_, folder_ + "/raft.key"));
  }
  SKEP_TRY(ready());
  SKEP_TRY_ASSIGN(const std::string check, keys_->seal(about(RecordKind::key_check), {}));
  SnapshotFile none;
  none.at.configuration = first;
  SKEP_TRY(transaction([&]() -> Status {
    SKEP_TRY(tables_->put_identity(identity, check));
    SKEP_TRY(tables_->put_hard_state({}, {}));
    return tables_->put_snapshot(none);
  }));
  snapshot_ = none;
  first_ = {1};
  last_ = {0};
  return {};
}

Status SqliteLogStore::persist(const raft::Persist& batch) {
  return persist_with(batch, [] { return Status(); });
}

Status SqliteLogStore::persist_anew(raft::Generation generation, const raft::Persist& batch) {
  return persist_with(batch, [&] { return tables_->put_generation(generation); });
}

template <class More>
Status SqliteLogStore::persist_with(const raft::Persist& batch, More more) {
  SKEP_TRY(ready());
  raft::Index last;
  SKEP_TRY(transaction([&]() -> Status {
    SKEP_TRY(more());
    return write_batch(batch, &last);
  }));
  last_ = last;
  if (batch.install) take_in(*received(*batch.install));
  return {};
}

Status SqliteLogStore::write_batch(const raft::Persist& batch, raft::Index* last) {
  *last = last_;
  if (batch.install) {
    SKEP_TRY(write_install(*batch.install));
    *last = batch.install->index;
  }
  if (batch.truncate_from) {
    if (*batch.truncate_from <= snapshot_.at.index) {
      return fail(ErrorKind::internal, "entry " + std::to_string(batch.truncate_from->value) +
                                           " is in the snapshot and can't be cut");
    }
    SKEP_TRY(tables_->cut_from(*batch.truncate_from));
    *last = std::min(*last, batch.truncate_from->previous());
  }
  for (const raft::Entry& entry : batch.entries) {
    if (entry.index != last->next()) {
      return fail(ErrorKind::internal, "entry " + std::to_string(entry.index.value) +
                                           " does not follow entry " + std::to_string(last->value));
    }
    SKEP_TRY(tables_->put_entry(entry, *keys_));
    *last = entry.index;
  }
  return tables_->put_hard_state(batch.hard_state, *last);
}

Status SqliteLogStore::write_install(const raft::SnapshotPointer& at) {
  const SnapshotFile* file = received(at);
  if (file == nullptr) {
    return fail(ErrorKind::internal,
                "no snapshot up to entry " + std::to_string(at.index.value) + " was received");
  }
  SKEP_TRY(tables_->put_snapshot(*file));
  return tables_->cut_all();
}

// The installed snapshot is durable: what it takes the place of goes.
void SqliteLogStore::take_in(SnapshotFile file) {
  reader_.reset();
  making_.reset();
  drop(snapshot_);
  for (const SnapshotFile& other : received_) {
    if (other.id != file.id) drop(other);
  }
  received_.clear();
  snapshot_ = std::move(file);
  first_ = snapshot_.at.index.next();
  old_keys_ = true;
}

// One that can't be removed is swept at the next start.
void SqliteLogStore::drop(const SnapshotFile& file) {
  if (file.id == 0) return;
  const Status ignored = files_.remove(snapshot_path(snapshots_, file));
  static_cast<void>(ignored);
}

Result<bool> SqliteLogStore::compact(raft::Index through) {
  SKEP_TRY(ready());
  if (through > snapshot_.at.index) {
    return fail(ErrorKind::precondition,
                "entry " + std::to_string(through.value) + " is in no snapshot yet");
  }
  if (first_ > through) return true;
  raft::Index cut;
  SKEP_TRY(transaction([&]() -> Status {
    SKEP_TRY_ASSIGN(cut, tables_->slice(first_, through));
    return tables_->cut_through(cut);
  }));
  first_ = cut.next();
  old_keys_ = true;
  return cut == through;
}

// --- snapshots -----------------------------------------------------------------------------

Status SqliteLogStore::begin_snapshot(const raft::SnapshotPointer& at) {
  SKEP_TRY(ready());
  making_ = std::make_unique<SnapshotWriter>(files_, snapshots_, *keys_, at);
  const Status begun = making_->begin();
  if (begun) return {};
  making_.reset();
  return short_of_room(begun.error());
}

Status SqliteLogStore::append_snapshot(std::string_view bytes) {
  SKEP_TRY(ready());
  if (!making_) {
    return fail(ErrorKind::conflict, "a newer snapshot came in meanwhile");
  }
  const Status appended = making_->append(bytes);
  if (appended) return {};
  making_.reset();
  return short_of_room(appended.error());
}

Status SqliteLogStore::finish_snapshot() {
  SKEP_TRY(append_snapshot({}));
  const Result<SnapshotFile> made = making_->finish();
  making_.reset();
  if (!made) return short_of_room(made.error());
  if (made->at.index < snapshot_.at.index || made->at.index > last_) {
    drop(*made);
    return fail(ErrorKind::conflict, "a snapshot up to entry " +
                                         std::to_string(made->at.index.value) +
                                         " does not fit the log any more");
  }
  SKEP_TRY(transaction([&] { return tables_->put_snapshot(*made); }));
  reader_.reset();
  drop(snapshot_);
  snapshot_ = *made;
  old_keys_ = true;
  return {};
}

Result<raft::ChunkRead> SqliteLogStore::read_chunk(const raft::ReadChunk& read) {
  SKEP_TRY(ready());
  raft::ChunkRead answer;
  answer.to = read.to;
  answer.snapshot = read.at.index;
  answer.offset = read.offset;
  if (read.at != snapshot_.at || read.offset > snapshot_.bytes) return answer;
  if (!reader_) {
    SKEP_TRY_ASSIGN(reader_, SnapshotReader::open(files_, snapshots_, *keys_, snapshot_));
  }
  SKEP_TRY_ASSIGN(std::string bytes, reader_->read(read.offset));
  answer.checksum = chunk_checksum(bytes);
  answer.last = read.offset + bytes.size() == snapshot_.bytes;
  answer.bytes = std::make_shared<const std::string>(std::move(bytes));
  return answer;
}

const SnapshotFile* SqliteLogStore::received(const raft::SnapshotPointer& at) const {
  for (const SnapshotFile& file : received_) {
    if (file.at == at) return &file;
  }
  return nullptr;
}

Result<raft::ChunkStored> SqliteLogStore::store_chunk(const raft::StoreChunk& chunk) {
  SKEP_TRY(ready());
  // The last chunk again: its answer was lost.
  if (const SnapshotFile* whole = received(chunk.at)) {
    return raft::ChunkStored{chunk.at.index, whole->bytes, true};
  }
  if (!incoming_ || incoming_->at() != chunk.at) {
    incoming_ = std::make_unique<SnapshotWriter>(files_, snapshots_, *keys_, chunk.at);
    const Status begun = incoming_->begin();
    if (!begun) {
      incoming_.reset();
      return short_of_room(begun.error());
    }
  }
  raft::ChunkStored answer{chunk.at.index, incoming_->bytes(), false};
  if (chunk.offset != answer.received || !chunk.bytes ||
      chunk.checksum != chunk_checksum(*chunk.bytes)) {
    return answer;
  }
  Status stored = incoming_->append(*chunk.bytes);
  if (stored && chunk.last) {
    Result<SnapshotFile> whole = incoming_->finish();
    if (whole) {
      if (received_.size() == kReceivedMax) {
        drop(received_.front());
        received_.erase(received_.begin());
      }
      received_.push_back(std::move(*whole));
    } else {
      stored = fail(whole.error());
    }
  }
  answer.received = incoming_->bytes();
  answer.complete = chunk.last;
  // What was flushed in vain can't be trusted: it begins anew.
  if (!stored || chunk.last) incoming_.reset();
  if (!stored) return short_of_room(stored.error());
  return answer;
}

// --- keys and room -------------------------------------------------------------------------

Status SqliteLogStore::unlock(const UnlockKey& key) {
  if (!keys_) return fail(ErrorKind::conflict, "the swarm is not locked");
  return keys_->unlock(key);
}

Status SqliteLogStore::set_unlock_key(const std::optional<UnlockKey>& key) {
  SKEP_TRY(ready());
  SKEP_TRY(keys_->change(key));
  SKEP_TRY_ASSIGN(const std::string check, keys_->seal(about(RecordKind::key_check), {}));
  SKEP_TRY(transaction([&] { return tables_->put_key_check(check); }));
  old_keys_ = true;
  return {};
}

// Not being able to is harmless: they are tried again after the next cut.
void SqliteLogStore::forget_old_keys() {
  if (!std::exchange(old_keys_, false)) return;
  uint32_t oldest = keys_->number();
  if (snapshot_.id != 0) oldest = std::min(oldest, snapshot_.key);
  for (const SnapshotFile& file : received_) oldest = std::min(oldest, file.key);
  if (making_) oldest = std::min(oldest, making_->key());
  if (incoming_) oldest = std::min(oldest, incoming_->key());
  // An entry is never sealed with an older key than the one before it.
  const Result<std::optional<uint32_t>> first = tables_->oldest_key();
  if (!first) return;
  if (*first) oldest = std::min(oldest, **first);
  const Status ignored = keys_->forget_before(oldest);
  static_cast<void>(ignored);
}

Status SqliteLogStore::move_log() {
  Status moved = tables_->connection().checkpoint();
  if (!moved && moved.error().kind == ErrorKind::exhausted && ballast_.give_up()) {
    moved = tables_->connection().checkpoint();
  }
  // On a full disk the write-ahead log holds all there is, and grows; nothing is lost.
  if (!moved && moved.error().kind != ErrorKind::exhausted) return latch(moved.error());
  return {};
}

Status SqliteLogStore::tidy() {
  SKEP_TRY(ready());
  if (tables_->connection().log_pages() >= kCheckpointPages) SKEP_TRY(move_log());
  forget_old_keys();
  ballast_.check();
  return {};
}

// --- reading it all ------------------------------------------------------------------------

Result<std::optional<Loaded>> SqliteLogStore::load() {
  if (broken_) return fail(*broken_);
  SKEP_TRY_ASSIGN(const auto identity, tables_->identity());
  if (!identity) return std::optional<Loaded>();
  if (!keys_) return corrupt("raft.key is missing; without it the log can't be read");
  SKEP_TRY(ready());
  SKEP_TRY(check_keys(identity->second));
  Loaded loaded;
  loaded.identity = identity->first;
  SKEP_TRY_ASSIGN(const auto hard_state, tables_->hard_state());
  loaded.hard_state = hard_state.first;
  SKEP_TRY_ASSIGN(snapshot_, tables_->snapshot());
  reader_.reset();
  loaded.snapshot.at = snapshot_.at;
  SKEP_TRY_ASSIGN(loaded.snapshot.state, read_state());
  SKEP_TRY_ASSIGN(loaded.entries, tables_->entries(*keys_));
  SKEP_TRY(check_ends(loaded, hard_state.second));
  last_ = hard_state.second;
  first_ = loaded.entries.empty() ? last_.next() : loaded.entries.front().index;
  making_.reset();
  incoming_.reset();
  received_.clear();
  SKEP_TRY(sweep_snapshots(files_, snapshots_, snapshot_));
  old_keys_ = true;
  return std::optional<Loaded>(std::move(loaded));
}

Status SqliteLogStore::check_keys(std::string_view key_check) {
  const std::string about_check = about(RecordKind::key_check);
  if (!keys_->unseal(about_check, key_check)) {
    return corrupt("raft.key is not the key of this log");
  }
  if (KeyFile::number_of(key_check) == keys_->number()) return {};
  // The keys were changed just before a crash.
  SKEP_TRY_ASSIGN(const std::string check, keys_->seal(about_check, {}));
  return transaction([&] { return tables_->put_key_check(check); });
}

Result<std::string> SqliteLogStore::read_state() {
  std::string state;
  SKEP_TRY_ASSIGN(SnapshotReader reader,
                  SnapshotReader::open(files_, snapshots_, *keys_, snapshot_));
  state.reserve(snapshot_.bytes);
  while (state.size() < snapshot_.bytes) {
    SKEP_TRY_ASSIGN(const std::string part, reader.read(state.size()));
    state += part;
  }
  return state;
}

// Nothing that was ever made durable may be missing: to go on without it would be to take back what
// others rely on.
Status SqliteLogStore::check_ends(const Loaded& loaded, raft::Index durable) const {
  const raft::Index snapshot = loaded.snapshot.at.index;
  const raft::Index last = loaded.entries.empty() ? snapshot : loaded.entries.back().index;
  if (last != durable) {
    return corrupt("the log ends at entry " + std::to_string(last.value) + " but entry " +
                   std::to_string(durable.value) + " was the last one made durable");
  }
  if (!loaded.entries.empty() && loaded.entries.front().index > snapshot.next()) {
    return corrupt("entry " + std::to_string(loaded.entries.front().index.value) +
                   " follows the snapshot up to entry " + std::to_string(snapshot.value));
  }
  if (last < snapshot) {
    return corrupt("the log ends at entry " + std::to_string(last.value) +
                   " but its snapshot goes up to entry " + std::to_string(snapshot.value));
  }
  if (loaded.hard_state.commit > last) {
    return corrupt("entry " + std::to_string(loaded.hard_state.commit.value) +
                   " was committed but the log ends at entry " + std::to_string(last.value));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LogStore>> open_sqlite_log_store(const std::string& path,
                                                        StoreOptions options) {
  FileSystem* files = options.files;
  auto store = std::make_unique<SqliteLogStore>(path, std::move(options), files);
  const Status opened = store->open();
  if (!opened) return fail(opened.error().within(path));
  return std::unique_ptr<LogStore>(std::move(store));
}

}  // namespace skep::storage
