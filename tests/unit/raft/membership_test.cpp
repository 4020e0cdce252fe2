// Changes of members by the traps they avoid. Above each test stands which guard, taken out, was
// seen to make it fail.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/raft/group.hpp"

namespace skep::raft {
namespace {

Group led_by_one(const Configuration& first, uint64_t members) {
  Group group(first, members);
  REQUIRE(group.elect(1));
  group.run(2 * kHeartbeatTicks);
  return group;
}

std::optional<Error> answer(Group& group, uint64_t id, uint64_t proposal) {
  for (const Dropped& one : group.member(id).dropped) {
    if (one.proposal == ProposalId{proposal}) return one.why;
  }
  return std::nullopt;
}

bool is_answered(Group& group, uint64_t id, uint64_t proposal) {
  for (const Committed& one : group.member(id).committed) {
    if (one.proposal == ProposalId{proposal}) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a joiner learns, catches up and votes; the answer comes when the joint half is left") {
  Group group = led_by_one(voters({1}), 3);
  for (int i = 0; i < 20; ++i) group.propose(1, std::to_string(i));
  group.step(1, ChangeConfiguration{{501}, with_learners(voters({1}), {2, 3})});
  group.run(5);
  CHECK(is_answered(group, 1, 501));
  CHECK(group.member(2).applied.size() == 20);
  CHECK(group.raft(2).configuration() == with_learners(voters({1}), {2, 3}));
  group.step(1, ChangeConfiguration{{502}, voters({1, 2, 3})});
  CHECK(group.raft(1).configuration().is_joint());
  CHECK_FALSE(is_answered(group, 1, 502));
  group.run(5);
  CHECK(is_answered(group, 1, 502));
  for (const uint64_t id : {1, 2, 3}) CHECK(group.raft(id).configuration() == voters({1, 2, 3}));
  group.crash(1);
  CHECK(group.run_until([&] { return group.leader().has_value(); }));
}

// Guard: overwriting gives the old configuration back (ConfigurationHistory::truncate_from).
TEST_CASE("two configurations that look uncommitted go together when overwritten (trap 7)") {
  Group group(voters({1, 2, 3}), 4);
  group.crash(3);
  group.member(3).disk.hard_state.term = {2};
  group.member(3).disk.entries = {
      entry(1, 1, encode(with_learners(voters({1, 2, 3}), {4})), EntryKind::configuration),
      entry(2, 2, encode(voters({3, 4})), EntryKind::configuration)};
  group.restart(3);
  CHECK(group.raft(3).configuration() == voters({3, 4}));
  AppendRequest request{{0}, {0}, {entry(3, 1, "", EntryKind::noop)}, {0}, 1};
  group.step(3, message(1, 3, 3, request));
  CHECK(group.raft(3).configuration() == voters({1, 2, 3}));
}

// Guard: the first two questions of may_change_to.
TEST_CASE("members change after the no-op of the term and one change at a time (trap 10)") {
  Group group(with_learners(voters({1, 2}), {3}), 3);
  group.dropped_by_the_network = [](const Message& m) {
    return is<AppendRequest>(m) && !std::get<AppendRequest>(m.body).entries.empty();
  };
  REQUIRE(group.elect(1));
  group.step(1, ChangeConfiguration{{1}, voters({1, 2})});
  REQUIRE(answer(group, 1, 1).has_value());
  CHECK(answer(group, 1, 1)->kind == ErrorKind::precondition);
  group.dropped_by_the_network = nullptr;
  group.run(4);
  REQUIRE(group.raft(1).leader_is_ready());
  group.dropped_by_the_network = cut_off(2);
  group.step(1, ChangeConfiguration{{2}, voters({1, 2})});
  group.step(1, ChangeConfiguration{{3}, with_learners(voters({1, 2}), {3})});
  CHECK_FALSE(answer(group, 1, 2).has_value());
  REQUIRE(answer(group, 1, 3).has_value());
  CHECK(answer(group, 1, 3)->kind == ErrorKind::precondition);
  group.dropped_by_the_network = nullptr;
  group.run(4);
  CHECK(is_answered(group, 1, 2));
}

// Guards: the questions for a learner and for what it lacks in may_change_to.
TEST_CASE("a new voter is a learner that is heard of and has caught up") {
  Group group = led_by_one(with_learners(voters({1, 2}), {3}), 4);
  const auto refused = [&](uint64_t proposal, const Configuration& wanted) {
    group.step(1, ChangeConfiguration{{proposal}, wanted});
    const std::optional<Error> why = answer(group, 1, proposal);
    REQUIRE(why.has_value());
    return *why;
  };
  CHECK(refused(1, voters({1, 2, 4})).message ==
        "raft member 4 has to be a learner before it can vote");
  CHECK(refused(2, voters({})).kind == ErrorKind::invalid);
  CHECK(refused(3, {{{1}}, {}, {{2}}}).kind == ErrorKind::invalid);
  group.dropped_by_the_network = between(1, 3);
  for (uint64_t i = 0; i <= kCaughtUpEntries; ++i) group.step(1, Propose{{100 + i}, "x"});
  group.settle();
  CHECK(refused(4, voters({1, 2, 3})).kind == ErrorKind::precondition);
  group.run(kElectionTicksMin);
  CHECK(refused(5, voters({1, 2, 3})).message == "raft member 3 is not heard of");
  group.dropped_by_the_network = nullptr;
  group.run(5);
  group.step(1, ChangeConfiguration{{6}, voters({1, 2, 3})});
  group.run(5);
  CHECK(is_answered(group, 1, 6));
}

// Guard: the question for its match in may_change_to. All it lacked was two entries, and so it once
// became a voter the moment it was a learner.
TEST_CASE(
    "a learner that never acknowledged anything does not vote, however short the log (trap 33)") {
  Group group = led_by_one(voters({1}), 2);
  group.dropped_by_the_network = cut_off(2);
  group.step(1, ChangeConfiguration{{1}, with_learners(voters({1}), {2})});
  group.settle();
  group.step(1, ChangeConfiguration{{2}, voters({1, 2})});
  const std::optional<Error> why = answer(group, 1, 2);
  REQUIRE(why.has_value());
  CHECK(why->message == "raft member 2 is not heard of");
  group.dropped_by_the_network = nullptr;
  group.run(5);
  group.step(1, ChangeConfiguration{{3}, voters({1, 2})});
  group.run(5);
  CHECK(is_answered(group, 1, 3));
}

// Guard: Raft::advance_membership. Without it nobody leaves the joint configuration.
TEST_CASE("a joint configuration is left by a leader that did not enter it (trap 13)") {
  Group group = led_by_one(with_learners(voters({1, 2, 3}), {4}), 4);
  group.step(1, ChangeConfiguration{{1}, voters({2, 3, 4})});
  for (const uint64_t id : {1, 2, 3, 4}) group.flush(id);
  // The joint entry reaches everybody, the answers do not reach the leader.
  group.dropped_by_the_network = [](const Message& m) { return m.to == RaftId{1}; };
  group.settle();
  for (const uint64_t id : {2, 3, 4}) CHECK(group.raft(id).configuration().is_joint());
  group.crash(1);
  REQUIRE(group.run_until([&] { return group.leader().has_value(); }));
  group.run(10);
  for (const uint64_t id : {2, 3, 4}) CHECK(group.raft(id).configuration() == voters({2, 3, 4}));
}

// Guard: the first question in advance_handover.
TEST_CASE("a leader that is removed hands over and goes when that is committed (traps 13, 17)") {
  Group group = led_by_one(voters({1, 2, 3}), 3);
  group.step(1, ChangeConfiguration{{1}, voters({2, 3})});
  group.settle();
  CHECK(is_answered(group, 1, 1));
  CHECK(group.raft(1).role() == RoleName::follower);
  group.run(3);  // no election timeout: the lead was handed over
  REQUIRE(group.leader().has_value());
  CHECK(*group.leader() != 1);
  const Term term = group.raft(*group.leader()).term();
  group.run(200);
  CHECK(group.raft(1).role() == RoleName::follower);
  CHECK(group.raft(*group.leader()).term() == term);
}

// Guard: track_members keeps the removed for a while; without that 3 never hears of it.
TEST_CASE("a removed member learns of it and keeps still") {
  Group group = led_by_one(voters({1, 2, 3}), 3);
  group.dropped_by_the_network = cut_off(3);
  group.step(1, ChangeConfiguration{{1}, voters({1, 2})});
  group.run(5);
  CHECK(is_answered(group, 1, 1));
  group.dropped_by_the_network = nullptr;
  group.run(5);
  CHECK(group.raft(3).configuration() == voters({1, 2}));
  group.run(100);
  CHECK(group.raft(3).role() == RoleName::follower);
  CHECK(group.raft(3).leader() == RaftId{});
  CHECK(group.raft(1).progress(group.now()).size() == 2);
}

// Guard: advance_commit counts by the configuration that is in force, which is the last appended.
TEST_CASE("a joint entry is committed by both halves, of which it names one itself (trap 17)") {
  Group group = led_by_one(voters({1, 2, 3}), 3);
  group.dropped_by_the_network = cut_off(3);
  const Index before = group.raft(1).commit();
  group.step(1, ChangeConfiguration{{1}, voters({2, 3})});
  group.run(2);
  CHECK(group.raft(1).progress(group.now())[1].match > before);  // two of the three have it
  CHECK(group.raft(1).commit() == before);
  group.dropped_by_the_network = nullptr;
  group.run(3);
  CHECK(group.raft(1).configuration() == voters({2, 3}));
}

TEST_CASE("neither a leader that was voted out nor a learner counts for a commit (trap 17)") {
  Group group = led_by_one(voters({1, 2, 3}), 3);
  group.step(1, ChangeConfiguration{{1}, with_learners(voters({2, 3}), {1})});
  while (group.raft(1).configuration().is_joint()) {
    REQUIRE_FALSE(group.bag.empty());
    group.deliver(0);
    for (const uint64_t id : {1, 2, 3}) group.flush(id);
  }
  group.dropped_by_the_network = cut_off(3);
  group.bag.clear();
  const Index before = group.raft(1).commit();
  group.propose(1, "x");
  group.run(6);
  CHECK(group.raft(1).progress(group.now())[1].match == group.raft(1).last_index());
  CHECK(group.raft(1).commit() == before);
  group.run(kElectionTicksMin);
  CHECK_FALSE(group.raft(1).is_leader());  // 2 alone is no majority of 2 and 3
}

// A wrong rule for who may campaign shows itself only in some histories, so all small ones are
// tried: every pair of halves of three members, every spread of the joint and of the final entry
// that can come about, every set of survivors with a majority of both halves. Guard: may_campaign
// asks is_voter_since(commit), not the last configuration alone.
TEST_CASE("with a live majority of both halves somebody is elected (trap 16)") {
  const auto half = [](uint64_t bits) {
    std::vector<RaftId> ids;
    for (uint64_t id = 1; id <= 3; ++id) {
      if (bits >> (id - 1) & 1) ids.push_back({id});
    }
    return ids;
  };
  const auto majority = [](uint64_t half, uint64_t set) {
    return 2 * __builtin_popcountll(half & set) > __builtin_popcountll(half);
  };
  size_t histories = 0;
  for (uint64_t out = 1; out < 8; ++out) {
    for (uint64_t in = 1; in < 8; ++in) {
      if (in == out) continue;
      const Configuration first{half(out), half(in & ~out), {}};
      const Entry joint = entry(1, 1, encode({half(in), {}, half(out)}), EntryKind::configuration);
      const Entry final = entry(1, 2, encode({half(in), {}, {}}), EntryKind::configuration);
      for (uint64_t has = 0; has < 27; ++has) {
        const uint64_t lengths[] = {has % 3, has / 3 % 3, has / 9};
        uint64_t has_joint = 0, has_final = 0;
        for (uint64_t i = 0; i < 3; ++i) {
          if (lengths[i] >= 1) has_joint |= 1u << i;
          if (lengths[i] == 2) has_final |= 1u << i;
        }
        // The final entry is made once the joint one is committed; who is in neither half has none.
        const bool committed = majority(in, has_joint) && majority(out, has_joint);
        if ((has_final != 0 && !committed) || (has_joint & ~(in | out)) != 0) continue;
        for (uint64_t alive = 1; alive < 8; ++alive) {
          if (!majority(in, alive) || !majority(out, alive) || (alive & ~(in | out)) != 0) continue;
          ++histories;
          Group group(first, 3, 1 + histories);
          for (uint64_t id = 1; id <= 3; ++id) {
            group.crash(id);
            Restored& disk = group.member(id).disk;
            disk.hard_state.term = {1};
            if (lengths[id - 1] >= 1) disk.entries.push_back(joint);
            if (lengths[id - 1] == 2) disk.entries.push_back(final);
            if (alive >> (id - 1) & 1) group.restart(id);
          }
          INFO("in " << in << " out " << out << " lengths " << has << " alive " << alive);
          const bool led = group.run_until([&] { return group.leader().has_value(); });
          INFO(group.describe());
          REQUIRE(led);
        }
      }
    }
  }
  CHECK(histories > 500);
}

// A learner of its own incarnation comes in, votes, and is restarted as a leader would be: what is
// known of disks must be in the log and not in anybody's memory. Guards: `logged` in Raft::admit;
// disks_for, without which no entry names a disk; and for the third part the first question of
// may_campaign.
TEST_CASE("whose disk a voter has outlives every leader that heard of it (trap 12)") {
  Group group(voters({1}), 3);
  for (const uint64_t id : {1, 2, 3}) {
    group.crash(id);
    group.member(id).incarnation = {40 + id};
    group.restart(id);
  }
  REQUIRE(group.elect(1));
  group.run(5);
  group.step(1, ChangeConfiguration{{1}, with_learners(voters({1}), {2, 3})});
  group.run(5);
  group.step(1, ChangeConfiguration{{2}, voters({1, 2, 3})});
  group.run(5);
  const std::vector<MemberDisk> all{{{1}, {41}}, {{2}, {42}}, {{3}, {43}}};
  for (const uint64_t id : {1, 2, 3}) CHECK(group.raft(id).configuration().disks == all);

  // Everybody forgets what he heard, and another one leads.
  for (const uint64_t id : {1, 2, 3}) group.crash(id);
  const Restored before = group.member(3).disk;
  group.member(3).disk = {};
  group.member(3).incarnation = {99};
  for (const uint64_t id : {2, 3, 1}) group.restart(id);
  REQUIRE(group.elect(2));
  group.run(kElectionTicksMin + 1);
  REQUIRE_FALSE(group.member(2).refused.empty());
  CHECK(group.member(2).refused[0].why.message ==
        "raft member 3 came back with another disk; it has to join anew, under an id of its own");
  CHECK_FALSE(group.raft(2).progress(group.now())[2].active);

  // What the wiped disk was sent may name it a voter; it does not take that for itself.
  group.crash(3);
  group.member(3).disk = before;
  group.restart(3);
  group.dropped_by_the_network = cut_off(3);
  group.run(3 * kElectionTicksMax);
  CHECK(group.raft(3).role() == RoleName::follower);

  // One that goes takes its disk out of the log with it.
  group.dropped_by_the_network = nullptr;
  group.step(2, ChangeConfiguration{{3}, voters({1, 2})});
  group.run(5);
  CHECK(group.raft(1).configuration().disks == std::vector<MemberDisk>{all[0], all[1]});
}

}  // namespace skep::raft
