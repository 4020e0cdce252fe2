// Elections of several members, by the traps they avoid. Above each test stands which guard, taken
// out, was seen to make it fail.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/raft/group.hpp"

namespace skep::raft {

TEST_CASE("three members find a leader, and one that starts late follows it") {
  Group group(voters({1, 2, 3}), 3);
  group.crash(3);
  REQUIRE(group.run_until([&] { return group.leader().has_value(); }));
  group.restart(3);
  group.run(2);
  CHECK(group.raft(3).leader() == RaftId{*group.leader()});
  CHECK(group.raft(3).commit() == group.raft(*group.leader()).commit());
}

// Guard: advance_election sends a granted vote only when vote_is_durable.
TEST_CASE("a vote is on the disk before anybody hears of it (trap 3)") {
  Group group(voters({1, 2, 3}), 3);
  VoteRequest request;
  group.step(2, message(1, 2, 1, request));
  CHECK(group.count(is<VoteReply>) == 0);
  CHECK(group.raft(2).hard_state().vote == RaftId{1});
  CHECK(group.flush(2));
  REQUIRE(group.count(is<VoteReply>) == 1);
  CHECK(std::get<VoteReply>(group.bag[0].body).granted);
}

// Guard: Candidate::asking waits for the disk in advance_election.
TEST_CASE("a candidate asks when its own vote and its log are durable (trap 3)") {
  Group group(voters({1, 2, 3}), 3);
  group.slow_disks = {1};
  for (int i = 0; i < 25; ++i) {
    group.time_passes();
    group.tick(1);
    group.settle();
  }
  CHECK(group.raft(1).role() == RoleName::candidate);
  CHECK(group.raft(2).term() == Term{0});  // only pre-votes went out
  group.flush(1);
  CHECK(group.count(is<VoteRequest>) == 2);
}

// Guard: the asking for a vote again in ask_for_votes.
TEST_CASE("votes whose replies are lost are asked for again in the same term (trap 20)") {
  Group group(voters({1, 2, 3}), 3);
  int lost = 0;
  group.dropped_by_the_network = [&](const Message& m) {
    const VoteReply* reply = std::get_if<VoteReply>(&m.body);
    return reply != nullptr && !reply->pre_vote && ++lost <= 4;
  };
  REQUIRE(group.elect(1));
  CHECK(lost > 4);
  CHECK(group.raft(1).term() == Term{1});
}

// Guard: hear_leader's assertion that a follower hears one leader in a term.
TEST_CASE("two leaders in one term end the process that sees them (trap 11)") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  AppendRequest request;
  request.round = 1;
  CHECK(asserts([&] { group.step(2, message(3, 2, 1, request)); }));
  CHECK(asserts([&] { group.step(1, message(3, 1, 1, request)); }));
}

// Guard: leader_is_alive in settle_term.
TEST_CASE("one that comes back from behind a cut deposes nobody (trap 13)") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.run(5);
  group.dropped_by_the_network = cut_off(3);
  group.run(100);
  CHECK(group.raft(3).role() == RoleName::candidate);
  CHECK(group.raft(3).term() == Term{1});  // it asks, and moves no term
  group.dropped_by_the_network = nullptr;
  // Its request comes before the leader's next heartbeat.
  group.time_passes();
  for (uint64_t tick = 0; tick < 2 * kHeartbeatTicks; ++tick) {
    group.step(2, message(3, 2, 2, VoteRequest{true, false, {1}, {1}}));
    group.step(2, message(3, 2, 2, VoteRequest{false, false, {1}, {1}}));
  }
  group.run(40);
  CHECK(group.raft(1).is_leader());
  CHECK(group.raft(1).term() == Term{1});
  CHECK(group.raft(3).leader() == RaftId{1});
}

// Guard: the question for a majority in Raft::lead.
TEST_CASE("a leader that hears of no majority steps down and answers whoever waits") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.dropped_by_the_network = cut_off(1);
  group.step(1, Propose{{77}, "lost"});
  group.step(1, ReadRequest{{5}});
  group.run(kElectionTicksMin + 1);
  CHECK_FALSE(group.raft(1).is_leader());
  REQUIRE(group.member(1).dropped.size() == 1);
  CHECK(group.member(1).dropped[0].why.kind == ErrorKind::unknown_outcome);
  REQUIRE(group.member(1).reads.size() == 1);
  CHECK(group.member(1).reads[0].index.error().kind == ErrorKind::unavailable);
}

// With one-way cuts a leader that is heard but hears nobody must not stay. Guard: as above.
TEST_CASE("a leader that is heard and hears nobody is replaced") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.dropped_by_the_network = [](const Message& m) { return m.to == RaftId{1}; };
  REQUIRE(group.run_until([&] { return group.leader().value_or(1) != 1; }));
  CHECK_FALSE(group.raft(1).is_leader());
}

