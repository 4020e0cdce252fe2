// The rules of consensus with one voter, each by the name of the trap it avoids.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/raft.hpp"

#include <catch2/catch.hpp>

namespace skep::raft {
namespace {

const model::ClusterId kCluster{{7, 7}};
const Configuration kAlone{{{1}}, {}};

Options options() {
  return {{1}, kCluster, {1}, std::mt19937_64(42)};
}

Restored fresh() {
  return {{}, {{}, {}, kAlone}, {}};
}

Entry entry(uint64_t term, uint64_t index, EntryKind kind = EntryKind::normal,
            std::string bytes = "x") {
  return {{term}, {index}, kind, std::make_shared<const std::string>(std::move(bytes))};
}

// A leader whose no-op (entry 1, term 1) is committed.
Raft leader() {
  Raft raft = *Raft::start(options(), fresh(), {0});
  Output out = raft.step(TimePassed{}, {0});
  out = raft.step(out.persist->done(), {0});
  out = raft.step(out.persist->done(), {0});
  REQUIRE(raft.leader_is_ready());
  return raft;
}

}  // namespace

TEST_CASE("the own vote counts when it is durable, not when it is asked for (trap 3)") {
  Raft raft = *Raft::start(options(), fresh(), {0});
  const Output asked = raft.step(TimePassed{}, {0});
  REQUIRE(asked.persist.has_value());
  CHECK(asked.persist->hard_state.term == Term{1});
  CHECK(asked.persist->hard_state.vote == RaftId{1});
  CHECK(raft.role() == RoleName::candidate);
  for (uint64_t tick = 1; tick < 100; ++tick) {
    CHECK_FALSE(raft.step(TimePassed{}, {tick}).persist.has_value());
  }
  CHECK(raft.role() == RoleName::candidate);
  CHECK(raft.term() == Term{1});

  raft.step(asked.persist->done(), {100});
  CHECK(raft.role() == RoleName::leader);
}

TEST_CASE("a single voter commits after its own disk, not before (trap 2)") {
  Raft raft = leader();
  Output out = raft.step(Propose{{5}, "hello"}, {1});
  REQUIRE(out.persist.has_value());
  CHECK(out.committed.empty());
  CHECK(raft.step(TimePassed{}, {2}).committed.empty());
  out = raft.step(out.persist->done(), {3});
  REQUIRE(out.committed.size() == 1);
  CHECK(out.committed[0].proposal == ProposalId{5});
  CHECK(*out.committed[0].entry.bytes == "hello");
  CHECK(out.committed[0].entry.index == Index{2});
}

TEST_CASE("a completion that was not asked for, or comes twice, counts for nothing (trap 4)") {
  Raft raft = leader();
  const Output first = raft.step(Propose{{1}, "a"}, {1});
  PersistDone wrong = first.persist->done();
  wrong.epoch = wrong.epoch.next();
  CHECK(raft.step(wrong, {1}).committed.empty());
  CHECK(raft.step(first.persist->done(), {1}).committed.size() == 1);
  const Output second = raft.step(Propose{{2}, "b"}, {1});
  CHECK(raft.step(first.persist->done(), {1}).committed.empty());
  CHECK(raft.commit() == Index{2});
  CHECK(raft.step(second.persist->done(), {1}).committed.size() == 1);
}

TEST_CASE("a term begins with a no-op and older entries commit under it only (trap 9)") {
  Restored restored = fresh();
  restored.hard_state = {{3}, {1}, {1}};
  restored.entries = {entry(2, 1), entry(3, 2)};
  Raft raft = *Raft::start(options(), restored, {0});
  Output out = raft.step(TimePassed{}, {0});
  REQUIRE(out.committed.size() == 1);  // the stored commit index, nothing beyond
  CHECK(raft.commit() == Index{1});
  out = raft.step(out.persist->done(), {0});
  CHECK(raft.is_leader());
  CHECK(out.committed.empty());  // entry 2 is durable, but of an older term
  CHECK_FALSE(raft.leader_is_ready());
  REQUIRE(out.persist->entries.size() == 1);
  CHECK(out.persist->entries[0].kind == EntryKind::noop);
  CHECK(out.persist->entries[0].term == Term{4});
  out = raft.step(out.persist->done(), {0});
  CHECK(out.committed.size() == 2);
  CHECK(raft.commit() == Index{3});
}

TEST_CASE("one persist is on its way while the next batch gathers") {
  Raft raft = leader();
  Output first = raft.step(Propose{{1}, "a"}, {1});
  REQUIRE(first.persist.has_value());
  CHECK_FALSE(raft.step(Propose{{2}, "b"}, {1}).persist.has_value());
  CHECK_FALSE(raft.step(Propose{{3}, "c"}, {1}).persist.has_value());
  const Output second = raft.step(first.persist->done(), {1});
  CHECK(second.committed.size() == 1);
  REQUIRE(second.persist.has_value());
  CHECK(second.persist->entries.size() == 2);
  CHECK(second.persist->hard_state.commit == Index{2});
  const Output last = raft.step(second.persist->done(), {1});
  REQUIRE(last.committed.size() == 2);
  CHECK(last.committed[1].proposal == ProposalId{3});
  CHECK_FALSE(last.persist.has_value());  // a commit index alone is not worth a flush
}

TEST_CASE("a failed persist is final: nothing is acknowledged and the role is given up") {
  Raft raft = leader();
  const Output asked = raft.step(Propose{{1}, "a"}, {1});
  raft.step(Propose{{2}, "b"}, {1});
  const Output failed = raft.step(PersistFailed{asked.persist->epoch, "no space left"}, {2});
  REQUIRE(failed.dropped.size() == 2);
  CHECK(failed.dropped[0].why.kind == ErrorKind::unknown_outcome);
  REQUIRE(failed.role_changes.size() == 1);
  CHECK(failed.role_changes[0].role == RoleName::follower);
  CHECK(failed.role_changes[0].reason == "the raft log can't be written: no space left");
  CHECK_FALSE(failed.persist.has_value());

  // A completion that comes all the same is not believed, and nothing is tried again.
  const Output late = raft.step(asked.persist->done(), {3});
  CHECK(late.committed.empty());
  CHECK_FALSE(late.persist.has_value());
  for (uint64_t tick = 3; tick < 200; ++tick) {
    CHECK_FALSE(raft.step(TimePassed{}, {tick}).persist.has_value());
  }
  const Output refused = raft.step(Propose{{3}, "c"}, {200});
  REQUIRE(refused.dropped.size() == 1);
  CHECK(refused.dropped[0].why.kind == ErrorKind::unavailable);
  CHECK_FALSE(raft.step(ReadRequest{{1}}, {200}).reads[0].index.has_value());
  CHECK(raft.broken().has_value());
}

TEST_CASE("a restart takes up hard state, snapshot and log, and hands out each entry once") {
  Restored restored;
  restored.snapshot = {{10}, {2}, kAlone};
  restored.hard_state = {{2}, {1}, {9}};  // behind the snapshot: the snapshot wins
  restored.entries = {entry(2, 9), entry(2, 10), entry(2, 11)};
  Raft raft = *Raft::start(options(), restored, {0});
  CHECK(raft.commit() == Index{10});
  Output out = raft.step(TimePassed{}, {0});
  CHECK(out.committed.empty());
  CHECK(raft.term() == Term{3});
  out = raft.step(out.persist->done(), {0});
  out = raft.step(out.persist->done(), {0});
  REQUIRE(out.committed.size() == 2);
  CHECK(out.committed[0].entry.index == Index{11});
  CHECK_FALSE(out.committed[0].proposal.has_value());
  CHECK(out.committed[1].entry.kind == EntryKind::noop);
}

TEST_CASE("a commit index above the log after a restart is data loss, said as such (trap 32)") {
  Restored restored = fresh();
  restored.hard_state = {{1}, {1}, {3}};
  restored.entries = {entry(1, 1), entry(1, 2)};
  const Result<Raft> raft = Raft::start(options(), restored, {0});
  REQUIRE_FALSE(raft.has_value());
  CHECK(raft.error().kind == ErrorKind::internal);
  CHECK(raft.error().message ==
        "raft log: entries up to 3 were committed but the log ends at 2: the disk lost data");
}

TEST_CASE("a stored term below the log's is data loss") {
  Restored restored = fresh();
  restored.entries = {entry(1, 1)};
  CHECK(Raft::start(options(), restored, {0}).error().kind == ErrorKind::internal);
}

TEST_CASE("a configuration that can't be is not taken up; nobody's is what a joiner has") {
  Restored restored = fresh();
  restored.snapshot.configuration = {{}, {{3}}, {}};
  CHECK(Raft::start(options(), restored, {0}).error().kind == ErrorKind::invalid);
  restored.snapshot.configuration = {};
  CHECK(Raft::start(options(), restored, {0}).has_value());
}

TEST_CASE("a node that is no voter of the group it has on disk never campaigns") {
  for (const Configuration& others : {Configuration{}, Configuration{{{2}}}, {{{2}}, {{1}}, {}}}) {
    Restored restored = fresh();
    restored.snapshot.configuration = others;
    Raft raft = *Raft::start(options(), restored, {0});
    for (uint64_t tick = 0; tick < 200; ++tick) {
      const Output out = raft.step(TimePassed{}, {tick});
      CHECK(out.messages.empty());
      CHECK_FALSE(out.persist.has_value());
    }
    CHECK(raft.role() == RoleName::follower);
  }
}

TEST_CASE("messages of another cluster, generation or address are refused and change nothing") {
  Raft raft = leader();
  Message message{{{9, 9}}, {}, {1}, {2}, {1}, {5}, VoteRequest{}};
  CHECK(raft.step(message, {1}).refused[0].why.kind == ErrorKind::denied);
  message.cluster = kCluster;
  message.to = {3};
  CHECK(raft.step(message, {1}).refused[0].why.kind == ErrorKind::denied);
  message.to = {1};
  message.generation = {4};
  const Output out = raft.step(message, {1});
  REQUIRE(out.refused.size() == 1);
  CHECK(out.refused[0].why.message ==
        "the sender is of generation 4 of this cluster; here it is generation 0");
  CHECK(raft.term() == Term{1});  // a higher term in a refused message changes nothing
}

TEST_CASE("proposals are refused before there is a leader, when too large, and when too many") {
  Raft raft = *Raft::start(options(), fresh(), {0});
  CHECK(raft.step(Propose{{1}, "a"}, {0}).dropped[0].why.kind == ErrorKind::unavailable);
  raft = leader();
  const std::string big(kEntryBytesMax, 'x');
  CHECK(raft.step(Propose{{2}, big + "x"}, {0}).dropped[0].why.kind == ErrorKind::too_large);
  Output first = raft.step(Propose{{3}, big}, {0});
  for (size_t i = 1; i < kUncommittedBytesMax / kEntryBytesMax; ++i) {
    CHECK(raft.step(Propose{{3 + i}, big}, {0}).dropped.empty());
  }
  CHECK(raft.step(Propose{{999}, "x"}, {0}).dropped[0].why.kind == ErrorKind::exhausted);
  raft.step(first.persist->done(), {0});
  CHECK(raft.step(Propose{{1000}, "x"}, {0}).dropped.empty());  // room again
}

TEST_CASE("a read waits for the first commit of the term, then is answered at once") {
  Raft raft = *Raft::start(options(), fresh(), {0});
  CHECK_FALSE(raft.step(ReadRequest{{1}}, {0}).reads[0].index.has_value());
  Output out = raft.step(TimePassed{}, {0});
  out = raft.step(out.persist->done(), {0});
  CHECK(raft.step(ReadRequest{{2}}, {0}).reads.empty());
  out = raft.step(out.persist->done(), {0});
  REQUIRE(out.reads.size() == 1);
  CHECK(out.reads[0].read == ReadId{2});
  CHECK(out.reads[0].index == Index{1});
  CHECK(raft.step(ReadRequest{{3}}, {0}).reads.size() == 1);
}

TEST_CASE("a durable snapshot lets the log before it go, and a late one frees nothing") {
  Raft raft = leader();
  for (uint64_t i = 0; i < 9; ++i) {
    const Output out = raft.step(Propose{{i + 1}, "x"}, {0});
    raft.step(out.persist->done(), {0});
  }
  CHECK(raft.commit() == Index{10});
  const SnapshotPointer at = raft.snapshot_pointer({8});
  CHECK(at.index == Index{8});
  CHECK(at.term == Term{1});
  CHECK(at.configuration == kAlone);
  CHECK(raft.step(SnapshotTaken{{8}, 2}, {0}).compact_through == Index{6});
  CHECK(raft.snapshot_index() == Index{8});
  CHECK_FALSE(raft.step(SnapshotTaken{{7}, 0}, {0}).compact_through.has_value());
  const Output out = raft.step(Propose{{50}, "y"}, {0});
  CHECK(raft.step(out.persist->done(), {0}).committed[0].entry.index == Index{11});
}

}  // namespace skep::raft
