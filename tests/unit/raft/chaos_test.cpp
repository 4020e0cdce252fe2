// A small group under everything at once: lost, doubled and re-ordered messages, slow disks,
// crashes, snapshots, changes of members. The simulator does this at length; a few seeds of it here
// catch a slip within a second. The checks are the group's own; after the faults stop it has to
// work again.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/unit/raft/group.hpp"

namespace skep::raft {
namespace {

constexpr uint64_t kMembers = 5;

void disturb(Group& group, std::mt19937_64& random) {
  const uint64_t id = 1 + random() % kMembers;
  switch (random() % 100) {
    case 0:
      if (group.up(id)) group.crash(id);
      break;
    case 1:
    case 2:
      if (!group.up(id)) group.restart(id);
      break;
    case 3:
      if (group.up(id)) group.snapshot(id, random() % 5);
      break;
    case 4: {
      Configuration wanted;
      for (uint64_t one = 1; one <= kMembers; ++one) {
        const uint64_t part = random() % 4;
        if (part == 0) wanted.learners.push_back({one});
        if (part > 1) wanted.voters.push_back({one});
      }
      if (group.up(id)) group.step(id, ChangeConfiguration{{random()}, wanted});
      break;
    }
    case 5:
      if (group.up(id)) group.step(id, TransferLeadership{{random() % (kMembers + 1)}});
      break;
    case 6:
      if (group.up(id)) group.step(id, ReadRequest{{random()}});
      break;
    case 7:
      group.dropped_by_the_network = random() % 2 ? cut_off(id) : Group::Filter{};
      break;
    default:
      break;
  }
  if (random() % 10 == 0) group.step(id, Propose{{random()}, std::to_string(random() % 1000)});
  if (random() % 6 == 0) {
    group.time_passes();
    for (uint64_t one = 1; one <= kMembers; ++one) group.tick(one);
  }
  if (random() % 3 == 0) group.flush(id);
  for (int i = 0; i < 3 && !group.bag.empty(); ++i) {
    const size_t place = random() % 4 ? 0 : random() % group.bag.size();
    if (random() % 10 == 0) {
      group.bag.erase(group.bag.begin() + static_cast<std::ptrdiff_t>(place));
    } else {
      group.deliver(place, random() % 10 == 0);
    }
  }
}

}  // namespace

TEST_CASE("whatever happens to a small group, its members agree, and it works again afterwards") {
  const char* wanted = std::getenv("SKEP_CHAOS_SEEDS");
  const uint64_t seeds = wanted == nullptr ? 10 : std::stoull(wanted);
  const char* first = std::getenv("SKEP_CHAOS_FIRST");
  const uint64_t from = first == nullptr ? 1 : std::stoull(first);
  for (uint64_t seed = from; seed < from + seeds; ++seed) {
    INFO("seed " << seed);
    Group group(voters({1, 2, 3}), kMembers, seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 6000; ++i) disturb(group, random);
    group.dropped_by_the_network = nullptr;
    for (uint64_t id = 1; id <= kMembers; ++id) {
      if (!group.up(id)) group.restart(id);
    }
    const bool led = group.run_until([&] { return group.leader().has_value(); });
    INFO(group.describe());
    REQUIRE(led);
    // The lead may be on its way to somebody else.
    bool applied = false;
    for (int attempt = 0; attempt < 10 && !applied; ++attempt) {
      REQUIRE(group.run_until([&] { return group.leader().has_value(); }));
      group.propose(*group.leader(), "last");
      group.run(60);
      applied = true;
      const uint64_t leader = *group.leader();
      for (const RaftId id : group.raft(leader).configuration().members()) {
        const Member& member = group.member(id.value);
        applied = applied && !member.applied.empty() && member.applied.back() == "last" &&
                  member.applied == group.member(leader).applied;
      }
      applied = applied && !group.raft(leader).configuration().is_joint();
    }
    INFO(group.describe());
    REQUIRE(applied);
  }
}

}  // namespace skep::raft
