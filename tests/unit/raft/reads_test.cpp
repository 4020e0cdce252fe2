// Reads by index, by the traps they avoid. Above each test stands which guard, taken out, was seen
// to make it fail.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/raft/group.hpp"

namespace skep::raft {
namespace {

Group led_by_one() {
  Group group(voters({1, 2, 3}), 3);
  REQUIRE(group.elect(1));
  group.run(2 * kHeartbeatTicks);
  group.bag.clear();
  return group;
}

}  // namespace

TEST_CASE("a read is answered by the leader and by a follower with what was committed before") {
  Group group = led_by_one();
  group.propose(1, "a");
  for (const uint64_t id : {1, 2}) {
    group.step(id, ReadRequest{{40 + id}});
    CHECK(group.member(id).reads.empty());
    group.settle();
    REQUIRE(group.member(id).reads.size() == 1);
    CHECK(group.member(id).reads[0].read == ReadId{40 + id});
    CHECK(group.member(id).reads[0].index == Index{2});
  }
}

// Guard: Read::after in serve_reads.
TEST_CASE("an answer to an earlier round does not confirm a later read (trap 14)") {
  Group group = led_by_one();
  group.step(1, ReadRequest{{1}});
  group.deliver(0);
  group.deliver(0);  // both followers answer
  REQUIRE(group.count(is<AppendReply>) == 2);
  group.deliver(0);
  REQUIRE(group.member(1).reads.size() == 1);
  group.step(1, ReadRequest{{2}});
  group.deliver(0, true);  // the other answer, to the round of the first read, and once more
  group.deliver(0);
  CHECK(group.member(1).reads.size() == 1);
  group.settle();
  CHECK(group.member(1).reads.size() == 2);
}

// Guard: no round in the answer to an append of an older term (settle_term). Found by the
// simulator.
TEST_CASE("an append of an earlier term of the same leader confirms no read and loses no member") {
  Group group = led_by_one();
  REQUIRE(group.elect(2));
  REQUIRE(group.elect(1));
  group.run(2 * kHeartbeatTicks);
  group.propose(1, "a");
  group.bag.clear();
  group.dropped_by_the_network = [](const Message& m) { return is<AppendRequest>(m); };
  group.step(1, ReadRequest{{1}});
  // The rounds of the term of long ago are as good as those of now: each of them is tried.
  for (uint64_t round = 1; round <= 200; ++round) {
    group.step(2, message(1, 2, 1, AppendRequest{{}, {}, {}, {}, round}));
    group.step(3, message(1, 3, 1, AppendRequest{{}, {}, {}, {}, round}));
  }
  CHECK(group.count(is<AppendReply>) == 400);
  group.settle();
  CHECK(group.member(1).reads.empty());
  CHECK(group.member(1).refused.empty());
  group.dropped_by_the_network = nullptr;
  group.run(2 * kHeartbeatTicks);
  CHECK(group.member(1).reads.size() == 1);
}

// Guard: the question for the no-op in serve_reads.
TEST_CASE("no read is answered before the leader has committed in its term (trap 14)") {
  Group group(voters({1, 2, 3}), 3);
  group.dropped_by_the_network = [](const Message& m) {
    return is<AppendRequest>(m) && !std::get<AppendRequest>(m.body).entries.empty();
  };
  REQUIRE(group.elect(1));
  group.step(1, ReadRequest{{1}});
  group.step(2, message(1, 2, 1, AppendRequest{{}, {}, {}, {}, 1}));
  group.step(2, ReadRequest{{2}});
  group.run(2 * kHeartbeatTicks);
  CHECK(group.member(1).reads.empty());
  CHECK(group.member(2).reads.empty());
  group.dropped_by_the_network = nullptr;
  group.run(2 * kHeartbeatTicks);
  CHECK(group.member(1).reads.size() == 1);
  CHECK(group.member(2).reads.size() == 1);
}

// Guard: the wait for a majority in serve_reads.
TEST_CASE("a leader that was replaced without knowing answers no read") {
  Group group = led_by_one();
  group.dropped_by_the_network = cut_off(1);
  group.step(1, ReadRequest{{1}});
  group.settle();
  CHECK(group.member(1).reads.empty());
  group.run(kElectionTicksMin + 1);
  REQUIRE(group.member(1).reads.size() == 1);
  CHECK_FALSE(group.member(1).reads[0].index.has_value());
}

// Guard: read_round_after in serve_reads.
TEST_CASE("reads that gather share a round") {
  Group group = led_by_one();
  for (uint64_t id = 1; id <= 100; ++id) group.step(1, ReadRequest{{id}});
  CHECK(group.bag.size() == 2);
  size_t sent = 0;
  group.dropped_by_the_network = [&](const Message&) { return ++sent == 0; };
  group.settle();
  CHECK(group.member(1).reads.size() == 100);
  CHECK(sent == 8);  // the first read's round, and one for the 99 others
}

// Guard: asking again in ask_leader.
TEST_CASE("a follower asks again when the request or the answer is lost") {
  Group group = led_by_one();
  int lost = 0;
  group.dropped_by_the_network = [&](const Message& m) {
    return (is<ReadIndexRequest>(m) || is<ReadIndexReply>(m)) && ++lost <= 2;
  };
  for (uint64_t id = 1; id <= 3; ++id) group.step(2, ReadRequest{{id}});
  group.settle();
  CHECK(group.member(2).reads.empty());
  group.run(20);
  REQUIRE(group.member(2).reads.size() == 3);
  CHECK(group.member(2).reads[2].index == Index{1});
}

// Guard: abandon_waiting for a follower's reads.
TEST_CASE("a follower's reads end with its leader") {
  Group group = led_by_one();
  group.dropped_by_the_network = cut_off(1);
  group.step(2, ReadRequest{{1}});
  group.run(kElectionTicksMax + 1);
  REQUIRE(group.member(2).reads.size() == 1);
  CHECK(group.member(2).reads[0].index.error().kind == ErrorKind::unavailable);
}

TEST_CASE("reads that wait are bounded, on the leader and on a follower") {
  Group group = led_by_one();
  for (const uint64_t id : {1, 2}) {
    for (uint64_t read = 0; read < kPendingReadsMax; ++read) group.step(id, ReadRequest{{read}});
    CHECK(group.member(id).reads.empty());
    group.step(id, ReadRequest{{99'999}});
    REQUIRE(group.member(id).reads.size() == 1);
    CHECK(group.member(id).reads[0].index.error().kind == ErrorKind::exhausted);
  }
}

}  // namespace skep::raft
