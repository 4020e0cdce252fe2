// The command line's one look at the clock; everything else is handed the time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/time.hpp"

namespace skep::cli {

model::WallTime now();

}  // namespace skep::cli
