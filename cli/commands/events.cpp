// `skep events`: what happens, as it happens.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/clock.hpp"
#include "cli/commands/commands.hpp"
#include "cli/template.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

struct Options {
  Words filters;
  std::optional<std::string> since;
  std::optional<std::string> until;
  std::optional<std::string> format;
};

std::string event_line(const Json& event) {
  std::string attributes;
  for (const auto& [key, value] : value_at(event, "/Actor/Attributes").items()) {
    if (!value.is_string()) continue;
    attributes += (attributes.empty() ? "" : ", ") + key + "=" + value.get<std::string>();
  }
  return format_rfc3339(model::WallTime{integer_at(event, "/timeNano")}) + " " +
         text_at(event, "/Type") + " " + text_at(event, "/Action") + " " +
         text_at(event, "/Actor/ID") + (attributes.empty() ? "" : " (" + attributes + ")");
}

Result<int> watch(const Options& options, const Session& session) {
  SKEP_TRY_ASSIGN(const std::string filters, filters_value(options.filters));
  std::string path = "/events?filters=" + filters;
  for (const auto& [name, value] :
       {std::pair("since", options.since), std::pair("until", options.until)}) {
    if (!value) continue;
    SKEP_TRY_ASSIGN(const std::string moment, parse_moment(*value, now()));
    path += std::string("&") + name + "=" + moment;
  }
  std::optional<Template> layout;
  if (options.format && *options.format != "json") {
    SKEP_TRY_ASSIGN(layout, Template::parse(*options.format));
  }
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  Status printed;
  SKEP_TRY(daemon.stream_lines(Method::get, path, [&](std::string_view text) {
    const Json event = Json::parse(text, nullptr, false);
    if (event.is_discarded()) return true;
    std::string line = options.format ? compact(event) : event_line(event);
    if (layout) {
      Result<std::string> shown = layout->print(event);
      if (!shown) {
        printed = fail(shown.error());
        return false;
      }
      line = std::move(*shown);
    }
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    return true;
  }));
  SKEP_TRY(printed);
  return 0;
}

}  // namespace

void add_event_commands(Command root, const Session& session) {
  const Command command = root.command("events", "Get real time events from the server", {});
  Options& options = command.own<Options>();
  command.filters(options.filters);
  command.text("--since", options.since, "string", "Show all events created since timestamp");
  command.text("--until", options.until, "string", "Stream events until this timestamp");
  command.text("--format", options.format, "string", "Format output: 'json' or a Go template");
  command.run([&](const Words&) { return watch(options, session); });
}

}  // namespace skep::cli
