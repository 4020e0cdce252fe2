// Both clocks, in nanoseconds.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/base/clock.hpp"

namespace skep::base {

model::WallTime wall_now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count()};
}

std::chrono::nanoseconds mono_now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace skep::base
