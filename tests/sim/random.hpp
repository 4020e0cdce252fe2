// Where all chance of a run comes from: one generator, and bounded draws of our own.
//
// The distributions of the standard library differ between its makers, so none is used; a seed
// gives the same run everywhere. Modulo is biased by less than one in 2^40 for the bounds here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

#include "core/model/result.hpp"

namespace skep::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t next() { return engine_(); }
  // 0 .. bound - 1. Requires: bound > 0.
  uint64_t below(uint64_t bound) {
    SKEP_ASSERT(bound > 0, "a draw needs something to draw from");
    return engine_() % bound;
  }
  // Both ends included.
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  // True in `parts` of a thousand cases.
  bool per_mille(uint64_t parts) { return below(1000) < parts; }
  // A generator that shares nothing with this one from here on.
  std::mt19937_64 fork() { return std::mt19937_64(engine_()); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace skep::sim
