// Could this have happened one after another? Decides it for the history of one register.
//
// In general that takes a search which is exponential in what overlaps, and one that gives up has
// not passed. But each register counts its writes, and each outcome tells the count: so it is known
// at which place in the order an operation stands, and only two things are left to see. Nobody may
// have finished before somebody at an earlier place began; and places whose write told nobody its
// outcome are filled with writes that have none, each of which may have happened at any time after
// it began, or never. For the latter the earliest are taken first: a place further on accepts
// whatever one before it does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/state_machine.hpp"

namespace skep::sim {

struct HistoryEntry {
  bool is_write = false;
  uint64_t called = 0;               // any clock on which no two moments of a history are equal
  std::optional<uint64_t> returned;  // nullopt: the outcome is not known
  uint64_t written = 0;              // of a write: another value than any other's, and not zero
  Register result;                   // the register that was seen; of a write: just after it
};

enum class Verdict { linearizable, impossible };

// The register begins as {0, 0}. Reads without an outcome are passed over.
Verdict check(const std::vector<HistoryEntry>& history);

}  // namespace skep::sim
