// `skep plugin run`: one driver, a helper process or this one, and a person or a script who calls
// it.
//
// Plays the daemon's part of the life cycle: load, configure with folders of its own, restore_done,
// probe; after a loss, on `restart`, also restore for every object whose handle it saw. What the
// driver does that breaks a rule of the contract is told beside the answer; for a verdict there is
// the conformance kit. A script is echoed, so that its output reads like a session.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "core/model/result.hpp"

namespace skep::cli {

struct ConsoleOptions {
  std::string file;          // the plugin
  std::string config;        // a JSON object; empty: the defaults of its schema
  std::string keep;          // folder for its data and the objects it knows; empty: a scratch one
  std::string host_program;  // skep-plugin-host
  std::optional<int64_t> deadline_ms;  // of every call, from its begin; absent: the operation's own
  bool in_process = false;
  bool watch = false;            // restart it when the file has changed
  int32_t log_level = 1;         // SKEP_LOG_*
  int64_t stream_for_ms = 1000;  // how long a stream of a script is listened to
  bool color = false;            // `out` is a terminal
  bool interactive = false;      // `input` is one: prompts, no echo, failures end nothing
};

// Runs until the input ends. Returns the exit code: 1 when a line of a script did not do what it
// was to, or the driver was lost without having been killed. Errors: the plugin can't be loaded at
// all. Requires that no other thread runs yet.
Result<int> run_console(const ConsoleOptions& options, int input, std::FILE* out);

}  // namespace skep::cli
