// `skep plugin`: the drivers of a daemon, and the workbench of those who write them.
//
// The daemon's part is here: what it has loaded, taking up a new file, and how much one of them is
// heard. It is always the node's own daemon: plugins belong to a machine.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/listing.hpp"
#include "cli/plugin/daemon_view.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

constexpr size_t kStateCharacters = 60;

struct ListOptions {
  std::optional<std::string> format;
  bool quiet = false;
  bool no_trunc = false;
};

Result<int> list(const ListOptions& options, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json answer, daemon.get("/skep/v1/plugins"));
  std::vector<Json> rows = plugin_rows(answer);
  // A template or a program wants the whole sentence.
  const bool as_table = options.format.value_or("table").starts_with("table");
  for (Json& row : rows) {
    if (as_table && !options.no_trunc)
      row["State"] = ellipsis(text_at(row, "/State"), kStateCharacters);
  }
  if (options.quiet && !options.format) {
    for (const Json& row : rows) std::printf("%s\n", text_at(row, "/Name").c_str());
    return 0;
  }
  const std::vector<Column> columns = {
      {"NAME", "Name"},           {"ID", "ID"},       {"VERSION", "Version"},  {"KIND", "Kind"},
      {"ISOLATION", "Isolation"}, {"STATE", "State"}, {"RESTARTS", "Restarts"}};
  SKEP_TRY(print_listing(columns, rows, {.format = options.format}));
  return 0;
}

void add_list(const Command& group, const Session& session) {
  const Command command =
      group.command("ls", "List the plugins of the node's daemon", {}).alias("list");
  ListOptions& options = command.own<ListOptions>();
  command.flag("-q,--quiet", options.quiet, "Only display names");
  command.flag("--no-trunc", options.no_trunc, "Do not truncate the output");
  command.text("--format", options.format, "string",
               "Format output: 'table', 'table TEMPLATE', 'json', or a Go template");
  command.run([&](const Words&) { return list(options, session); });
}

std::string path_of(const std::string& name, const char* action) {
  return "/skep/v1/plugins/" + url_escape(name) + "/" + action;
}

Result<int> reload(const std::string& name, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json plugin, daemon.post_patiently(path_of(name, "reload")));
  std::printf("%s is %s %s now, %s\n", name.c_str(), text_at(plugin, "/id").c_str(),
              text_at(plugin, "/version").c_str(), plugin_state(plugin).c_str());
  return 0;
}

Result<int> set_log_level(const Words& words, const Session& session) {
  constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
  if (std::find(kLevels.begin(), kLevels.end(), words[1]) == kLevels.end()) {
    return fail(ErrorKind::invalid,
                "a log level is debug, info, warning or error, not '" + words[1] + "'");
  }
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json plugin,
                  daemon.post(path_of(words[0], "log-level"), {{"level", words[1]}}));
  std::printf("%s: %s\n", words[0].c_str(), text_at(plugin, "/log_level").c_str());
  return 0;
}

}  // namespace

void add_plugin_commands(Command root, const Session& session) {
  const Command group = root.group("plugin", "Manage and develop plugins");
  add_list(group, session);
  add_plugin_inspect(group, session);
  group
      .command("reload", "Take up a plugin's file and configuration as they are now",
               {.usage = "NAME", .min = 1, .max = 1})
      .run([&](const Words& words) { return reload(words[0], session); });
  group
      .command("log-level", "Hear more or less of a plugin: debug, info, warning or error",
               {.usage = "NAME LEVEL", .min = 2, .max = 2})
      .run([&](const Words& words) { return set_log_level(words, session); });
  add_plugin_new(group);
  add_plugin_run(group);
  add_plugin_test(group);
}

}  // namespace skep::cli
