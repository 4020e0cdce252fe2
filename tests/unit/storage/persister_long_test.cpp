// Long work on the storage thread: in slices, beside the persists, and given up at the end.
// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/executor_work_guard.hpp>
#include <future>

#include "daemon/storage/persister.hpp"
#include "tests/unit/storage/store_bench.hpp"

namespace skep::storage::testing {
namespace {

class Loop {
 public:
  boost::asio::io_context& context() { return context_; }
  template <class Condition>
  void run_until(Condition condition) {
    while (!condition()) REQUIRE(context_.run_one_for(std::chrono::seconds(30)) == 1);
  }

 private:
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
      context_.get_executor()};
};

std::unique_ptr<LogStore> loaded_on(FaultyDisk& disk, RoomLimits room = {0, 0}) {
  std::unique_ptr<LogStore> store = opened_on(disk, room);
  REQUIRE(store->load());
  return store;
}

raft::Persist next_entry(uint64_t index) {
  return batch({{2}, {1}, {1}}, {entry(2, index, "x")});
}

}  // namespace

TEST_CASE("a persist does not wait for a snapshot that is being made") {
  FaultyDisk disk(1);
  fill(disk);
  Loop loop;
  Persister persister(loop.context(), loaded_on(disk));
  std::promise<void> go_on;
  std::optional<Status> saved;
  persister.save_snapshot(
      {{3}, {2}, kAlone},
      [&](const Persister::SnapshotSink& sink) -> Status {
        SKEP_TRY(sink(std::string(1 << 20, 'a')));
        go_on.get_future().wait();  // a state that takes long to serialise
        return sink("the end");
      },
      [&](Status status) { saved = status; });
  std::optional<Status> persisted;
  persister.persist(next_entry(4), [&](Status status) { persisted = status; });
  loop.run_until([&] { return persisted.has_value(); });
  CHECK(persisted->has_value());
  CHECK_FALSE(saved);
  go_on.set_value();
  loop.run_until([&] { return saved.has_value(); });
  REQUIRE(saved->has_value());

  std::optional<Result<Snapshot>> snapshot;
  persister.load_snapshot({{3}, {2}, kAlone}, [&](Result<Snapshot> s) { snapshot = std::move(s); });
  loop.run_until([&] { return snapshot.has_value(); });
  REQUIRE(snapshot->has_value());
  CHECK((*snapshot)->state == std::string(1 << 20, 'a') + "the end");
  snapshot.reset();
  persister.load_snapshot({{2}, {2}, kAlone}, [&](Result<Snapshot> s) { snapshot = std::move(s); });
  loop.run_until([&] { return snapshot.has_value(); });
  CHECK(snapshot->error().kind == ErrorKind::conflict);
}

TEST_CASE("a state that can't be written out is no snapshot") {
  FaultyDisk disk(2);
  fill(disk);
  Loop loop;
  Persister persister(loop.context(), loaded_on(disk));
  std::optional<Status> saved;
  persister.save_snapshot(
      {{3}, {2}, kAlone},
      [](const Persister::SnapshotSink& sink) -> Status {
        SKEP_TRY(sink("some of it"));
        return skep::fail(ErrorKind::internal, "no more");
      },
      [&](Status status) { saved = status; });
  loop.run_until([&] { return saved.has_value(); });
  CHECK(saved->error().message == "no more");
  CHECK(reloaded(disk).snapshot.at.index == raft::Index{0});
}

TEST_CASE("a persister that goes finishes persists and gives a snapshot up") {
  FaultyDisk disk(3);
  fill(disk);
  Loop loop;
  std::optional<Status> saved;
  std::optional<Status> persisted;
  {
    Persister persister(loop.context(), loaded_on(disk));
    persister.save_snapshot(
        {{3}, {2}, kAlone},
        [](const Persister::SnapshotSink& sink) -> Status {
          for (;;) SKEP_TRY(sink(std::string(1000, 'x')));  // without an end
        },
        [&](Status status) { saved = status; });
    persister.persist(next_entry(4), [&](Status status) { persisted = status; });
  }
  loop.run_until([&] { return saved && persisted; });
  CHECK(saved->error().kind == ErrorKind::cancelled);
  CHECK(persisted->has_value());
  const Loaded loaded = reloaded(disk);
  CHECK(loaded.entries.size() == 4);
  CHECK(loaded.snapshot.at.index == raft::Index{0});
  CHECK(snapshot_file(disk).empty());
}

TEST_CASE("chunks go out and come in through the storage thread, and a bad disk answers too") {
  FaultyDisk from(4);
  FaultyDisk to(5);
  fill(from);
  fill(to);
  const raft::SnapshotPointer at{{3}, {2}, kAlone};
  const std::string state(700'000, 's');
  {
    const std::unique_ptr<LogStore> store = loaded_on(from);
    REQUIRE(save(*store, at, state));
  }
  Loop loop;
  Persister sender(loop.context(), loaded_on(from));
  Persister receiver(loop.context(), loaded_on(to));
  std::optional<raft::ChunkStored> stored = raft::ChunkStored{};
  while (!stored->complete) {
    const uint64_t offset = stored->received;
    stored.reset();
    sender.read_chunk({{2}, at, offset}, [&](raft::ChunkRead chunk, Status why) {
      REQUIRE(why);
      receiver.store_chunk({at, chunk.offset, chunk.bytes, chunk.checksum, chunk.last},
                           [&](raft::ChunkStored answer, Status failure) {
                             REQUIRE(failure);
                             stored = answer;
                           });
    });
    loop.run_until([&] { return stored.has_value(); });
    REQUIRE((stored->complete || stored->received > offset));
  }
  to.fail({FaultyDisk::Operation::name, 1, FaultyDisk::Times::once, ".tmp"});
  std::optional<Status> why;
  receiver.store_chunk(chunk_of({{9}, {2}, kAlone}, state, 0),
                       [&](raft::ChunkStored answer, Status failure) {
                         CHECK(answer.received == 0);
                         CHECK(answer.snapshot == raft::Index{9});
                         why = failure;
                       });
  loop.run_until([&] { return why.has_value(); });
  CHECK_FALSE(why->has_value());
}

TEST_CASE("the loop hears when the disk gets short of room, and when it has some again") {
  FaultyDisk disk(6);
  fill(disk);
  disk.set_capacity(8 << 20);
  Loop loop;
  std::vector<bool> told;
  Persister persister(loop.context(), loaded_on(disk, {0, 1 << 20}),
                      [&](const DiskRoom& room) { told.push_back(room.read_only.has_value()); });
  loop.run_until([&] { return told.size() == 1; });
  disk.set_capacity(5 << 20);
  persister.persist(next_entry(4), [](Status) {});
  loop.run_until([&] { return told.size() == 2; });
  disk.set_capacity(8 << 20);
  persister.persist(next_entry(5), [](Status) {});
  loop.run_until([&] { return told.size() == 3; });
  CHECK(told == std::vector<bool>{false, true, false});
}

}  // namespace skep::storage::testing
