// `skep node`: the machines of the cluster, and what is wanted of them.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/commands/task_rows.hpp"
#include "cli/listing.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

std::string title(std::string word) {
  if (!word.empty() && word[0] >= 'a' && word[0] <= 'z') word[0] = static_cast<char>(word[0] - 32);
  return word;
}

// "self" is the node whose daemon was asked; a manager's own id stands in /info.
Result<std::string> node_id(const Daemon& daemon, const std::string& name) {
  if (name != "self") return name;
  SKEP_TRY_ASSIGN(const Json info, daemon.get("/info"));
  const std::string id = text_at(info, "/Swarm/NodeID");
  // The daemon's sentence about not being a manager, or in no cluster, is the answer then.
  if (id.empty()) SKEP_TRY(daemon.get("/nodes"));
  return id;
}

std::string manager_status(const Json& node) {
  if (value_at(node, "/ManagerStatus").is_null()) return {};
  if (flag_at(node, "/ManagerStatus/Leader")) return "Leader";
  return title(text_at(node, "/ManagerStatus/Reachability"));
}

// Ready: the node trusts the cluster's root and has a certificate of the one that is wanted.
std::string tls_status(const Json& node, const Json& info) {
  const Json theirs = value_at(node, "/Description/TLSInfo");
  if (text_at(theirs, "/CertIssuerSubject").empty() ||
      text_at(theirs, "/CertIssuerPublicKey").empty()) {
    return "Unknown";
  }
  return theirs == value_at(info, "/Swarm/Cluster/TLSInfo") ? "Ready" : "Needs Rotation";
}

struct ListOptions {
  ListingOptions listing;
  Words filters;
};

Result<int> list(const ListOptions& options, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const std::string filters, filters_value(options.filters));
  SKEP_TRY_ASSIGN(Json nodes, daemon.get("/nodes?filters=" + filters));
  SKEP_TRY_ASSIGN(const Json info, daemon.get("/info"));
  const std::string self = text_at(info, "/Swarm/NodeID");
  std::sort(nodes.begin(), nodes.end(), [](const Json& a, const Json& b) {
    return natural_less(text_at(a, "/Description/Hostname"), text_at(b, "/Description/Hostname"));
  });
  std::vector<Json> rows;
  for (const Json& node : nodes) {
    const std::string id = text_at(node, "/ID");
    const bool is_self = id == self;
    const bool marks = !options.listing.quiet && !options.listing.format;
    rows.push_back({{"ID", marks ? id + (is_self ? " *" : "  ") : id},
                    {"Hostname", text_at(node, "/Description/Hostname")},
                    {"Status", title(text_at(node, "/Status/State"))},
                    {"Availability", title(text_at(node, "/Spec/Availability"))},
                    {"ManagerStatus", manager_status(node)},
                    {"EngineVersion", text_at(node, "/Description/Engine/EngineVersion")},
                    {"Self", is_self},
                    {"TLSStatus", tls_status(node, info)}});
  }
  const std::vector<Column> columns = {{"ID", "ID"},
                                       {"HOSTNAME", "Hostname"},
                                       {"STATUS", "Status"},
                                       {"AVAILABILITY", "Availability"},
                                       {"MANAGER STATUS", "ManagerStatus"},
                                       {"ENGINE VERSION", "EngineVersion"}};
  SKEP_TRY(print_listing(columns, rows, options.listing));
  return 0;
}

void print_labels(const char* heading, const Json& labels) {
  if (!labels.is_object() || labels.empty()) return;
  std::printf("%s\n", heading);
  for (const auto& [key, value] : labels.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : compact(value);
    std::printf(" - %s=%s\n", key.c_str(), text.c_str());
  }
}

