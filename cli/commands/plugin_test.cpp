// `skep plugin test`: the conformance kit over one plugin or several.
//
// Each file has a report of its own; the exit code is the worst of them: 0 when every case passed
// or was skipped, 1 when one failed, 2 when the cases of a file could not run.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "cli/commands/commands.hpp"
#include "sdk/conformance/kit.hpp"

namespace skep::cli {
namespace {

using conformance::KitOptions;

struct Options {
  std::optional<std::string> kind;
  std::optional<std::string> filter;
  std::optional<std::string> config;
  std::optional<std::string> profile;
  std::optional<std::string> junit;
  std::optional<std::string> scratch;
  std::optional<std::string> host_program;
  bool in_process = false;
  bool list = false;
};

KitOptions kit_options(const Options& given, const std::string& file) {
  return {.file = file,
          .kind = given.kind.value_or(""),
          .mode = given.in_process ? conformance::Mode::in_process : conformance::Mode::process,
          .filter = given.filter.value_or(""),
          .config = given.config.value_or(""),
          .profile = given.profile.value_or(""),
          .host_program = given.host_program.value_or(""),
          .scratch = given.scratch.value_or(""),
          .junit = given.junit.value_or("")};
}

Result<int> test_one(const Options& given, const std::string& file) {
  if (given.list) {
    SKEP_TRY_ASSIGN(const std::vector<std::string> lines,
                    conformance::list_cases(kit_options(given, file)));
    for (const std::string& line : lines) std::cout << line << "\n";
    return 0;
  }
  SKEP_TRY_ASSIGN(const conformance::KitReport report,
                  conformance::run_kit(kit_options(given, file), std::cout));
  return report.exit_code();
}

Result<int> test(const Options& given, const Words& files) {
  if (given.junit && files.size() > 1) {
    return fail(ErrorKind::invalid, "--junit takes the report of one file");
  }
  int worst = 0;
  for (const std::string& file : files) {
    if (files.size() > 1) std::cout << file << "\n";
    const Result<int> outcome = test_one(given, file);
    std::cout.flush();
    if (!outcome) std::fprintf(stderr, "%s\n", outcome.error().message.c_str());
    worst = std::max(worst, outcome.value_or(conformance::exit_cannot_run));
  }
  return worst;
}

}  // namespace

void add_plugin_test(const Command& group) {
  const Command command =
      group.command("test", "Run plugins through the conformance cases of their kinds",
                    {.usage = "FILE [FILE...]", .min = 1, .max = Positionals::kAnyNumber});
  Options& options = command.own<Options>();
  command.text("--kind", options.kind, "string",
               "Only the cases of this kind, and the generic ones");
  command.text("--filter", options.filter, "string",
               "Only cases whose name matches, as \"volume.*\"");
  command.flag("--in-process", options.in_process,
               "Load the plugin into the process of the test instead of one of its own");
  command.flag("--list", options.list, "Print the cases instead of running them");
  command.text("--config", options.config, "string",
               "The plugin's configuration, a JSON object (default: what its schema has)");
  command.text("--profile", options.profile, "string",
               "A file with facts about the plugin: options to create with, cases to skip");
  command.text("--junit", options.junit, "string", "Write a JUnit report to this file");
  command.text("--scratch", options.scratch, "string",
               "Folder to work in (default: a temporary one)");
  command.text("--host", options.host_program, "string",
               "The skep-plugin-host to use (default: the one beside skep, or in PATH)");
  command.run([&](const Words& files) { return test(options, files); });
}

}  // namespace skep::cli
