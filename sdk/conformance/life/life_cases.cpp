// The list of all cases over a kind's life.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/life/life_cases.hpp"

#include "sdk/conformance/kinds.hpp"

namespace skep::conformance {

std::vector<Case> life_cases(const Kind& kind) {
  std::vector<Case> all;
  for (const std::vector<Case>& some :
       {repeat_cases(kind), overlap_cases(kind), crash_cases(kind), mode_cases(kind)}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace skep::conformance
