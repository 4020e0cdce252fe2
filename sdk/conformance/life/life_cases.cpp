// Cases over any kind's life: whole, and repeated.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/kinds.hpp"
#include "sdk/conformance/life/walk.hpp"

namespace skep::conformance {
namespace {

// Each step in turn succeeds, and nothing is left at the end.
Status whole_life(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  for (size_t i = 0; i < walk.steps().size(); ++i) SKEP_TRY(run.ok(walk.take(*driver, i)));
  return walk.check_gone(*driver);
}

}  // namespace

std::vector<Case> life_cases(const Kind& kind) {
  const std::string name(kind.name());
  return {
      {name + ".life.whole",
       "an object is made, used and taken away, and nothing is left",
       {rule(9)},
       whole_life},
  };
}

}  // namespace skep::conformance
