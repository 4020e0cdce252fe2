// `skep network`: what networks there are. Making and removing them is not built yet.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/listing.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

struct ListOptions {
  ListingOptions listing;
  bool no_trunc = false;
  Words filters;
};

Result<int> list(const ListOptions& options, const Session& session) {
  SKEP_TRY_ASSIGN(const std::string filters, filters_value(options.filters));
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(Json networks, daemon.get("/networks?filters=" + filters));
  std::sort(networks.begin(), networks.end(), [](const Json& a, const Json& b) {
    return natural_less(text_at(a, "/Name"), text_at(b, "/Name"));
  });
  std::vector<Json> rows;
  for (const Json& network : networks) {
    const std::string id = text_at(network, "/Id");
    rows.push_back({{"ID", options.no_trunc ? id : short_id(id)},
                    {"Name", text_at(network, "/Name")},
                    {"Driver", text_at(network, "/Driver")},
                    {"Scope", text_at(network, "/Scope")},
                    {"Internal", flag_at(network, "/Internal") ? "true" : "false"},
                    {"CreatedAt", text_at(network, "/Created")}});
  }
  const std::vector<Column> columns = {
      {"NETWORK ID", "ID"}, {"NAME", "Name"}, {"DRIVER", "Driver"}, {"SCOPE", "Scope"}};
  SKEP_TRY(print_listing(columns, rows, options.listing));
  return 0;
}

}  // namespace

void add_network_commands(Command root, const Session& session) {
  const Command group = root.group("network", "Manage networks");
  const Command ls = group.command("ls", "List networks", {}).alias("list");
  ListOptions& options = ls.own<ListOptions>();
  ls.flag("-q,--quiet", options.listing.quiet, "Only display network IDs");
  ls.flag("--no-trunc", options.no_trunc, "Do not truncate the output");
  ls.filters(options.filters);
  ls.text("--format", options.listing.format, "string",
          "Format output: 'table', 'table TEMPLATE', 'json', or a Go template");
  ls.run([&](const Words&) { return list(options, session); });

  struct InspectOptions {
    std::optional<std::string> format;
    bool verbose = false;
  };
  const Command show =
      group.command("inspect", "Display detailed information on one or more networks",
                    {.usage = "NETWORK [NETWORK...]", .min = 1, .max = Positionals::kAnyNumber});
  InspectOptions& show_options = show.own<InspectOptions>();
  show.text("-f,--format", show_options.format, "string", "Format output: 'json' or a Go template");
  show.flag("-v,--verbose", show_options.verbose, "Verbose output for diagnostics");
  show.run([&](const Words& names) -> Result<int> {
    SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
    std::vector<Json> networks;
    for (const std::string& name : names) {
      SKEP_TRY_ASSIGN(networks.emplace_back(),
                      daemon.get("/networks/" + url_escape(name) +
                                 (show_options.verbose ? "?verbose=true" : "")));
    }
    SKEP_TRY(print_objects(networks, show_options.format));
    return 0;
  });
}

}  // namespace skep::cli
