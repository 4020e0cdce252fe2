// `skep volume`: the volumes of one node, with docker's words. What docker has for volumes of the
// cluster is refused by name, as the daemon does.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/listing.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

// "k=v" or "k" into an object.
Json object_of(const Words& pairs) {
  Json object = Json::object();
  for (const std::string& pair : pairs) {
    const size_t equals = std::min(pair.find('='), pair.size());
    object[pair.substr(0, equals)] = equals < pair.size() ? pair.substr(equals + 1) : "";
  }
  return object;
}

// Options of docker's for volumes of the cluster. They are shown and taken, so that what is refused
// is the volume and not a word.
struct ClusterOption {
  const char* name;
  const char* kind;
  const char* about;
  Words values;
};

struct CreateOptions {
  std::optional<std::string> driver;
  Words labels;
  Words options;
  std::array<ClusterOption, 10> cluster = {
      {{"--availability",
        "string",
        "Cluster Volume availability (\"active\", \"pause\", \"drain\")",
        {}},
       {"--group", "string", "Cluster Volume group", {}},
       {"--limit-bytes", "bytes", "Maximum size of the Cluster Volume in bytes", {}},
       {"--required-bytes", "bytes", "Minimum size of the Cluster Volume in bytes", {}},
       {"--scope", "string", "Cluster Volume access scope (\"single\", \"multi\")", {}},
       {"--secret", "map", "Cluster Volume secrets", {}},
       {"--sharing",
        "string",
        "Cluster Volume access sharing (\"none\", \"readonly\", \"onewriter\", \"all\")",
        {}},
       {"--topology-preferred",
        "list",
        "A topology that the Cluster Volume would be preferred in",
        {}},
       {"--topology-required",
        "list",
        "A topology that the Cluster Volume must be accessible from",
        {}},
       {"--type", "string", "Cluster Volume access type (\"mount\", \"block\")", {}}}};
};

// The help text of what isn't built.
std::string not_built(const char* about) {
  return std::string(about) + "; not implemented yet";
}

Result<int> create(const CreateOptions& options, const Words& names, const Session& session) {
  for (const ClusterOption& option : options.cluster) {
    if (option.values.empty()) continue;
    return fail(ErrorKind::unimplemented,
                std::string("not implemented yet: cluster volumes (") + option.name + ")");
  }
  for (const std::string& label : options.labels) {
    if (!label.starts_with('=')) continue;
    return fail(ErrorKind::invalid, "invalid argument \"" + label +
                                        "\" for \"--label\" flag: invalid label '" + label +
                                        "': empty name");
  }
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  Json request = {{"Name", names.empty() ? "" : names[0]},
                  {"Driver", options.driver.value_or("local")},
                  {"DriverOpts", object_of(options.options)},
                  {"Labels", object_of(options.labels)}};
  SKEP_TRY_ASSIGN(const Json made, daemon.post("/volumes/create", request));
  std::printf("%s\n", text_at(made, "/Name").c_str());
  return 0;
}

std::string labels_text(const Json& labels) {
  std::string text;
  for (const auto& [key, value] : labels.items()) {
    text += (text.empty() ? "" : ",") + key + "=" + (value.is_string() ? std::string(value) : "");
  }
  return text;
}

struct ListOptions {
  bool cluster = false;
  ListingOptions listing;
  Words filters;
};

Result<int> list(const ListOptions& options, const Session& session) {
  if (options.cluster) {
    return fail(ErrorKind::unimplemented, "not implemented yet: cluster volumes (--cluster)");
  }
  SKEP_TRY_ASSIGN(const std::string filters, filters_value(options.filters));
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(Json answer, daemon.get("/volumes?filters=" + filters));
  Json volumes = array_at(answer, "/Volumes");
  std::sort(volumes.begin(), volumes.end(), [](const Json& a, const Json& b) {
    return natural_less(text_at(a, "/Name"), text_at(b, "/Name"));
  });
  std::vector<Json> rows;
  for (const Json& volume : volumes) {
    const std::string name = text_at(volume, "/Name");
    if (options.listing.quiet && !options.listing.format) std::printf("%s\n", name.c_str());
    // What docker tells of volumes of the cluster, and counts only for `system df`.
    rows.push_back({{"Availability", "N/A"},
                    {"Driver", text_at(volume, "/Driver")},
                    {"Group", "N/A"},
                    {"Labels", labels_text(value_at(volume, "/Labels"))},
                    {"Links", "N/A"},
                    {"Mountpoint", text_at(volume, "/Mountpoint")},
                    {"Name", name},
                    {"Scope", text_at(volume, "/Scope")},
                    {"Size", "N/A"},
                    {"Status", "N/A"}});
  }
  if (options.listing.quiet && !options.listing.format) return 0;
  const std::vector<Column> columns = {{"DRIVER", "Driver"}, {"VOLUME NAME", "Name"}};
  SKEP_TRY(print_listing(columns, rows, options.listing));
  return 0;
}

