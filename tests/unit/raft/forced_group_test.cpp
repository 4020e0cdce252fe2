// A group of one made of what a survivor holds. Above each test stands which guard, taken out, was
// seen to make it fail.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/forced_group.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/raft/group.hpp"

namespace skep::raft {
namespace {

Entry configuration_entry(uint64_t term, uint64_t index, const Configuration& configuration) {
  return entry(term, index, encode(configuration), EntryKind::configuration);
}

// What a disk holds after the batch.
Restored after(Restored disk, const Persist& batch) {
  disk.hard_state = batch.hard_state;
  disk.entries.insert(disk.entries.end(), batch.entries.begin(), batch.entries.end());
  return disk;
}

Options options(uint64_t self, Generation generation) {
  return {{self}, {}, {1}, std::mt19937_64(1), generation};
}

// Every step's outputs until nothing more is to be persisted.
std::vector<std::string> run_alone(Raft& raft) {
  std::vector<std::string> applied;
  Output out = raft.step(TimePassed{}, {0});
  for (;;) {
    for (const Committed& one : out.committed) {
      if (one.entry.kind == EntryKind::normal) applied.push_back(*one.entry.bytes);
    }
    if (!out.persist) return applied;
    out = raft.step(out.persist->done(), {0});
  }
}

}  // namespace

// Guard: the appended configuration names the survivor, whatever the log says of it.
TEST_CASE("force-new-cluster never removes the survivor, and no old member returns (trap 34)") {
  Configuration joint = voters({1, 2});
  joint.outgoing = voters({1, 2, 3}).voters;
  // The log of member 3 goes up to the middle of its own removal.
  Restored held{{{5}, {2}, {1}},
                {{0}, {0}, voters({1, 2, 3})},
                {entry(3, 1, "kept"), entry(5, 2, "not known to be committed"),
                 configuration_entry(5, 3, joint), configuration_entry(5, 4, voters({1, 2}))}};
  const auto batch = force_group_of_one(held, {{3}, {1}}, {"rows"});
  REQUIRE(batch);
  CHECK_FALSE(batch->truncate_from.has_value());
  CHECK_FALSE(batch->install.has_value());
  CHECK(batch->entries.size() == 2);
  CHECK(batch->hard_state.commit == Index{6});

  const Generation generation = next_generation({1}, 77);
  auto raft = Raft::start(options(3, generation), after(held, *batch), {0});
  REQUIRE(raft);
  CHECK(raft->configuration().voters == voters({3}).voters);
  CHECK(raft->configuration().disk_of({3}) == Incarnation{1});
  CHECK(run_alone(*raft) == std::vector<std::string>{"kept", "not known to be committed", "rows"});
  CHECK(raft->is_leader());
  CHECK(raft->term() > Term{5});

  // The old ones, back with any term, with a longer log, or as the leader they were.
  for (const MessageBody& body : {MessageBody(VoteRequest{true, false, {900}, {90}}),
                                  MessageBody(VoteRequest{false, true, {900}, {90}}),
                                  MessageBody(AppendRequest{{4}, {5}, {}, {4}, 1})}) {
    Message old{{}, {1}, {1}, {1}, {3}, {91}, body};
    const Output out = raft->step(old, {1});
    CHECK(out.refused.size() == 1);
    CHECK(out.messages.empty());
  }
  CHECK(raft->is_leader());
}

// Guard: the term is above the stored one as well as above the log's.
TEST_CASE("a forced group begins above every term its survivor has seen") {
  const SnapshotPointer snapshot{{10}, {4}, voters({1, 2, 3})};
  const auto batch = force_group_of_one({{{9}, {1}, {10}}, snapshot, {}}, {{2}, {1}}, {});
  REQUIRE(batch);
  CHECK(batch->hard_state == HardState{{10}, {2}, {11}});
  auto raft = Raft::start(options(2, {1}), after({{}, snapshot, {}}, *batch), {0});
  REQUIRE(raft);
  CHECK(raft->configuration().members() == voters({2}).voters);
  // And once more, of what that made.
  const auto again = force_group_of_one(after({{}, snapshot, {}}, *batch), {{2}, {1}}, {});
  REQUIRE(again);
  CHECK(again->hard_state == HardState{{11}, {2}, {12}});
}

TEST_CASE("nothing is forced of a joiner's empty log, or of one that lost what was committed") {
  const auto empty = force_group_of_one({}, {{4}, {1}}, {});
  REQUIRE_FALSE(empty);
  CHECK(empty.error().kind == ErrorKind::precondition);
  const auto lost =
      force_group_of_one({{{2}, {}, {9}}, {{0}, {0}, voters({1, 2})}, {}}, {{1}, {1}}, {});
  REQUIRE_FALSE(lost);
  CHECK(lost.error().kind == ErrorKind::internal);
}

TEST_CASE("each generation is one higher, and two survivors never make the same one") {
  CHECK(ordinal({1}) == 1);
  CHECK(text({1}) == "1");
  const Generation a = next_generation({1}, 5);
  const Generation b = next_generation({1}, 6);
  CHECK(ordinal(a) == 2);
  CHECK(ordinal(b) == 2);
  CHECK(a != b);
  CHECK(text(a) == "2 (00000005)");
  CHECK(ordinal(next_generation(a, 0)) == 3);
  CHECK(next_generation(a, 0) > a);
}

}  // namespace skep::raft
