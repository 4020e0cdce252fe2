// `skep service`: run, look at, scale, change and remove services.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/commands/service_edit.hpp"
#include "cli/commands/service_pretty.hpp"
#include "cli/commands/task_rows.hpp"
#include "cli/converge.hpp"
#include "cli/listing.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

std::string version_query(const Json& service) {
  return "?version=" + std::to_string(integer_at(service, "/Version/Index"));
}

std::string service_path(const std::string& name) {
  return "/services/" + url_escape(name);
}

void print_warnings(const Json& answer) {
  for (const Json& warning : array_at(answer, "/Warnings")) {
    std::fprintf(stderr, "%s\n", warning.is_string() ? warning.get<std::string>().c_str() : "");
  }
}

Result<int> create(const CreateOptions& options, const Words& words, const Session& session) {
  SKEP_TRY_ASSIGN(const Json spec, make_spec(options, words));
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json made, daemon.post("/services/create", spec));
  print_warnings(made);
  const std::string id = text_at(made, "/ID");
  std::printf("%s\n", id.c_str());
  std::fflush(stdout);
  if (options.fields.detach) return 0;
  SKEP_TRY(wait_until_converged(daemon, id, {.quiet = options.fields.quiet}));
  return 0;
}

std::string mode_name(const Json& service) {
  if (value_at(service, "/Spec/Mode/Global").is_object()) return "global";
  if (value_at(service, "/Spec/Mode/ReplicatedJob").is_object()) return "replicated job";
  if (value_at(service, "/Spec/Mode/GlobalJob").is_object()) return "global job";
  return "replicated";
}

std::string replica_counts(const Json& service) {
  std::string counts = std::to_string(integer_at(service, "/ServiceStatus/RunningTasks")) + "/" +
                       std::to_string(integer_at(service, "/ServiceStatus/DesiredTasks"));
  const int64_t most = integer_at(service, "/Spec/TaskTemplate/Placement/MaxReplicas");
  if (most > 0) counts += " (max " + std::to_string(most) + " per node)";
  return counts;
}

std::string ingress_ports(const Json& service) {
  std::string out;
  for (const Json& port : array_at(service, "/Endpoint/Ports")) {
    if (text_at(port, "/PublishMode") != "ingress") continue;
    if (!out.empty()) out += ", ";
    out += "*:" + std::to_string(integer_at(port, "/PublishedPort")) + "->" +
           std::to_string(integer_at(port, "/TargetPort")) + "/" + text_at(port, "/Protocol");
  }
  return out;
}

struct ListOptions {
  ListingOptions listing;
  Words filters;
};

Result<int> list(const ListOptions& options, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const std::string filters, filters_value(options.filters));
  SKEP_TRY_ASSIGN(Json services, daemon.get("/services?status=true&filters=" + filters));
  std::sort(services.begin(), services.end(), [](const Json& a, const Json& b) {
    return natural_less(text_at(a, "/Spec/Name"), text_at(b, "/Spec/Name"));
  });
  std::vector<Json> rows;
  for (const Json& service : services) {
    std::string image = text_at(service, "/Spec/TaskTemplate/ContainerSpec/Image");
    const size_t at = image.find('@');
    if (at != std::string::npos && image.find(':') < at) image.resize(at);
    rows.push_back({{"ID", short_id(text_at(service, "/ID"))},
                    {"Name", text_at(service, "/Spec/Name")},
                    {"Mode", mode_name(service)},
                    {"Replicas", replica_counts(service)},
                    {"Image", image},
                    {"Ports", ingress_ports(service)}});
  }
  const std::vector<Column> columns = {{"ID", "ID"},       {"NAME", "Name"},
                                       {"MODE", "Mode"},   {"REPLICAS", "Replicas"},
                                       {"IMAGE", "Image"}, {"PORTS", "Ports"}};
  SKEP_TRY(print_listing(columns, rows, options.listing));
  return 0;
}

Result<int> list_tasks(const TaskListOptions& options, const Words& names, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  Words ids;
  std::string missing;
  for (const std::string& name : names) {
    const Result<Json> service = daemon.get(service_path(name));
    if (service) {
      ids.push_back(text_at(*service, "/ID"));
      continue;
    }
    if (service.error().kind != ErrorKind::not_found) return fail(service.error());
    missing += (missing.empty() ? "no such service: " : "\nno such service: ") + name;
  }
  if (!ids.empty()) {
    SKEP_TRY_ASSIGN(const std::string filters, task_filters(options.filters, "service", ids));
    SKEP_TRY_ASSIGN(const Json tasks, daemon.get("/tasks?filters=" + filters));
    SKEP_TRY(print_tasks(daemon, tasks, options));
  }
  if (!missing.empty()) return fail(ErrorKind::not_found, missing);
  return 0;
}

