// The clock adapter of the command line.
// SPDX-License-Identifier: Apache-2.0
#include "cli/clock.hpp"

#include <chrono>

namespace skep::cli {

model::WallTime now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<model::Nanoseconds>(since_epoch).count()};
}

}  // namespace skep::cli
