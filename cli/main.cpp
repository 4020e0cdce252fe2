// skep, the command line: reads the arguments, gives them to the command they name.
//
// Each family of commands registers itself on the CLI11 application and does its work in callbacks;
// this file only knows the families. The exit code is the one of the error's kind
// (core/model/result). SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/playground/commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("skep: a container cluster", "skep");
  app.require_subcommand(1);
  skep::cli::add_playground_commands(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& end) {  // --help, wrong arguments, and commands that failed
    return app.exit(end);
  }
  return 0;
}
