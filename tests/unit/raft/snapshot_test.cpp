// Snapshots to members that lack the log, by the traps they avoid. Above each test stands which
// guard, taken out, was seen to make it fail.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/raft/group.hpp"

namespace skep::raft {
namespace {

// Member 3 was away while the log was written and let go.
Group with_one_behind() {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.run(2 * kHeartbeatTicks);
  group.dropped_by_the_network = cut_off(3);
  for (int i = 0; i < 60; ++i) group.propose(1, "entry " + std::to_string(i));
  group.run(1);
  group.snapshot(1, 0);
  return group;
}

}  // namespace

TEST_CASE("a member that lacks the log gets a snapshot in chunks, then the log") {
  Group group = with_one_behind();
  size_t chunks = 0;
  group.dropped_by_the_network = [&](const Message& m) {
    if (is<SnapshotChunk>(m)) ++chunks;
    return false;
  };
  group.run(5);
  CHECK(chunks > 5);
  CHECK(group.member(3).loaded.size() == 1);
  CHECK(group.member(3).applied == group.member(1).applied);
  group.propose(1, "more");
  group.run(1);
  CHECK(group.member(3).applied.back() == "more");
  CHECK(group.member(3).loaded.size() == 1);
}

// Guard: SnapshotReply::received becomes the offset in receive(SnapshotReply).
TEST_CASE("a transfer that was cut off goes on where it ended, under another leader too") {
  Group group = with_one_behind();
  size_t chunks = 0;
  group.dropped_by_the_network = [&](const Message& m) {
    return is<SnapshotChunk>(m) && ++chunks > 5;
  };
  group.run(3);
  const size_t arrived = group.member(3).arrived.size();
  CHECK(arrived == 5 * group.chunk_bytes);
  size_t from = SIZE_MAX;
  group.dropped_by_the_network = [&](const Message& m) {
    const SnapshotChunk* chunk = std::get_if<SnapshotChunk>(&m.body);
    if (chunk != nullptr && from == SIZE_MAX) from = chunk->offset;
    return false;
  };
  group.run(kElectionTicksMin + 1);
  CHECK(from == arrived);
  CHECK(group.member(3).applied == group.member(1).applied);
}

// Guard: the retry in drive_transfer.
TEST_CASE("chunks that are lost are sent again") {
  Group group = with_one_behind();
  uint64_t seen = 0;
  group.dropped_by_the_network = [&](const Message& m) {
    const bool part = is<SnapshotChunk>(m) || is<SnapshotReply>(m);
    return part && ++seen % 3 == 0;
  };
  CHECK(group.run_until([&] { return group.member(3).loaded.size() == 1; }));
}

TEST_CASE("a snapshot that is replaced while it is sent begins anew") {
  Group group = with_one_behind();
  size_t chunks = 0;
  group.dropped_by_the_network = [&](const Message& m) {
    return is<SnapshotChunk>(m) && ++chunks > 3;
  };
  group.run(3);
  for (int i = 0; i < 10; ++i) group.propose(1, "later");
  group.snapshot(1, 0);
  group.dropped_by_the_network = nullptr;
  group.run(2 * kElectionTicksMin);
  REQUIRE(group.member(3).loaded.size() == 1);
  CHECK(group.member(3).loaded[0].index == group.raft(1).snapshot_index());
  CHECK(group.member(3).applied == group.member(1).applied);
}

// Guard: complete_batch begins a new history of configurations when a snapshot is installed.
TEST_CASE("a snapshot takes an uncommitted configuration above it away as well (trap 6)") {
  Group group(voters({1, 2, 3}), 4);
  REQUIRE(group.elect(3));
  group.run(2 * kHeartbeatTicks);
  group.dropped_by_the_network = cut_off(3);
  for (int i = 0; i < 50; ++i) group.step(3, Propose{{900}, "lost"});
  group.step(3, ChangeConfiguration{{1}, with_learners(voters({1, 2, 3}), {4})});
  group.flush(3);
  CHECK(group.raft(3).configuration().is_learner({4}));
  REQUIRE(group.run_until([&] { return group.leader().value_or(3) != 3; }));
  const uint64_t leader = *group.leader();
  group.propose(leader, "kept");
  group.run(1);
  group.snapshot(leader, 0);
  CHECK(group.raft(leader).snapshot_index() < group.raft(3).last_index());
  group.dropped_by_the_network = nullptr;
  group.run(2 * kElectionTicksMin);
  REQUIRE(group.member(3).loaded.size() == 1);
  CHECK(group.raft(3).configuration() == voters({1, 2, 3}));
  CHECK(group.raft(3).log().configuration_index() <= group.raft(3).snapshot_index());
  CHECK(group.raft(3).last_index() == group.raft(leader).last_index());
}

// Guard: arrival_is_complete in receive(AppendRequest). Without it Log::append ends the process.
TEST_CASE("nothing is appended while a snapshot takes the log's place (trap 18)") {
  Group group = with_one_behind();
  group.slow_disks = {3};
  group.dropped_by_the_network = nullptr;
  group.run(5);
  REQUIRE(group.member(3).asked.has_value());
  REQUIRE(group.member(3).asked->install.has_value());
  const uint64_t term = group.raft(1).term().value;
  const Index last = group.raft(3).last_index();
  AppendRequest request{
      last, group.raft(3).log().last_term(), {entry(term, last.value + 1)}, {}, 1};
  group.step(3, message(1, 3, term, request));
  CHECK(group.raft(3).last_index() == last);
  group.step(3, TimePassed{});
  group.step(3, message(1, 3, term, TimeoutNow{}));
  CHECK(group.raft(3).role() == RoleName::follower);
  group.slow_disks.clear();
  group.settle();
  group.run(3);
  CHECK(group.member(3).applied == group.member(1).applied);
  CHECK(group.raft(3).last_index() == group.raft(1).last_index());
}

// Guard: holds() in receive(SnapshotChunk).
TEST_CASE("a snapshot that the log has overtaken is not installed (trap 18)") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.run(2 * kHeartbeatTicks);
  for (int i = 0; i < 5; ++i) group.propose(1, "x");
  group.run(2);
  group.snapshot(1, 0);
  const uint64_t term = group.raft(1).term().value;
  const SnapshotPointer at = group.raft(1).log().snapshot();
  const auto bytes = std::make_shared<const std::string>(group.member(1).snapshot);
  group.step(3, message(1, 3, term, SnapshotChunk{at, 0, bytes, 0, true}));
  CHECK(group.count(of<SnapshotReply>(3)) == 1);
  CHECK(group.count(of<AppendReply>(3)) == 1);
  group.settle();
  CHECK(group.member(3).loaded.empty());
  CHECK(group.member(3).arrived.empty());
}