struct InspectOptions {
  bool pretty = false;
  std::optional<std::string> format;
};

Result<int> inspect(const InspectOptions& options, const Words& names, const Session& session) {
  if (options.pretty && options.format) {
    return fail(ErrorKind::invalid, "--format is incompatible with human friendly format");
  }
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  std::vector<Json> services;
  std::string missing;
  for (const std::string& name : names) {
    Result<Json> service = daemon.get(service_path(name) + "?insertDefaults=true");
    if (service) {
      services.push_back(std::move(*service));
    } else if (service.error().kind == ErrorKind::not_found) {
      missing += (missing.empty() ? "" : "\n") + std::string("Error: no such service: ") + name;
    } else {
      return fail(service.error());
    }
  }
  if (options.pretty) {
    for (const Json& service : services) print_service_pretty(service);
  } else {
    SKEP_TRY(print_objects(services, options.format));
  }
  if (!missing.empty()) return fail(ErrorKind::not_found, missing);
  return 0;
}

// Sends the changed spec with the version it was read at; waits unless detached.
Status send_update(const Daemon& daemon, const Json& service, const Json& spec,
                   const std::string& extra_query) {
  const std::string id = text_at(service, "/ID");
  SKEP_TRY_ASSIGN(
      const Json answer,
      daemon.post(service_path(id) + "/update" + version_query(service) + extra_query, spec));
  print_warnings(answer);
  return {};
}

struct Scale {
  std::string service;
  uint64_t replicas = 0;
};

Result<Scale> parse_scale(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(ErrorKind::invalid,
                "invalid scale specifier '" + word + "'.\nSee 'skep service scale --help'.");
  }
  Scale scale{.service = word.substr(0, equals)};
  const char* begin = word.data() + equals + 1;
  const char* end = word.data() + word.size();
  const auto [stop, code] = std::from_chars(begin, end, scale.replicas);
  if (code != std::errc() || stop != end || begin == end) {
    return fail(ErrorKind::invalid,
                scale.service + ": invalid replicas value " + word.substr(equals + 1));
  }
  return scale;
}

Result<std::string> scale_one(const Daemon& daemon, const Scale& scale) {
  SKEP_TRY_ASSIGN(const Json service, daemon.get(service_path(scale.service)));
  Json spec = value_at(service, "/Spec");
  if (!value_at(spec, "/Mode/Replicated").is_object()) {
    return fail(ErrorKind::invalid,
                "scale can only be used with replicated or replicated-job mode");
  }
  spec["Mode"]["Replicated"]["Replicas"] = scale.replicas;
  SKEP_TRY(send_update(daemon, service, spec, ""));
  std::printf("%s scaled to %llu\n", scale.service.c_str(),
              static_cast<unsigned long long>(scale.replicas));
  return text_at(service, "/ID");
}

Result<int> scale(bool detach, const Words& words, const Session& session) {
  std::vector<Scale> wanted;
  for (const std::string& word : words) {
    SKEP_TRY_ASSIGN(wanted.emplace_back(), parse_scale(word));
  }
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  Words ids;
  std::string failures;
  for (const Scale& one : wanted) {
    Result<std::string> id = scale_one(daemon, one);
    if (id) {
      ids.push_back(std::move(*id));
    } else {
      failures += (failures.empty() ? "" : "\n") + one.service + ": " + id.error().message;
    }
  }
  std::fflush(stdout);
  for (const std::string& id : detach ? Words() : ids) {
    SKEP_TRY(wait_until_converged(daemon, id, {}));
  }
  if (!failures.empty()) return fail(ErrorKind::conflict, failures);
  return 0;
}

Result<int> roll_back(const Daemon& daemon, const std::string& name, bool detach, bool quiet) {
  SKEP_TRY_ASSIGN(const Json service, daemon.get(service_path(name)));
  SKEP_TRY(send_update(daemon, service, value_at(service, "/Spec"), "&rollback=previous"));
  std::printf("%s\n", name.c_str());
  std::fflush(stdout);
  if (detach) return 0;
  SKEP_TRY(wait_until_converged(daemon, text_at(service, "/ID"), {.quiet = quiet}));
  return 0;
}

