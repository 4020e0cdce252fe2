// Replication by the traps it avoids. Above each test stands which guard, taken out, was seen to
// make it fail.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/raft/group.hpp"

namespace skep::raft {
namespace {

AppendRequest append(uint64_t term, uint64_t previous, std::vector<Entry> entries,
                     uint64_t commit = 0) {
  return {{previous}, {previous == 0 ? 0 : term}, std::move(entries), {commit}, 1};
}

// The acknowledgement that lies last in the bag.
AppendReply last_reply(const Group& group, uint64_t from) {
  for (size_t place = group.bag.size(); place-- > 0;) {
    if (of<AppendReply>(from)(group.bag[place]))
      return std::get<AppendReply>(group.bag[place].body);
  }
  FAIL("no acknowledgement is on its way");
  return {};
}

Group led_by_one(uint64_t members = 3) {
  std::vector<uint64_t> ids;
  for (uint64_t id = 1; id <= members; ++id) ids.push_back(id);
  Group group(voters(ids), members);
  REQUIRE(group.elect(1));
  group.run(2 * kHeartbeatTicks);
  return group;
}

}  // namespace

TEST_CASE("what the leader is given is applied everywhere, and answered where it was proposed") {
  Group group = led_by_one();
  const ProposalId id = group.propose(1, "hello");
  group.run(1);
  for (const uint64_t one : {1, 2, 3}) {
    CHECK(group.member(one).applied == std::vector<std::string>{"hello"});
  }
  CHECK(group.member(1).committed.back().proposal == id);
  CHECK_FALSE(group.member(2).committed.back().proposal.has_value());
}

// Guard: a follower answers no news that it can take.
TEST_CASE("news of a commit costs no answer, and is refused by a log that lacks the entry") {
  Group group = led_by_one();
  size_t answers = 0;
  group.dropped_by_the_network = [&](const Message& message) {
    answers += message.from == RaftId{2} && std::holds_alternative<AppendReply>(message.body);
    return false;
  };
  group.propose(1, "hello");
  CHECK(group.raft(2).commit() == group.raft(1).commit());
  CHECK(answers == 1);  // of the entry, none of its commit
  AppendRequest news = append(group.raft(1).term().value, 9, {}, 9);
  news.news = true;
  group.dropped_by_the_network = nullptr;
  group.step(2, message(1, 2, group.raft(1).term().value, news));
  CHECK(last_reply(group, 2).rejected);
}

// Guard: advance_commit counts the own durable index, not the end of the log.
TEST_CASE("the leader's own disk is one of the majority only when it has answered (trap 2)") {
  Group group = led_by_one();
  group.dropped_by_the_network = between(1, 3);
  group.slow_disks = {1};
  group.propose(1, "a");
  CHECK(group.raft(1).commit() == Index{1});  // 2 has it; 1 is still writing
  group.flush(1);
  CHECK(group.raft(1).commit() == Index{2});
}

// The other way round: followers alone may commit what the leader's disk has not got yet.
TEST_CASE("a majority of followers commits, and the leader applies once its disk has it too") {
  Group group = led_by_one();
  group.slow_disks = {1};
  group.propose(1, "a");
  CHECK(group.raft(1).commit() == Index{2});
  CHECK(group.member(1).applied.empty());
  group.flush(1);
  CHECK(group.member(1).applied.size() == 1);
}

// Guard: acknowledge() says no more than log_.durable().
TEST_CASE("an entry is acknowledged when it is on the disk (trap 3)") {
  Group group = led_by_one();
  group.slow_disks = {2};
  group.step(1, Propose{{1}, "a"});
  group.deliver_first([](const Message& m) { return m.to == RaftId{2}; });
  CHECK(group.raft(2).last_index() == Index{2});
  CHECK(group.count(of<AppendReply>(2)) == 0);
  group.flush(2);
  CHECK(last_reply(group, 2).match == Index{2});
}

// Guard: acknowledge() waits for the own term to be durable.
TEST_CASE("a leader of a new term is answered when that term is on the disk (trap 3)") {
  Group group(voters({1, 2, 3}), 3);
  group.step(2, message(1, 2, 4, append(4, 0, {})));
  CHECK(group.count(of<AppendReply>(2)) == 0);
  group.flush(2);
  CHECK(last_reply(group, 2).match == Index{0});
}

// Guard: Log::truncate_from lowers what the batch in flight will count for.
TEST_CASE("a late write of an overwritten entry is not acknowledged for its successor (trap 4)") {
  Group group(voters({1, 2, 3}), 3);
  group.step(2, message(1, 2, 1, append(1, 0, {})));
  group.flush(2);
  group.step(2, message(1, 2, 1, append(1, 0, {entry(1, 1, "old")})));
  REQUIRE(group.member(2).asked.has_value());
  group.step(2, message(3, 2, 2, append(2, 0, {entry(2, 1, "new")}, 1)));
  group.bag.clear();
  group.flush(2);  // "old" is on the disk
  CHECK(group.member(2).applied.empty());
  for (const Message& m : group.bag) {
    if (is<AppendReply>(m)) CHECK(std::get<AppendReply>(m.body).match == Index{0});
  }
  group.flush(2);
  CHECK(last_reply(group, 2).match == Index{1});
  CHECK(*group.member(2).disk.entries.back().bytes == "new");
}

// Guard: `below` in receive(AppendRequest).
TEST_CASE("a request below the snapshot is known to match, and cuts nothing off (trap 5)") {
  Group group = led_by_one();
  for (const char* one : {"a", "b", "c"}) group.propose(1, one);
  group.run(3);
  group.snapshot(2, 0);
  const uint64_t term = group.raft(2).term().value;
  group.bag.clear();
  AppendRequest request = append(term, 0, {entry(term, 1, "", EntryKind::noop)});
  group.step(2, message(1, 2, term, request));
  CHECK_FALSE(last_reply(group, 2).rejected);
  CHECK(last_reply(group, 2).match == Index{4});
  request = append(term, 2, {});
  group.step(2, message(1, 2, term, request));
  CHECK(last_reply(group, 2).match == Index{4});
  CHECK(group.raft(2).last_index() == Index{4});
}

// Guard: contradicts_committed.
TEST_CASE("a leader that contradicts what is committed is refused (trap 5)") {
  Group group = led_by_one();
  group.propose(1, "a");
  group.run(3);
  group.step(2, message(3, 2, 8, append(8, 0, {entry(7, 1), entry(7, 2)})));
  REQUIRE(group.member(2).refused.size() == 1);
  group.step(2, message(3, 2, 8, append(8, 2, {entry(8, 3)})));
  CHECK(group.member(2).refused.size() == 2);
  CHECK(group.raft(2).last_index() == Index{2});
  CHECK(group.raft(2).commit() == Index{2});
}

// Guard: the order of the entries in check_shape. Without it Log::append ends the process.
TEST_CASE("entries that do not follow each other are refused with a sentence (trap 8)") {
  Group group = led_by_one();
  const auto refused = [&](const AppendRequest& request) {
    group.member(2).refused.clear();
    group.step(2, message(1, 2, 1, request));
    return group.member(2).refused.size() == 1 && group.raft(2).last_index() == Index{1};
  };
  CHECK(refused(append(1, 1, {entry(1, 3)})));
  CHECK(refused(append(1, 1, {entry(1, 2), entry(1, 4)})));
  CHECK(refused(append(1, 1, {entry(2, 2)})));
  CHECK(refused(append(1, 1, {entry(1, 2, "none", EntryKind::configuration)})));
  CHECK(refused(append(1, 1, {entry(1, 2, "x", static_cast<EntryKind>(9))})));
  CHECK(refused(append(1, 1, {{{1}, {2}, EntryKind::normal, nullptr}})));
  CHECK(refused(append(1, 1, {entry(1, 2, std::string(kEntryBytesMax + 1, 'x'))})));
  AppendRequest without_round = append(1, 1, {entry(1, 2)});
  without_round.round = 0;
  CHECK(refused(without_round));
  CHECK(refused({{UINT64_MAX}, {1}, {}, {}, 1}));
}

// Guard: the index of the no-op in advance_commit.
TEST_CASE("an entry of an older term does not commit by being counted (trap 9)") {
  Group group(voters({1, 2, 3}), 3);
  for (const uint64_t id : {1, 2, 3}) {
    group.crash(id);
    group.member(id).disk.hard_state.term = {1};
    group.member(id).disk.entries = {entry(1, 1, "old")};
    group.restart(id);
  }
  // Entries of the new term are lost; heartbeats tell the leader that all have the old one.
  group.dropped_by_the_network = [](const Message& m) {
    const AppendRequest* request = std::get_if<AppendRequest>(&m.body);
    return request != nullptr && !request->entries.empty();
  };
  group.run(60);
  uint64_t leader = 0;
  for (const uint64_t id : {1, 2, 3}) {
    if (group.raft(id).is_leader()) leader = id;
  }
  REQUIRE(leader != 0);
  for (const MemberProgress& one : group.raft(leader).progress(group.now())) {
    CHECK(one.match >= Index{1});
  }
  CHECK(group.raft(leader).commit() == Index{0});
  group.dropped_by_the_network = nullptr;
  group.run(3);
  CHECK(group.raft(leader).commit() == Index{2});
}

// Guard: Progress::refused_append tells a loss by the round.
TEST_CASE("a member that has lost what it acknowledged is refused for good (trap 12)") {
  Group group = led_by_one();
  for (const char* one : {"a", "b", "c"}) group.propose(1, one);
  group.run(3);
  group.crash(3);
  group.member(3).disk.entries.resize(1);
  group.member(3).disk.hard_state.commit = {1};
  group.restart(3);
  group.run(5);
  REQUIRE(group.member(1).refused.size() == 1);
  CHECK(group.member(1).refused[0].why.message ==
        "it has lost entries up to 4 that it had acknowledged; it has to join anew, under an id of "
        "its own");
  const auto progress = group.raft(1).progress(group.now());
  CHECK(progress[2].state == ProgressState::refused);
  CHECK_FALSE(progress[2].active);
  group.propose(1, "d");
  CHECK(group.raft(3).last_index() == Index{1});
  CHECK(group.raft(1).commit() == Index{5});
}

// Guard: the incarnation in Raft::admit.
TEST_CASE("a member that comes back with another disk is refused (trap 12)") {
  Group group = led_by_one();
  group.crash(3);
  group.member(3).disk = {};
  group.member(3).disk.snapshot.configuration = voters({1, 2, 3});
  group.member(3).incarnation = {2};
  group.restart(3);
  group.run(5);
  REQUIRE_FALSE(group.member(1).refused.empty());
  CHECK(group.member(1).refused[0].from == RaftId{3});
  CHECK(group.member(1).refused[0].why.message ==
        "raft member 3 came back with another disk; it has to join anew, under an id of its own");
  CHECK(group.raft(1).is_leader());
}

// Guard: take_entries goes no further than the request vouches for.
TEST_CASE("a commit index above the own log moves nothing beyond it (trap 12)") {
  Group group(voters({1, 2, 3}), 3);
  group.step(2, message(1, 2, 1, append(1, 0, {entry(1, 1)}, 50)));
  CHECK(group.raft(2).commit() == Index{1});
  group.flush(2);
  CHECK(group.member(2).applied.size() == 1);
}

// Guard: ask_to_persist goes no further than the batch. After a restart it would look like a loss.
TEST_CASE("a commit index is not written ahead of the entries it covers (trap 32)") {
  Group group(voters({1, 2, 3}), 3);
  const std::string big(kEntryBytesMax, 'x');
  group.step(2, message(1, 2, 1, append(1, 0, {entry(1, 1)})));
  std::vector<Entry> entries;
  for (uint64_t i = 2; i <= 8; ++i) entries.push_back(entry(1, i, big));
  group.step(2, message(1, 2, 1, append(1, 1, entries, 8)));
  while (group.member(2).asked) {
    const Persist& asked = *group.member(2).asked;
    CHECK((asked.entries.empty() || asked.hard_state.commit <= asked.entries.back().index));
    group.flush(2);
  }
  CHECK(group.member(2).applied.size() == 8);
}

// Guard: the first question in Progress::refused_append.
TEST_CASE("a late refusal does not push next below what matches (trap 19)") {
  Progress member({10}, {0});
  member.sent({10}, 0);
  AppendReply refusal;
  refusal.rejected = true;
  refusal.previous_index = {10};
  refusal.round = 1;
  CHECK(member.refused_append(refusal, {4}) == Progress::Refusal::backed_off);
  CHECK(member.next() == Index{5});
  member.acknowledged({10}, 3);
  CHECK(member.state() == ProgressState::replicate);
  CHECK(member.refused_append(refusal, {4}) == Progress::Refusal::late);  // doubled
  CHECK(member.next() == Index{11});
  CHECK(member.match() == Index{10});
  refusal.round = 4;  // of a request that was sent when 10 was known to be there
  CHECK(member.refused_append(refusal, {4}) == Progress::Refusal::lost);
}

// Guard: last_not_after in receive(AppendReply), without which it is one entry at a time.
TEST_CASE("logs that part are found where they do by terms, not by entries") {
  Group group(voters({1, 2, 3}), 3);
  const auto give = [&](uint64_t id, uint64_t term, std::vector<Entry> entries) {
    group.crash(id);
    group.member(id).disk.hard_state.term = {term};
    group.member(id).disk.entries = std::move(entries);
    group.restart(id);
  };
  std::vector<Entry> longest;
  std::vector<Entry> other;
  for (uint64_t i = 1; i <= 100; ++i) longest.push_back(entry(i <= 10 ? 1 : 5, i));
  for (uint64_t i = 1; i <= 90; ++i) {
    other.push_back(i <= 10 ? entry(1, i) : entry(3, i, "other"));
  }
  give(1, 5, longest);
  give(2, 5, longest);
  give(3, 5, other);
  size_t refusals = 0;
  group.dropped_by_the_network = [&](const Message& m) {
    const AppendReply* reply = std::get_if<AppendReply>(&m.body);
    if (reply != nullptr && reply->rejected) ++refusals;
    return false;
  };
  REQUIRE(group.elect(1));
  group.run(5);
  CHECK(group.raft(3).last_index() == Index{101});
  CHECK(*group.member(3).disk.entries[50].bytes == "x");
  CHECK(refusals <= 3);
}

// Guard: may_send_entries.
TEST_CASE("what is on its way to one member is bounded in number and in bytes") {
  Group group = led_by_one();
  group.dropped_by_the_network = cut_off(3);
  for (uint64_t i = 0; i < 3 * kInFlightMessagesMax; ++i) {
    group.step(1, Propose{{1000 + i}, "x"});
    group.flush(1);
  }
  CHECK(group.count([](const Message& m) { return m.to == RaftId{2} && is<AppendRequest>(m); }) ==
        kInFlightMessagesMax);
  group.settle();
  CHECK(group.raft(2).last_index() == group.raft(1).last_index());
  group.bag.clear();
  for (uint64_t i = 0; i < 20; ++i) {
    group.step(1, Propose{{5000 + i}, std::string(kEntryBytesMax, 'x')});
  }
  size_t bytes = 0;
  for (const Message& m : group.bag) {
    if (m.to != RaftId{2} || !is<AppendRequest>(m)) continue;
    for (const Entry& one : std::get<AppendRequest>(m.body).entries) bytes += one.bytes->size();
  }
  CHECK(bytes == kInFlightBytesMax);
}

TEST_CASE("an append message is bounded, and what is lost is sent again") {
  Group group = led_by_one();
  group.dropped_by_the_network = cut_off(3);
  for (uint64_t i = 0; i < 2 * kAppendEntriesMax; ++i) group.step(1, Propose{{100 + i}, "x"});
  group.settle();
  group.dropped_by_the_network = [&](const Message& m) {
    const AppendRequest* request = std::get_if<AppendRequest>(&m.body);
    if (request != nullptr) CHECK(request->entries.size() <= kAppendEntriesMax);
    return false;
  };
  group.run(10);
  CHECK(group.raft(3).commit() == group.raft(1).commit());
  CHECK(group.member(3).applied.size() == 2 * kAppendEntriesMax);
}

// Guard: abandon_waiting.
TEST_CASE("a proposal whose entry was overtaken by a snapshot is answered, once (trap 21)") {
  Group group = led_by_one();
  group.dropped_by_the_network = cut_off(1);
  group.step(1, Propose{{77}, "lost"});
  REQUIRE(group.run_until([&] { return group.leader().value_or(1) != 1; }));
  const uint64_t next = *group.leader();
  for (int i = 0; i < 20; ++i) group.propose(next, "kept");
  group.snapshot(next, 0);
  group.dropped_by_the_network = nullptr;
  group.run(20);
  CHECK(group.raft(1).commit() == group.raft(next).commit());
  CHECK(group.member(1).applied == group.member(next).applied);
  CHECK(group.member(1).loaded.size() == 1);
  REQUIRE(group.member(1).dropped.size() == 1);
  CHECK(group.member(1).dropped[0].proposal == ProposalId{77});
  CHECK(group.member(1).dropped[0].why.kind == ErrorKind::unknown_outcome);
}

}  // namespace skep::raft