void print_pretty(const Json& node) {
  const auto text = [&](std::string_view path) { return text_at(node, path); };
  std::printf("ID:\t\t\t%s\n", text("/ID").c_str());
  if (!text("/Spec/Name").empty()) std::printf("Name:\t\t\t%s\n", text("/Spec/Name").c_str());
  print_labels("Labels:", value_at(node, "/Spec/Labels"));
  std::printf("Hostname:              \t%s\n", text("/Description/Hostname").c_str());
  const auto joined = parse_time(text("/CreatedAt"));
  std::printf("Joined at:             \t%s\n", joined ? format_time(*joined).c_str() : "");
  std::printf("Status:\n State:\t\t\t%s\n", title(text("/Status/State")).c_str());
  if (!text("/Status/Message").empty()) {
    std::printf(" Message:\t\t%s\n", text("/Status/Message").c_str());
  }
  std::printf(" Availability:         \t%s\n", title(text("/Spec/Availability")).c_str());
  std::printf(" Address:\t\t%s\n", text("/Status/Addr").c_str());
  if (value_at(node, "/ManagerStatus").is_object()) {
    std::printf("Manager Status:\n Address:\t\t%s\n", text("/ManagerStatus/Addr").c_str());
    std::printf(" Raft Status:\t\t%s\n", title(text("/ManagerStatus/Reachability")).c_str());
    std::printf(" Leader:\t\t%s\n", flag_at(node, "/ManagerStatus/Leader") ? "Yes" : "No");
  }
  std::printf("Platform:\n Operating System:\t%s\n Architecture:\t\t%s\n",
              text("/Description/Platform/OS").c_str(),
              text("/Description/Platform/Architecture").c_str());
  constexpr int64_t kNanoCpus = 1'000'000'000;
  std::printf(
      "Resources:\n CPUs:\t\t\t%lld\n Memory:\t\t%s\n",
      static_cast<long long>(integer_at(node, "/Description/Resources/NanoCPUs") / kNanoCpus),
      format_binary_bytes(
          static_cast<uint64_t>(integer_at(node, "/Description/Resources/MemoryBytes")))
          .c_str());
  std::printf("Engine Version:\t\t%s\n", text("/Description/Engine/EngineVersion").c_str());
  print_labels("Engine Labels:", value_at(node, "/Description/Engine/Labels"));
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
  std::vector<Json> nodes;
  std::string failures;
  for (const std::string& name : names) {
    SKEP_TRY_ASSIGN(const std::string id, node_id(daemon, name));
    Result<Json> node = daemon.get("/nodes/" + url_escape(id));
    if (node) {
      nodes.push_back(std::move(*node));
    } else {
      failures += (failures.empty() ? "" : "\n") + node.error().message;
    }
  }
  if (!options.pretty) SKEP_TRY(print_objects(nodes, options.format));
  for (size_t i = 0; i < nodes.size() && options.pretty; ++i) {
    if (i > 0) std::printf("\n");
    print_pretty(nodes[i]);
  }
  if (!failures.empty()) return fail(ErrorKind::not_found, failures);
  return 0;
}

// Reads the node's spec, lets `change` alter it, and sends it back with the version it was read at.
template <class Change>
Status change_spec(const Daemon& daemon, const std::string& name, Change change) {
  SKEP_TRY_ASSIGN(const Json node, daemon.get("/nodes/" + url_escape(name)));
  Json spec = value_at(node, "/Spec");
  SKEP_TRY(change(spec));
  SKEP_TRY(daemon.post("/nodes/" + url_escape(text_at(node, "/ID")) +
                           "/update?version=" + std::to_string(integer_at(node, "/Version/Index")),
                       spec));
  return {};
}

struct UpdateOptions {
  std::optional<std::string> availability;
  std::optional<std::string> role;
  Words labels_added;
  Words labels_removed;
};

Result<int> update(const UpdateOptions& options, const std::string& name, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY(change_spec(daemon, name, [&](Json& spec) -> Status {
    if (options.availability) spec["Availability"] = *options.availability;
    if (options.role) spec["Role"] = *options.role;
    if (!spec["Labels"].is_object()) spec["Labels"] = Json::object();
    for (const std::string& label : options.labels_added) {
      const size_t equals = std::min(label.find('='), label.size());
      spec["Labels"][label.substr(0, equals)] =
          equals < label.size() ? label.substr(equals + 1) : std::string();
    }
    for (const std::string& key : options.labels_removed) {
      if (spec["Labels"].erase(key) == 0) {
        return fail(ErrorKind::not_found, "key " + key + " doesn't exist in node's labels");
      }
    }
    return {};
  }));
  std::printf("%s\n", name.c_str());
  return 0;
}

Result<int> set_role(const std::string& role, const Words& names, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  for (const std::string& name : names) {
    SKEP_TRY_ASSIGN(const Json node, daemon.get("/nodes/" + url_escape(name)));
    if (text_at(node, "/Spec/Role") == role) {
      std::printf("Node %s is already a %s.\n", name.c_str(), role.c_str());
      continue;
    }
    SKEP_TRY(change_spec(daemon, name, [&](Json& spec) -> Status {
      spec["Role"] = role;
      return {};
    }));
    if (role == "manager") {
      std::printf("Node %s promoted to a manager in the swarm.\n", name.c_str());
    } else {
      std::printf("Manager %s demoted in the swarm.\n", name.c_str());
    }
  }
  return 0;
}

