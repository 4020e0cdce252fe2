// The one place that turns an Error into stderr and an exit code.
// SPDX-License-Identifier: Apache-2.0
#include "cli/outcome.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace skep::cli {

void finish(const Status& status) {
  if (status) return;
  std::fflush(stdout);
  std::fprintf(stderr, "Error: %s\n", status.error().message.c_str());
  throw CLI::RuntimeError(info(status.error().kind).exit_code);
}

void finish_with_code(int exit_code) {
  std::fflush(stdout);
  if (exit_code != 0) throw CLI::RuntimeError(exit_code);
}

}  // namespace skep::cli
