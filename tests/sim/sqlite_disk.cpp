// The seam's calls as the log store's; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sqlite_disk.hpp"

#include <algorithm>

#include "daemon/storage/snapshot_files.hpp"
#include "daemon/storage/sqlite_log_store.hpp"
#include "tests/fakes/storage/faulty_disk.hpp"

namespace skep::sim {
namespace {

using testing::FaultyDisk;

constexpr const char* kPath = "/d/raft.db";
constexpr uint64_t kRoomy = uint64_t{1} << 30;
// About as many as a small batch or snapshot takes.
constexpr uint64_t kOperationsBeforeCutMax = 16;

class SqliteDisk final : public Disk {
 public:
  explicit SqliteDisk(uint64_t seed) : seed_(seed) { wipe(); }
  ~SqliteDisk() override { store_.reset(); }

  Status format(raft::RaftId member, raft::Incarnation incarnation,
                const raft::SnapshotPointer& first) override {
    SKEP_TRY(open());
    const storage::Identity identity{{{1, 1}}, {{0, member.value}}, member, incarnation, {1}};
    return store_->initialise(identity, first.configuration);
  }

  Result<std::optional<Contents>> load() override {
    take_faults();
    auto found = open_and_load();
    const bool troubled = std::exchange(troubled_, false);
    heal();
    // What a sick disk does not give now, it may give later.
    if (!found && troubled) return fail(ErrorKind::unavailable, found.error().message);
    if (!found) return fail(ErrorKind::internal, found.error().message);
    if (!*found) return std::optional<Contents>();
    storage::Loaded& loaded = **found;
    at_ = loaded.snapshot.at;
    state_ = std::move(loaded.snapshot.state);
    return std::optional<Contents>(
        Contents{loaded.identity.member, loaded.identity.incarnation, loaded.restored(), state_});
  }

  Status begin(const raft::Persist& batch) override {
    SKEP_ASSERT(!batch_ && !saving_, "one piece of work at a time");
    batch_ = batch;
    return {};
  }
  Status begin(const SaveSnapshot& snapshot) override {
    SKEP_ASSERT(!batch_ && !saving_, "one piece of work at a time");
    if (snapshot.at.index > at_.index) saving_ = snapshot;
    return {};
  }
  Result<bool> advance() override {
    take_faults();
    const Status done = do_work();
    troubled_ = false;
    heal();
    if (!done) return fail(done.error());
    return true;
  }

  raft::ChunkStored store(const raft::StoreChunk& chunk) override {
    const Result<raft::ChunkStored> stored = store_->store_chunk(chunk);
    return stored ? *stored : raft::ChunkStored{chunk.at.index, 0, false};
  }
  raft::ChunkRead read(const raft::ReadChunk& wanted, size_t bytes_max) override {
    Result<raft::ChunkRead> read = store_->read_chunk(wanted);
    if (!read) return {wanted.to, wanted.at.index, wanted.offset, nullptr, 0, false};
    if (!read->bytes || read->bytes->size() <= bytes_max) return *read;
    read->bytes = std::make_shared<const std::string>(read->bytes->substr(0, bytes_max));
    read->checksum = storage::chunk_checksum(*read->bytes);
    read->last = false;
    return *read;
  }
  const std::string& state() const override { return state_; }

  // In the middle of what was begun, if something was.
  void lose_power(Random& random) override {
    const uint64_t operations = random.below(kOperationsBeforeCutMax);
    if (store_ && (batch_ || saving_)) {
      disk_->cut_power_after(operations);
      // It may yet end well; nobody hears of it.
      const Status unheard = do_work();
      static_cast<void>(unheard);
    }
    batch_.reset();
    saving_.reset();
    disk_->cut_power_after(0);
    store_.reset();
    disk_->restart();
  }
  void wipe() override {
    store_.reset();
    batch_.reset();
    saving_.reset();
    disk_ = std::make_unique<FaultyDisk>(seed_++);
    at_ = {};
    state_.clear();
  }
  bool rot(Random&) override { return false; }
  DeviceFaults& faults() override { return faults_; }

 private:
  Status open() {
    storage::StoreOptions options;
    options.room = {0, 0};
    options.vfs = disk_->vfs();
    options.files = &disk_->files();
    store_.reset();
    SKEP_TRY_ASSIGN(store_, storage::open_sqlite_log_store(kPath, options));
    return {};
  }
  Result<std::optional<storage::Loaded>> open_and_load() {
    SKEP_TRY(open());
    return store_->load();
  }

  Status do_work() {
    if (batch_) {
      const raft::Persist batch = std::move(*batch_);
      batch_.reset();
      SKEP_TRY(store_->persist(batch));
      if (batch.install) SKEP_TRY(read_state(*batch.install));
    }
    if (saving_) {
      const SaveSnapshot saving = std::move(*saving_);
      saving_.reset();
      SKEP_TRY(store_->begin_snapshot(saving.at));
      SKEP_TRY(store_->append_snapshot(saving.state));
      SKEP_TRY(store_->finish_snapshot());
      at_ = saving.at;
      state_ = saving.state;
      const uint64_t kept = std::min(saving.keep_entries, saving.at.index.value);
      for (bool finished = false; !finished;) {
        SKEP_TRY_ASSIGN(finished, store_->compact({saving.at.index.value - kept}));
      }
    }
    return store_->tidy();
  }

  Status read_state(const raft::SnapshotPointer& at) {
    std::string state;
    for (bool last = false; !last;) {
      SKEP_TRY_ASSIGN(const raft::ChunkRead chunk, store_->read_chunk({{}, at, state.size()}));
      if (!chunk.bytes) return fail(ErrorKind::internal, "what was installed can't be read");
      state += *chunk.bytes;
      last = chunk.last;
    }
    at_ = at;
    state_ = std::move(state);
    return {};
  }

  void take_faults() {
    if (faults_.dead) {
      disk_->fail({FaultyDisk::Operation::write, 1, FaultyDisk::Times::for_ever, ""});
      disk_->fail({FaultyDisk::Operation::sync, 1, FaultyDisk::Times::for_ever, ""});
    }
    if (faults_.failing_flushes > 0) {
      faults_.failing_flushes -= 1;
      disk_->fail({FaultyDisk::Operation::sync, 1, FaultyDisk::Times::once, ""});
      troubled_ = true;
    }
    if (faults_.full) disk_->set_capacity(0);
    troubled_ = troubled_ || faults_.dead || faults_.full;
  }
  void heal() {
    disk_->heal();
    disk_->set_capacity(kRoomy);
  }

  uint64_t seed_;
  std::unique_ptr<FaultyDisk> disk_;
  std::unique_ptr<storage::LogStore> store_;  // null: nobody has it open
  std::optional<raft::Persist> batch_;        // begun
  std::optional<SaveSnapshot> saving_;        // begun
  raft::SnapshotPointer at_;
  std::string state_;
  DeviceFaults faults_;
  bool troubled_ = false;
};

}  // namespace

std::unique_ptr<Disk> make_sqlite_disk(uint64_t seed) {
  return std::make_unique<SqliteDisk>(seed);
}

}  // namespace skep::sim
