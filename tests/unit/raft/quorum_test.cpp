// Counting against a model that enumerates every set of members there is.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/quorum.hpp"

#include <catch2/catch.hpp>
#include <random>

namespace skep::raft {
namespace {

constexpr uint64_t kIds = 6;

std::vector<RaftId> members_of(uint64_t bits) {
  std::vector<RaftId> ids;
  for (uint64_t id = 1; id <= kIds; ++id) {
    if (bits >> id & 1) ids.push_back({id});
  }
  return ids;
}

// By the definition: the set holds more than half of the half's members.
bool model_half(const std::vector<RaftId>& half, uint64_t yes) {
  size_t inside = 0;
  for (const RaftId id : half) inside += yes >> id.value & 1;
  return inside * 2 > half.size();
}

bool model_majority(const Configuration& configuration, uint64_t yes) {
  return model_half(configuration.voters, yes) &&
         (configuration.outgoing.empty() || model_half(configuration.outgoing, yes));
}

}  // namespace

// Seen to fail with `>` in half_says_yes made `>=`, and with the outgoing half not asked.
TEST_CASE("a majority is more than half of each half, whoever the members are") {
  for (uint64_t in = 2; in < 2u << kIds; in += 2) {
    for (uint64_t out = 0; out < 2u << kIds; out += 6) {
      const Configuration configuration{members_of(in), {}, members_of(out)};
      for (uint64_t yes = 0; yes < 2u << kIds; yes += 2) {
        const auto says_yes = [&](RaftId id) { return (yes >> id.value & 1) != 0; };
        if (has_majority(configuration, says_yes) != model_majority(configuration, yes)) {
          FAIL("voters " << in << " outgoing " << out << " yes " << yes);
        }
      }
    }
  }
}

// Seen to fail with `half.size() / 2` made `(half.size() - 1) / 2`: half of four is not enough.
TEST_CASE("the committed index is the highest that some majority has, by enumeration") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 3000; ++round) {
    const Configuration configuration{members_of(2 + 2 * (random() % 63)),
                                      {},
                                      members_of(random() % 3 ? random() % 128 & ~1u : 0)};
    std::map<RaftId, Index> match;
    for (uint64_t id = 1; id <= kIds; ++id) {
      if (random() % 8) match[{id}] = {random() % 5};
    }
    Index best;
    for (uint64_t set = 0; set < 2u << kIds; set += 2) {
      if (!model_majority(configuration, set)) continue;
      Index lowest{100};
      for (const RaftId id : configuration.members()) {
        const bool in_set = (set >> id.value & 1) != 0;
        if (in_set) lowest = std::min(lowest, match.contains(id) ? match.at(id) : Index{});
      }
      best = std::max(best, lowest);
    }
    REQUIRE(majority_index(configuration, match) == best);
  }
}

TEST_CASE("nobody has no majority and commits nothing") {
  CHECK_FALSE(has_majority({}, [](RaftId) { return true; }));
  CHECK(majority_index({}, {{{1}, {5}}}) == Index{0});
}

}  // namespace skep::raft
