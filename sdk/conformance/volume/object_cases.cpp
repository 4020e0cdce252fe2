// Volume cases: object.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/volume/volume_kind.hpp"

namespace skep::conformance {

std::vector<Case> volume_object_cases() {
  return {};
}

}  // namespace skep::conformance
