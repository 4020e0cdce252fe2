// The grammar of `skep playground`: which words there are and which function each of them calls.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/commands.hpp"

#include <CLI/CLI.hpp>

namespace skep::cli {

void add_playground_commands(CLI::App& app) {
  CLI::App* family = app.add_subcommand("playground", "A whole cluster on this machine");
  family->require_subcommand(1);
}

}  // namespace skep::cli
