// Counting; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/quorum.hpp"

#include <algorithm>

namespace skep::raft {
namespace {

bool half_says_yes(const std::vector<RaftId>& half, const std::function<bool(RaftId)>& says_yes) {
  const auto yes = std::count_if(half.begin(), half.end(), says_yes);
  return static_cast<size_t>(yes) > half.size() / 2;
}

// Requires: half is not empty.
Index half_index(const std::vector<RaftId>& half, const std::map<RaftId, Index>& match) {
  std::vector<Index> indices;
  indices.reserve(half.size());
  for (const RaftId id : half) {
    const auto found = match.find(id);
    indices.push_back(found == match.end() ? Index{} : found->second);
  }
  // Of 5 sorted downwards the third, of 4 the third: that many and one more have it.
  std::sort(indices.begin(), indices.end(), std::greater<>());
  return indices[half.size() / 2];
}

}  // namespace

bool has_majority(const Configuration& configuration, const std::function<bool(RaftId)>& says_yes) {
  if (!half_says_yes(configuration.voters, says_yes)) return false;
  return !configuration.is_joint() || half_says_yes(configuration.outgoing, says_yes);
}

Index majority_index(const Configuration& configuration, const std::map<RaftId, Index>& match) {
  if (configuration.voters.empty()) return {};
  const Index index = half_index(configuration.voters, match);
  if (!configuration.is_joint()) return index;
  return std::min(index, half_index(configuration.outgoing, match));
}

}  // namespace skep::raft