Result<int> update(const EditOptions& options, const std::string& name, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  if (options.rollback) {
    return roll_back(daemon, name, options.fields.detach, options.fields.quiet);
  }
  SKEP_TRY_ASSIGN(const Json service, daemon.get(service_path(name)));
  Json spec = value_at(service, "/Spec");
  SKEP_TRY(edit_spec(options, spec));
  SKEP_TRY(send_update(daemon, service, spec,
                       options.fields.with_registry_auth ? "" : "&registryAuthFrom=spec"));
  std::printf("%s\n", name.c_str());
  std::fflush(stdout);
  if (options.fields.detach) return 0;
  SKEP_TRY(wait_until_converged(daemon, text_at(service, "/ID"), {.quiet = options.fields.quiet}));
  return 0;
}

Result<int> remove(const Words& names, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  std::string failures;
  for (const std::string& name : names) {
    const Result<Json> gone = daemon.del(service_path(name));
    if (gone) {
      std::printf("%s\n", name.c_str());
    } else {
      failures += (failures.empty() ? "" : "\n") + gone.error().message;
    }
  }
  if (!failures.empty()) return fail(ErrorKind::conflict, failures);
  return 0;
}

void add_looking(const Command& group, const Session& session) {
  const Command ls = group.command("ls", "List services", {}).alias("list");
  ListOptions& list_options = ls.own<ListOptions>();
  ls.flag("-q,--quiet", list_options.listing.quiet, "Only display IDs");
  ls.filters(list_options.filters);
  ls.text("--format", list_options.listing.format, "string",
          "Format output: 'table', 'table TEMPLATE', 'json', or a Go template");
  ls.run([&](const Words&) { return list(list_options, session); });

  const Positionals services = {
      .usage = "SERVICE [SERVICE...]", .min = 1, .max = Positionals::kAnyNumber};
  const Command ps = group.command("ps", "List the tasks of one or more services", services);
  TaskListOptions& task_options = ps.own<TaskListOptions>();
  task_options.declare(ps);
  ps.run([&](const Words& names) { return list_tasks(task_options, names, session); });

  const Command show =
      group.command("inspect", "Display detailed information on one or more services", services);
  InspectOptions& show_options = show.own<InspectOptions>();
  show.flag("--pretty", show_options.pretty, "Print the information in a human friendly format");
  show.text("-f,--format", show_options.format, "string", "Format output: 'json' or a Go template");
  show.run([&](const Words& names) { return inspect(show_options, names, session); });
}

void add_changing(const Command& group, const Session& session) {
  const Command change =
      group.command("update", "Update a service", {.usage = "SERVICE", .min = 1, .max = 1});
  EditOptions& edit = change.own<EditOptions>();
  edit.declare(change);
  change.run([&](const Words& words) { return update(edit, words[0], session); });

  const Command sizing = group.command("scale", "Scale one or multiple replicated services",
                                       {.usage = "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
                                        .min = 1,
                                        .max = Positionals::kAnyNumber});
  bool& detach = sizing.own<bool>();
  sizing.flag("-d,--detach", detach,
              "Exit immediately instead of waiting for the service to converge");
  sizing.run([&](const Words& words) { return scale(detach, words, session); });

  struct RollbackOptions {
    bool detach = false;
    bool quiet = false;
  };
  const Command back = group.command("rollback", "Revert changes to a service's configuration",
                                     {.usage = "SERVICE", .min = 1, .max = 1});
  RollbackOptions& back_options = back.own<RollbackOptions>();
  back.flag("-d,--detach", back_options.detach,
            "Exit immediately instead of waiting for the service to converge");
  back.flag("-q,--quiet", back_options.quiet, "Suppress progress output");
  back.run([&](const Words& words) -> Result<int> {
    SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
    return roll_back(daemon, words[0], back_options.detach, back_options.quiet);
  });

  group
      .command("rm", "Remove one or more services",
               {.usage = "SERVICE [SERVICE...]", .min = 1, .max = Positionals::kAnyNumber})
      .alias("remove")
      .run([&](const Words& names) { return remove(names, session); });
}

}  // namespace

void add_service_commands(Command root, const Session& session) {
  const Command group = root.group("service", "Manage Swarm services");
  const Command make = group.command("create", "Create a new service",
                                     {.usage = "IMAGE [COMMAND] [ARG...]",
                                      .min = 1,
                                      .max = Positionals::kAnyNumber,
                                      .options_end_at_first = true});
  CreateOptions& options = make.own<CreateOptions>();
  options.declare(make);
  make.run([&](const Words& words) { return create(options, words, session); });
  add_looking(group, session);
  add_changing(group, session);
  add_service_logs(group, session);
}

}  // namespace skep::cli