Result<int> list_tasks(const TaskListOptions& options, Words names, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  if (names.empty()) names.emplace_back("self");
  Json tasks = Json::array();
  for (const std::string& name : names) {
    SKEP_TRY_ASSIGN(const std::string wanted, node_id(daemon, name));
    SKEP_TRY_ASSIGN(const Json node, daemon.get("/nodes/" + url_escape(wanted)));
    SKEP_TRY_ASSIGN(const std::string filters,
                    task_filters(options.filters, "node", {text_at(node, "/ID")}));
    SKEP_TRY_ASSIGN(const Json of_node, daemon.get("/tasks?filters=" + filters));
    for (const Json& task : of_node) tasks.push_back(task);
  }
  SKEP_TRY(print_tasks(daemon, tasks, options));
  return 0;
}

void add_list(const Command& group, const Session& session) {
  const Command command = group.command("ls", "List nodes in the swarm", {}).alias("list");
  ListOptions& options = command.own<ListOptions>();
  command.flag("-q,--quiet", options.listing.quiet, "Only display IDs");
  command.filters(options.filters);
  command.text("--format", options.listing.format, "string",
               "Format output: 'table', 'table TEMPLATE', 'json', or a Go template");
  command.run([&](const Words&) { return list(options, session); });
}

void add_update(const Command& group, const Session& session) {
  const Command command =
      group.command("update", "Update a node", {.usage = "NODE", .min = 1, .max = 1});
  UpdateOptions& options = command.own<UpdateOptions>();
  command.text("--availability", options.availability, "string",
               "Availability of the node (\"active\", \"pause\", \"drain\")");
  command.text("--role", options.role, "string", "Role of the node (\"worker\", \"manager\")");
  command.list("--label-add", options.labels_added, "list",
               "Add or update a node label (\"key=value\")");
  command.list("--label-rm", options.labels_removed, "list", "Remove a node label if exists");
  command.run([&](const Words& words) { return update(options, words[0], session); });
}

void add_remove(const Command& group, const Session& session) {
  const Command command =
      group
          .command("rm", "Remove one or more nodes from the swarm",
                   {.usage = "NODE [NODE...]", .min = 1, .max = Positionals::kAnyNumber})
          .alias("remove");
  bool& force = command.own<bool>();
  command.flag("-f,--force", force, "Force remove a node from the swarm");
  command.run([&](const Words& names) -> Result<int> {
    SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
    for (const std::string& name : names) {
      SKEP_TRY(daemon.del("/nodes/" + url_escape(name) + (force ? "?force=1" : "")));
      std::printf("%s\n", name.c_str());
    }
    return 0;
  });
}

}  // namespace

void add_node_commands(Command root, const Session& session) {
  const Command group = root.group("node", "Manage Swarm nodes");
  add_list(group, session);
  add_update(group, session);
  add_remove(group, session);

  const Command show =
      group.command("inspect", "Display detailed information on one or more nodes",
                    {.usage = "self|NODE [NODE...]", .min = 1, .max = Positionals::kAnyNumber});
  InspectOptions& show_options = show.own<InspectOptions>();
  show.flag("--pretty", show_options.pretty, "Print the information in a human friendly format");
  show.text("-f,--format", show_options.format, "string", "Format output: 'json' or a Go template");
  show.run([&](const Words& names) { return inspect(show_options, names, session); });

  const Command tasks =
      group.command("ps", "List tasks running on one or more nodes, defaults to current node",
                    {.usage = "[NODE...]", .min = 0, .max = Positionals::kAnyNumber});
  TaskListOptions& task_options = tasks.own<TaskListOptions>();
  task_options.declare(tasks);
  tasks.run([&](const Words& names) { return list_tasks(task_options, names, session); });

  const Positionals nodes = {.usage = "NODE [NODE...]", .min = 1, .max = Positionals::kAnyNumber};
  group.command("promote", "Promote one or more nodes to manager in the swarm", nodes)
      .run([&](const Words& names) { return set_role("manager", names, session); });
  group.command("demote", "Demote one or more nodes from manager in the swarm", nodes)
      .run([&](const Words& names) { return set_role("worker", names, session); });
}

}  // namespace skep::cli
