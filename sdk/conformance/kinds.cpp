// The list of kinds.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/kinds.hpp"

#include "sdk/conformance/lb/lb_kind.hpp"
#include "sdk/conformance/network/network_kind.hpp"
#include "sdk/conformance/runtime/runtime_kind.hpp"
#include "sdk/conformance/volume/volume_kind.hpp"

namespace skep::conformance {

std::vector<const Kind*> kinds() {
  return {&lb_kind(), &network_kind(), &runtime_kind(), &volume_kind()};
}

}  // namespace skep::conformance
