// What a majority is: pure functions on a configuration.
//
// In a joint configuration both halves have to agree, each with a majority of its own, so that any
// two quorums of neighbouring configurations share a member. Learners never count, and neither does
// anybody who is in no half: the leader too is counted only where it is listed. A configuration of
// nobody has no majority at all.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>

#include "core/raft/types.hpp"

namespace skep::raft {

// True if a majority of each half says yes. `says_yes` is asked about voters only.
bool has_majority(const Configuration& configuration, const std::function<bool(RaftId)>& says_yes);

// The highest index that a majority of each half has. Who is not in `match` has nothing.
Index majority_index(const Configuration& configuration, const std::map<RaftId, Index>& match);

}  // namespace skep::raft