// Guard: send_heartbeat to members in snapshot state.
TEST_CASE("heartbeats go on while a snapshot is on its way, and move no commit beyond it") {
  Group group = with_one_behind();
  group.dropped_by_the_network = [](const Message& m) { return is<SnapshotChunk>(m); };
  group.run(5 * kElectionTicksMax);
  CHECK(group.raft(3).leader() == RaftId{1});
  CHECK(group.raft(3).commit() <= group.raft(3).last_index());
  CHECK(group.raft(1).progress(group.now())[2].state == ProgressState::snapshot);
}

TEST_CASE("chunks that can't be are refused with a sentence") {
  Group group(voters({1, 2, 3}), 3);
  const auto refused = [&](SnapshotChunk chunk) {
    group.member(2).refused.clear();
    group.step(2, message(1, 2, 3, std::move(chunk)));
    return group.member(2).refused.size() == 1;
  };
  const auto bytes = std::make_shared<const std::string>("x");
  CHECK(refused({{{0}, {1}, voters({1})}, 0, bytes, 0, true}));
  CHECK(refused({{{5}, {4}, voters({1})}, 0, bytes, 0, true}));
  CHECK(refused({{{5}, {1}, {{}, {{1}}, {}}}, 0, bytes, 0, true}));
  CHECK(refused({{{5}, {1}, voters({1})}, 0, nullptr, 0, true}));
  const auto big = std::make_shared<const std::string>(kSnapshotChunkBytes + 1, 'x');
  CHECK(refused({{{5}, {1}, voters({1})}, 0, big, 0, true}));
  CHECK(group.raft(2).term() == Term{0});
}

}  // namespace skep::raft
