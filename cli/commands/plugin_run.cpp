// `skep plugin run`: a driver of one's own under one's hands, with or without a process of its own.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "cli/commands/commands.hpp"
#include "cli/plugin/console.hpp"
#include "cli/terminal.hpp"

namespace skep::cli {
namespace {

struct Options {
  std::optional<std::string> config;
  std::optional<std::string> keep;
  std::optional<std::string> host_program;
  std::optional<int64_t> stream_for_ns;
  std::optional<int64_t> deadline_ns;
  bool in_process = false;
  bool watch = false;
  bool debug = false;
};

// A JSON object as it is, or a file that holds one.
Result<std::string> config_text(const std::string& given) {
  if (given.starts_with('{')) return given;
  std::ifstream file(given);
  if (!file) return fail(ErrorKind::invalid, "can't open " + given);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<int> run(const Options& given, const Words& words) {
  ConsoleOptions options{.file = words[0],
                         .keep = given.keep.value_or(""),
                         .host_program = given.host_program.value_or(""),
                         .in_process = given.in_process,
                         .watch = given.watch,
                         .log_level = given.debug ? 0 : 1,
                         .color = is_terminal(STDOUT_FILENO),
                         .interactive = is_terminal(STDIN_FILENO)};
  if (given.config) {
    SKEP_TRY_ASSIGN(options.config, config_text(*given.config));
  }
  if (given.deadline_ns) options.deadline_ms = *given.deadline_ns / 1'000'000;
  if (given.stream_for_ns) options.stream_for_ms = *given.stream_for_ns / 1'000'000;
  return run_console(options, STDIN_FILENO, stdout);
}

}  // namespace

void add_plugin_run(const Command& group) {
  const Command command =
      group.command("run", "Load a plugin and call it, from the keyboard or a script",
                    {.usage = "FILE", .min = 1, .max = 1});
  Options& options = command.own<Options>();
  command.text("--config", options.config, "string",
               "Its configuration: a JSON object, or a file that holds one (default: what its "
               "schema has as defaults)");
  command.flag("--in-process", options.in_process,
               "Load it into this process, for a debugger, instead of one of its own");
  command.flag("--watch", options.watch, "Restart it whenever the file has changed");
  command.flag("-D,--debug", options.debug, "Hear its lines of level debug");
  command.text("--keep", options.keep, "string",
               "Give it this folder for its data, and keep it (default: a scratch one)");
  command.duration("--deadline", options.deadline_ns,
                   "How long each call may take (default: what its operation is told)");
  command.duration("--stream-for", options.stream_for_ns,
                   "How long a script listens to a stream (default 1s)");
  command.text("--host", options.host_program, "string",
               "The skep-plugin-host to use (default: the one beside skep, or in PATH)");
  command.run([&](const Words& words) { return run(options, words); });
}

}  // namespace skep::cli
