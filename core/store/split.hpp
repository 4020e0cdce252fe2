// One decision as the transactions that each fit a raft entry.
//
// Nearly always it is one. A bigger one is cut between rows, and every prefix of what comes out is
// a valid state from which a new leader can carry on, should the rest be lost: a spec is never
// parted from the service that refers to it, and a request is answered in no part before the last
// of the rows that it asked for. (What the planner adds, the tasks, may come later: it would add
// them again.)
//
// An answer in the first part would forget half a request; one in the last would refuse a service
// that is there, as "already exists", to the client who made it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/store/draft.hpp"

namespace skep::store {

struct Part {
  Transaction transaction;
  std::string bytes;  // encoded
};

// In the order in which they are to be proposed. A part is larger than `bytes_max` only if one row
// alone (or a service with its spec) is; whether that is refused is the caller's to decide.
std::vector<Part> split(const Draft& draft, model::WallTime time, size_t bytes_max);

}  // namespace skep::store
