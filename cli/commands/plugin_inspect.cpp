// `skep plugin inspect`: a file on this disk, or a plugin of the daemon by its name.
//
// What has a '/' or ends in .so is a file: its note and its tables are read and nothing of it is
// run, so that a stranger's plugin can be looked at before it is trusted. Anything else is asked of
// the daemon.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/listing.hpp"
#include "cli/plugin/daemon_view.hpp"
#include "cli/plugin/file_report.hpp"

namespace skep::cli {
namespace {

struct Options {
  std::optional<std::string> format;
  bool json = false;
};

bool names_a_file(const std::string& word) {
  return word.find('/') != std::string::npos || word.ends_with(".so");
}

// Prints `text` for a person or `document` as asked for.
Status show(const Options& options, const Json& document, const std::string& text) {
  if (options.format) return print_objects({document}, options.format);
  const std::string out = options.json ? indented(document) + "\n" : text;
  std::fwrite(out.data(), 1, out.size(), stdout);
  return {};
}

Result<int> inspect_file(const Options& options, const std::string& path) {
  SKEP_TRY_ASSIGN(const PluginFileReport report, examine_plugin_file(path));
  SKEP_TRY(show(options, to_json(report), to_text(report)));
  return report.problems.empty() ? 0 : 1;
}

Result<int> inspect_running(const Options& options, const std::string& name,
                            const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json plugin, daemon.get("/skep/v1/plugins/" + url_escape(name)));
  SKEP_TRY(show(options, plugin, plugin_page(plugin)));
  return 0;
}

}  // namespace

void add_plugin_inspect(const Command& group, const Session& session) {
  const Command command = group.command(
      "inspect", "Tell all about a plugin: a file, without running it, or one of the daemon",
      {.usage = "FILE|NAME", .min = 1, .max = 1});
  Options& options = command.own<Options>();
  command.text("-f,--format", options.format, "string", "Format output: 'json' or a Go template");
  command.flag("--json", options.json, "Print a JSON document");
  command.run([&](const Words& words) -> Result<int> {
    if (options.json && options.format) {
      return fail(ErrorKind::invalid, "--json and --format exclude each other");
    }
    return names_a_file(words[0]) ? inspect_file(options, words[0])
                                  : inspect_running(options, words[0], session);
  });
}

}  // namespace skep::cli
