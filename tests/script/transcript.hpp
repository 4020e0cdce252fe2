// A transcript: comments, then blocks of a command line, `----`, and the output that is expected.
//
//   # why this case exists
//   propose 1 hello
//   ----
//   persist #3 term=1 ...
//
// A block ends at an empty line. The runner knows nothing of what it runs: a program hands in a
// function from command to output.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace skep::script {

// Runs one command of one transcript; the lines it returns each end in a newline. "" is printed as
// "ok", so that no block is empty.
using Runner = std::function<std::string(const std::string& command)>;

// main() of a transcript program: [--rewrite] FILE... `fresh` makes the runner for one file.
// Returns 0 if every block said what was expected, 1 if not, 2 for a file that can't be read.
int run_transcripts(int argc, char** argv, const std::function<Runner()>& fresh);

}  // namespace skep::script
