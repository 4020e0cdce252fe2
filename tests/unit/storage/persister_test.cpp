// The storage thread with a real store and the real core: a whole single-voter manager's log.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/persister.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <catch2/catch.hpp>
#include <fstream>

#include "core/raft/raft.hpp"
#include "daemon/storage/sqlite_log_store.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace skep::storage {
namespace {

const raft::Configuration kAlone{{{1}}, {}};
const Identity kIdentity{{{1, 2}}, {{3, 4}}, {1}, {1}, {1}};

// The shell around the core in its smallest form: what the manager does, without the rest.
class Shell {
 public:
  explicit Shell(const std::string& path) {
    std::unique_ptr<LogStore> store = std::move(*open_sqlite_log_store(path));
    Result<std::optional<Loaded>> loaded = store->load();
    REQUIRE(loaded.has_value());
    if (!loaded->has_value()) {
      REQUIRE(store->initialise(kIdentity, kAlone));
      loaded = store->load();
    }
    raft::Options options{kIdentity.member, kIdentity.cluster, kIdentity.incarnation,
                          std::mt19937_64(1)};
    Result<raft::Raft> started = raft::Raft::start(options, (*loaded)->restored(), {0});
    REQUIRE(started.has_value());
    raft_.emplace(std::move(*started));
    persister_.emplace(loop_, std::move(store));
  }

  void step(raft::Input input) { carry_out(raft_->step(std::move(input), {0})); }
  void propose(uint64_t id, std::string bytes) { step(raft::Propose{{id}, std::move(bytes)}); }
  // Runs the loop until `id` was committed here.
  void until_committed(uint64_t id) {
    while (last_committed_ != raft::ProposalId{id}) {
      REQUIRE(loop_.run_one_for(std::chrono::seconds(30)) == 1);
    }
  }
  void until_ready() {
    step(raft::TimePassed{});
    while (!raft_->leader_is_ready()) {
      REQUIRE(loop_.run_one_for(std::chrono::seconds(30)) == 1);
    }
  }
  void snapshot(std::string state) {
    const raft::SnapshotPointer at = raft_->snapshot_pointer(applied_);
    bool saved = false;
    persister_->save_snapshot(
        at, [state](const Persister::SnapshotSink& sink) { return sink(state); },
        [&](Status status) {
          REQUIRE(status);
          saved = true;
          step(raft::SnapshotTaken{at.index, 0});
        });
    while (!saved) REQUIRE(loop_.run_one_for(std::chrono::seconds(30)) == 1);
  }
  const std::vector<std::string>& state() const { return state_; }

 private:
  void carry_out(raft::Output out) {
    if (out.persist) {
      const raft::PersistDone done = out.persist->done();
      persister_->persist(std::move(*out.persist), [this, done](Status status) {
        if (status) {
          step(done);
        } else {
          step(raft::PersistFailed{done.epoch, status.error().message});
        }
      });
    }
    for (const raft::Committed& committed : out.committed) {
      applied_ = committed.entry.index;
      if (committed.entry.kind == raft::EntryKind::normal) state_.push_back(*committed.entry.bytes);
      if (committed.proposal) last_committed_ = *committed.proposal;
    }
    if (out.compact_through) {
      persister_->compact(*out.compact_through, [](Status status) { REQUIRE(status); });
    }
  }

  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
      loop_.get_executor()};
  std::optional<raft::Raft> raft_;
  std::vector<std::string> state_;
  raft::Index applied_;
  raft::ProposalId last_committed_;
  std::optional<Persister> persister_;  // first to go
};

}  // namespace

TEST_CASE("what a single voter committed is there after a restart, and after a snapshot") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  {
    Shell shell(path);
    shell.until_ready();
    for (uint64_t i = 1; i <= 50; ++i) shell.propose(i, "entry " + std::to_string(i));
    shell.until_committed(50);
    CHECK(shell.state().size() == 50);
  }
  {
    Shell shell(path);
    shell.until_ready();
    REQUIRE(shell.state().size() == 50);
    CHECK(shell.state()[49] == "entry 50");
    shell.snapshot("all fifty");
    shell.propose(51, "entry 51");
    shell.until_committed(51);
  }
  {
    const Result<std::optional<Loaded>> loaded = (*open_sqlite_log_store(path))->load();
    REQUIRE(loaded.has_value());
    CHECK((*loaded)->snapshot.state == "all fifty");
    CHECK((*loaded)->entries.size() == 1);
  }
  Shell shell(path);
  shell.until_ready();
  CHECK(shell.state() == std::vector<std::string>{"entry 51"});
}

TEST_CASE("work that was asked for is finished before the persister goes") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("raft.db");
  boost::asio::io_context loop;
  int completions = 0;
  {
    std::unique_ptr<LogStore> store = std::move(*open_sqlite_log_store(path));
    REQUIRE(store->initialise(kIdentity, kAlone));
    Persister persister(loop, std::move(store));
    for (uint64_t i = 1; i <= 20; ++i) {
      raft::Persist batch;
      batch.entries = {{{1}, {i}, raft::EntryKind::normal, std::make_shared<std::string>("x")}};
      persister.persist(batch, [&](Status status) { completions += status.has_value() ? 1 : 0; });
    }
  }
  loop.run();
  CHECK(completions == 20);
  CHECK((*(*open_sqlite_log_store(path))->load())->entries.size() == 20);
}

TEST_CASE("an unlock key that is in force already changes nothing on the disk") {
  const testing::TemporaryFolder folder;
  const UnlockKey key = *UnlockKey::random();
  boost::asio::io_context loop;
  const auto guard = boost::asio::make_work_guard(loop);
  const auto key_file = [&] {
    std::ifstream file(folder.file("raft.key"));
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  {
    std::unique_ptr<LogStore> store = std::move(*open_sqlite_log_store(folder.file("raft.db")));
    REQUIRE(store->initialise(kIdentity, kAlone));
    Persister persister(loop, std::move(store));
    const auto set = [&](std::optional<UnlockKey> wanted) {
      std::optional<Result<bool>> told;
      persister.set_unlock_key(std::move(wanted), [&](Result<bool> old_keys) { told = old_keys; });
      while (!told) REQUIRE(loop.run_one_for(std::chrono::seconds(30)) == 1);
      REQUIRE(*told);
      return **told;
    };
    const std::string unsealed = key_file();
    CHECK_FALSE(set(std::nullopt));
    CHECK(key_file() == unsealed);
    CHECK(set(key));
    CHECK(key_file() != unsealed);
    // Nothing was sealed with the first data key: it goes at the next look around.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (set(key)) REQUIRE(std::chrono::steady_clock::now() < end);
    const std::string sealed = key_file();
    CHECK_FALSE(set(key));
    CHECK(key_file() == sealed);
  }
  const std::unique_ptr<LogStore> store = std::move(*open_sqlite_log_store(folder.file("raft.db")));
  CHECK(store->locked());
  CHECK(store->unlock(key));
}

}  // namespace skep::storage