// Guard: receive(VoteRequest) does not ask whether this member may vote.
TEST_CASE("a learner answers a request for its vote: it may be a voter without knowing") {
  Group group(with_learners(voters({1, 2}), {3}), 3);
  group.step(3, message(1, 3, 1, VoteRequest{}));
  group.flush(3);
  REQUIRE(group.count(of<VoteReply>(3)) == 1);
  CHECK(std::get<VoteReply>(group.bag.back().body).granted);
}

// Guards: the question for the log and the one for an earlier vote in receive(VoteRequest).
TEST_CASE("a candidate with an older log is not elected, and one vote is given in a term") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.dropped_by_the_network = cut_off(3);
  group.propose(1, "a");
  group.run(1);
  group.dropped_by_the_network = nullptr;
  group.crash(1);
  CHECK_FALSE(group.elect(3));
  CHECK(group.elect(2));
  group.bag.clear();
  uint64_t term = group.raft(2).term().value + 10;
  group.step(2, message(3, 2, term, VoteRequest{false, true, {1}, {1}}));
  CHECK_FALSE(std::get<VoteReply>(group.bag.back().body).granted);
  CHECK(group.raft(2).hard_state().vote == RaftId{0});
  group.bag.clear();
  term += 10;
  group.time_passes();
  group.step(3, message(1, 3, term, VoteRequest{false, true, {50}, {term - 1}}));
  group.step(3, message(2, 3, term, VoteRequest{false, true, {60}, {term - 1}}));
  group.flush(3);
  REQUIRE(group.count(of<VoteReply>(3)) == 2);
  CHECK(group.raft(3).hard_state().vote == RaftId{1});
}

// Guard: the answer to a leader of an older term in settle_term.
TEST_CASE("a member in a later term does not stay cut off from a leader in an earlier one") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.crash(3);
  group.member(3).disk.hard_state.term = {9};
  group.restart(3);
  REQUIRE(group.run_until(
      [&] { return group.leader() && group.raft(*group.leader()).term() > Term{9}; }));
  group.run(5);
  CHECK(group.raft(3).leader() == RaftId{*group.leader()});
}

// Guard: the question about the disk in Raft::lead; for the second part the one in may_campaign.
TEST_CASE("a leader whose disk hangs gives its role away, and waits for it (trap 29)") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.slow_disks = {1};
  group.propose(1, "x");
  REQUIRE(group.run_until([&] { return group.leader().value_or(1) != 1; }));
  CHECK_FALSE(group.raft(1).is_leader());
  const uint64_t next = *group.leader();
  CHECK(group.member(next).applied == std::vector<std::string>{"x"});  // it went out in time
  group.crash(next);
  group.dropped_by_the_network = cut_off(1);
  group.member(1).roles.clear();
  group.run(100);
  CHECK(group.raft(1).role() == RoleName::follower);
  group.slow_disks.clear();
  group.dropped_by_the_network = nullptr;
  REQUIRE(group.run_until([&] { return group.leader().has_value(); }));
}

TEST_CASE("the only voter keeps its role though its disk hangs") {
  Group group(with_learners(voters({1}), {2}), 2);
  REQUIRE(group.elect(1));
  group.slow_disks = {1};
  group.propose(1, "x");
  group.run(100);
  CHECK(group.raft(1).is_leader());
}

TEST_CASE("the lead is handed to the one that is asked for, once it has everything") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.dropped_by_the_network = between(1, 3);
  group.propose(1, "a");
  group.step(1, TransferLeadership{{3}});
  group.settle();
  CHECK(group.raft(1).transferring());
  group.step(1, Propose{{99}, "no"});
  REQUIRE(group.member(1).dropped.size() == 1);
  CHECK(group.member(1).dropped[0].why.kind == ErrorKind::unavailable);
  group.dropped_by_the_network = nullptr;
  group.run(5);
  CHECK(group.raft(3).is_leader());
  CHECK(group.raft(3).term() == Term{2});
}

// Guard: the end of a hand-over in Raft::lead.
TEST_CASE("a hand-over that nobody takes up is given up after an election timeout") {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.crash(3);
  group.step(1, TransferLeadership{{3}});
  group.run(kElectionTicksMin - 1);
  CHECK(group.raft(1).transferring());
  group.run(1);
  CHECK_FALSE(group.raft(1).transferring());
  group.propose(1, "again");
  group.run(2);
  CHECK(group.member(2).applied.back() == "again");
  group.step(1, TransferLeadership{});  // to whom it likes
  group.settle();
  CHECK(group.raft(2).is_leader());
}

}  // namespace skep::raft
