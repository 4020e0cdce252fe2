// The one place that reads clocks. Everything else is handed the time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "core/model/time.hpp"

namespace skep::base {

// Unix time; may jump. For what people see and for deadlines kept in objects. [any thread]
model::WallTime wall_now();

// CLOCK_MONOTONIC; for leases, ticks and time-outs. [any thread]
std::chrono::nanoseconds mono_now();

}  // namespace skep::base