Result<int> remove(bool force, const Words& names, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  std::optional<Error> failure;
  for (const std::string& name : names) {
    const Result<Json> gone =
        daemon.del("/volumes/" + url_escape(name) + (force ? "?force=1" : ""));
    if (gone) {
      std::printf("%s\n", name.c_str());
    } else if (failure) {
      failure->message += "\n" + gone.error().message;
    } else {
      failure = gone.error();
    }
  }
  if (failure) return fail(*failure);
  return 0;
}

bool confirmed(const char* warning) {
  std::printf("WARNING! %s\nAre you sure you want to continue? [y/N] ", warning);
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

struct PruneOptions {
  bool all = false;
  bool force = false;
  Words filters;
};

Result<int> prune(const PruneOptions& options, const Session& session) {
  Words filters = options.filters;
  const bool says_all = std::any_of(filters.begin(), filters.end(), [](const std::string& filter) {
    return filter.starts_with("all=");
  });
  if (options.all && says_all) {
    return fail(ErrorKind::invalid,
                "conflicting options: cannot specify both --all and --filter all=1");
  }
  if (options.all) filters.push_back("all=true");
  SKEP_TRY_ASSIGN(const std::string value, filters_value(filters));
  const char* question =
      options.all ? "This will remove all local volumes not used by at least one container."
                  : "This will remove anonymous local volumes not used by at least one container.";
  if (!options.force && !confirmed(question)) {
    return fail(ErrorKind::cancelled, "volume prune has been cancelled");
  }
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json report, daemon.post_patiently("/volumes/prune?filters=" + value));
  const Json& deleted = array_at(report, "/VolumesDeleted");
  if (!deleted.empty()) {
    std::printf("Deleted Volumes:\n");
    for (const Json& name : deleted) std::printf("%s\n", name.get<std::string>().c_str());
    std::printf("\n");
  }
  for (const Json& warning : array_at(report, "/Warnings")) {
    if (!warning.is_string()) continue;
    std::fprintf(stderr, "WARNING: %s\n", warning.get<std::string>().c_str());
  }
  const auto bytes = static_cast<uint64_t>(integer_at(report, "/SpaceReclaimed"));
  std::printf("Total reclaimed space: %s\n", format_decimal_bytes(bytes).c_str());
  return 0;
}

void add_create(const Command& group, const Session& session) {
  const Command command =
      group.command("create", "Create a volume", {.usage = "[VOLUME]", .min = 0, .max = 1});
  CreateOptions& options = command.own<CreateOptions>();
  command.text("-d,--driver", options.driver, "string",
               "Specify volume driver name (default \"local\")");
  command.list("--label", options.labels, "list", "Set metadata for a volume");
  command.list("-o,--opt", options.options, "map", "Set driver specific options");
  for (ClusterOption& option : options.cluster) {
    command.list(option.name, option.values, option.kind, not_built(option.about));
  }
  command.run([&](const Words& names) { return create(options, names, session); });
}

void add_list(const Command& group, const Session& session) {
  const Command command = group.command("ls", "List volumes", {}).alias("list");
  ListOptions& options = command.own<ListOptions>();
  command.flag("-q,--quiet", options.listing.quiet, "Only display volume names");
  command.filters(options.filters);
  command.flag("--cluster", options.cluster, not_built("Display only cluster volumes"));
  command.text("--format", options.listing.format, "string",
               "Format output: 'table', 'table TEMPLATE', 'json', or a Go template");
  command.run([&](const Words&) { return list(options, session); });
}

void add_remove(const Command& group, const Session& session) {
  struct Options {
    bool force = false;
  };
  const Command command =
      group
          .command("rm",
                   "Remove one or more volumes. You cannot remove a volume that is in use by a "
                   "container.",
                   {.usage = "VOLUME [VOLUME...]", .min = 1, .max = Positionals::kAnyNumber})
          .alias("remove");
  Options& options = command.own<Options>();
  command.flag("-f,--force", options.force, "Force the removal of one or more volumes");
  command.run([&](const Words& names) { return remove(options.force, names, session); });
}

void add_prune(const Command& group, const Session& session) {
  const Command command = group.command("prune", "Remove unused local volumes", {});
  PruneOptions& options = command.own<PruneOptions>();
  command.flag("-a,--all", options.all, "Remove all unused volumes, not just anonymous ones");
  command.flag("-f,--force", options.force, "Do not prompt for confirmation");
  command.list("--filter", options.filters, "filter",
               "Provide filter values (e.g. \"label=<label>\")");
  command.run([&](const Words&) { return prune(options, session); });
}

}  // namespace

void add_volume_commands(Command root, const Session& session) {
  const Command group = root.group("volume", "Manage volumes");
  add_create(group, session);
  add_inspect_of(group, "volume", session);
  add_list(group, session);
  add_prune(group, session);
  add_remove(group, session);
  const Command update =
      group.command("update", not_built("Update a volume (cluster volumes only)"),
                    {.usage = "[VOLUME]", .min = 1, .max = 1});
  auto& availability = update.own<std::optional<std::string>>();
  update.text("--availability", availability, "string",
              "Cluster Volume availability (\"active\", \"pause\", \"drain\")");
  update.run([](const Words&) -> Result<int> {
    return fail(ErrorKind::unimplemented, "not implemented yet: cluster volumes (volume update)");
  });
}

}  // namespace skep::cli
