// Waits until a service is what was asked for, showing the way there.
//
// Bars that redraw themselves on a terminal, one line per change when piped. Interrupting the wait
// (Ctrl-C) leaves the service alone and says how to go on looking.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/daemon.hpp"

namespace skep::cli {

struct ConvergeOptions {
  bool quiet = false;
};

// Blocks until the service has converged, or its update has failed (an Error), or the person
// interrupts (which counts as success).
Status wait_until_converged(const Daemon& daemon, const std::string& service_id,
                            const ConvergeOptions& options);

}  // namespace skep::cli
