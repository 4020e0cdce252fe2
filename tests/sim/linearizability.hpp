// Could this have happened one after another? Decides it for the history of one register.
//
// The search of Wing and Gong with Lowe's memo: take any operation that nobody else had finished
// before it began, see whether the register allows its result, go on without it, and step back
// when nothing fits. Pairs (operations taken, register) that failed once are not tried again.
// A write whose outcome is unknown may have happened at any time after it began, or never.
//
// The search is exponential in the number of operations that overlap; it gives up, and says so,
// after a bounded number of tries.
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
  uint64_t written = 0;              // of a write
  Register result;                   // the register that was seen; of a write: just after it
};

enum class Verdict { linearizable, impossible, gave_up };

inline constexpr uint64_t kCheckTriesMax = 2'000'000;

// The register begins as {0, 0}. Reads without an outcome are passed over.
Verdict check(const std::vector<HistoryEntry>& history, uint64_t tries_max = kCheckTriesMax);

}  // namespace skep::sim
