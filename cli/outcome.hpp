// How a command ends: one line for the person on stderr, and the exit code of the error's kind.
//
// CLI11 runs a command as a callback that returns nothing, and takes an exit code only through its
// own RuntimeError; this is the one place that throws it, and main the one that catches it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/result.hpp"

namespace skep::cli {

// Returns for a success. For an error prints "Error: sentence" and throws CLI::RuntimeError with
// the exit code of the kind. Call it last in a command's callback.
void finish(const Status& status);

// Ends the command with this exit code and prints nothing (exec passes on what its child returned).
void finish_with_code(int exit_code);

}  // namespace skep::cli
