// Specs from options: lists are where create and update differ, fields are ServiceFields'.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/service_edit.hpp"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/commands/mount_option.hpp"

namespace skep::cli {
namespace {

// A spec names its tag: whoever lists it sees which image that is. Anything else is the daemon's to
// judge.
std::string tagged(const std::string& image) {
  if (image.empty() || image.find('@') != std::string::npos) return image;
  const size_t slash = image.rfind('/');
  const size_t colon = image.find(':', slash == std::string::npos ? 0 : slash);
  return colon == std::string::npos ? image + ":latest" : image;
}

// "k=v" into an object; "k" alone gets the empty value.
void add_pairs(Json& object, const Words& pairs) {
  if (!object.is_object()) object = Json::object();
  for (const std::string& pair : pairs) {
    const size_t equals = std::min(pair.find('='), pair.size());
    object[pair.substr(0, equals)] = equals < pair.size() ? pair.substr(equals + 1) : "";
  }
}

void change_pairs(Json& parent, const char* key, const ListChange& change) {
  if (change.add.empty() && change.remove.empty()) return;
  Json& object = parent[key];
  if (!object.is_object()) object = Json::object();
  for (const std::string& name : change.remove) object.erase(name);
  add_pairs(object, change.add);
}

// Removes the items for which `matches(item, word)` holds for a removed word, or `same(item,
// added)` for an added one, then appends the added.
using Matches = std::function<bool(const Json& item, const std::string& word)>;
using Same = std::function<bool(const Json& item, const Json& added)>;
void change_list(Json& parent, const char* key, const Words& remove, const std::vector<Json>& add,
                 const Matches& matches, const Same& same) {
  if (remove.empty() && add.empty()) return;
  Json kept = Json::array();
  for (const Json& item : array_at(parent, std::string("/") + key)) {
    const bool gone =
        std::ranges::any_of(remove, [&](const std::string& word) { return matches(item, word); }) ||
        std::ranges::any_of(add, [&](const Json& one) { return same(item, one); });
    if (!gone) kept.push_back(item);
  }
  for (const Json& one : add) kept.push_back(one);
  parent[key] = std::move(kept);
}

void change_texts(Json& parent, const char* key, const ListChange& change) {
  change_list(
      parent, key, change.remove, std::vector<Json>(change.add.begin(), change.add.end()),
      [](const Json& item, const std::string& word) { return item == word; },
      [](const Json& item, const Json& added) { return item == added; });
}

std::string variable_name(const Json& variable) {
  const std::string text = variable.is_string() ? variable.get<std::string>() : std::string();
  return text.substr(0, text.find('='));
}

void change_env(Json& container, const ListChange& change) {
  std::vector<Json> added;
  for (const std::string& variable : change.add) {
    if (const auto resolved = resolved_variable(variable)) added.emplace_back(*resolved);
  }
  change_list(
      container, "Env", change.remove, added,
      [](const Json& item, const std::string& word) { return variable_name(item) == word; },
      [](const Json& item, const Json& one) { return variable_name(item) == variable_name(one); });
}

// "host:ip" as the API has it: "ip host".
Result<std::string> parse_host(const std::string& text) {
  const size_t split = text.find_first_of(":=");
  if (split == std::string::npos || split == 0 || split + 1 == text.size()) {
    return fail(ErrorKind::invalid, "bad format for --host: \"" + text + "\" (expected host:ip)");
  }
  return text.substr(split + 1) + " " + text.substr(0, split);
}

Result<std::vector<Json>> parsed(const Words& words,
                                 Result<Json> (*parse)(const std::string& text)) {
  std::vector<Json> out;
  for (const std::string& word : words) {
    SKEP_TRY_ASSIGN(Json one, parse(word));
    out.push_back(std::move(one));
  }
  return out;
}

Result<Json> parse_network(const std::string& text) {
  return Json{{"Target", text}};
}

Status append(Json& parent, const char* key, const Words& words,
              Result<Json> (*parse)(const std::string& text)) {
  SKEP_TRY_ASSIGN(const std::vector<Json> items, parsed(words, parse));
  for (const Json& item : items) parent[key].push_back(item);
  return {};
}

Status set_mode(const std::string& mode, Json& spec) {
  if (mode == "replicated") {
    spec["Mode"]["Replicated"] = Json::object();
  } else if (mode == "global") {
    spec["Mode"]["Global"] = Json::object();
  } else if (mode == "replicated-job") {
    spec["Mode"]["ReplicatedJob"] = Json::object();
  } else if (mode == "global-job") {
    spec["Mode"]["GlobalJob"] = Json::object();
  } else {
    return fail(ErrorKind::invalid,
                "Unknown mode: " + mode + ", only replicated and global supported");
  }
  return {};
}

Status fill_container(const CreateOptions& options, const Words& words, Json& container) {
  container["Image"] = tagged(words[0]);
  if (words.size() > 1) container["Args"] = Words(words.begin() + 1, words.end());
  Words variables;
  for (const std::string& file : options.env_files) {
    SKEP_TRY_ASSIGN(const Words some, variables_of_file(file));
    variables.insert(variables.end(), some.begin(), some.end());
  }
  for (const std::string& variable : options.env) {
    if (const auto resolved = resolved_variable(variable)) variables.push_back(*resolved);
  }
  if (!variables.empty()) container["Env"] = variables;
  if (!options.container_labels.empty()) add_pairs(container["Labels"], options.container_labels);
  if (!options.groups.empty()) container["Groups"] = options.groups;
  if (!options.cap_add.empty()) container["CapabilityAdd"] = options.cap_add;
  if (!options.cap_drop.empty()) container["CapabilityDrop"] = options.cap_drop;
  if (!options.sysctls.empty()) add_pairs(container["Sysctls"], options.sysctls);
  if (!options.dns.empty()) container["DNSConfig"]["Nameservers"] = options.dns;
  if (!options.dns_options.empty()) container["DNSConfig"]["Options"] = options.dns_options;
  if (!options.dns_search.empty()) container["DNSConfig"]["Search"] = options.dns_search;
  for (const std::string& host : options.hosts) {
    SKEP_TRY_ASSIGN(const std::string line, parse_host(host));
    container["Hosts"].push_back(line);
  }
  return append(container, "Mounts", options.mounts, parse_mount);
}

}  // namespace

void CreateOptions::declare(const Command& command) {
  fields.declare(command);
  command.text("--name", name, "string", "Service name");
  command.text("--mode", mode, "string", "Service mode (\"replicated\", \"global\")");
  command.list("--constraint", constraints, "list", "Placement constraints");
  command.list("-l,--label", labels, "list", "Service labels");
  command.list("--container-label", container_labels, "list", "Container labels");
  command.list("-e,--env", env, "list", "Set environment variables");
  command.list("--env-file", env_files, "list", "Read in a file of environment variables");
  command.list("--placement-pref", preferences, "pref", "Add a placement preference");
  command.list("--network", networks, "network", "Network attachments");
  command.list("-p,--publish", ports, "port", "Publish a port as a node port");
  command.list("--mount", mounts, "mount", "Attach a filesystem mount to the service");
  command.list("--host", hosts, "list", "Set one or more custom host-to-IP mappings (host:ip)");
  command.list("--group", groups, "list", "Set supplementary user groups for the container");
  command.list("--cap-add", cap_add, "list", "Add Linux capabilities");
  command.list("--cap-drop", cap_drop, "list", "Drop Linux capabilities");
  command.list("--dns", dns, "list", "Set custom DNS servers");
  command.list("--dns-option", dns_options, "list", "Set DNS options");
  command.list("--dns-search", dns_search, "list", "Set custom DNS search domains");
  command.list("--sysctl", sysctls, "list", "Sysctl options");
}

Result<Json> make_spec(const CreateOptions& options, const Words& words) {
  Json spec = {{"Name", options.name.value_or("")}, {"Labels", Json::object()}};
  add_pairs(spec["Labels"], options.labels);
  SKEP_TRY(set_mode(options.mode.value_or("replicated"), spec));
  Json& task = spec["TaskTemplate"];
  SKEP_TRY(fill_container(options, words, task["ContainerSpec"]));
  if (!options.constraints.empty()) task["Placement"]["Constraints"] = options.constraints;
  if (!options.preferences.empty()) {
    SKEP_TRY(append(task["Placement"], "Preferences", options.preferences, parse_preference));
  }
  SKEP_TRY(append(task, "Networks", options.networks, parse_network));
  if (!options.ports.empty()) {
    SKEP_TRY(append(spec["EndpointSpec"], "Ports", options.ports, parse_published_port));
  }
  SKEP_TRY(options.fields.apply(spec));
  return spec;
}

void ListChange::declare(const Command& command, const std::string& name, const std::string& what) {
  command.list("--" + name + "-add", add, "list", "Add or update " + what);
  command.list("--" + name + "-rm", remove, "list", "Remove " + what);
}

void EditOptions::declare(const Command& command) {
  fields.declare(command);
  command.text("--image", image, "string", "Service image tag");
  command.text("--args", args, "command", "Service command args");
  labels.declare(command, "label", "a service label");
  container_labels.declare(command, "container-label", "a container label");
  constraints.declare(command, "constraint", "a placement constraint");
  env.declare(command, "env", "an environment variable");
  preferences.declare(command, "placement-pref", "a placement preference");
  networks.declare(command, "network", "a network");
  ports.declare(command, "publish", "a published port");
  mounts.declare(command, "mount", "a mount");
  hosts.declare(command, "host", "a custom host-to-IP mapping (\"host:ip\")");
  groups.declare(command, "group", "a supplementary user group");
  dns.declare(command, "dns", "a custom DNS server");
  command.flag("--force", force, "Force update even if no changes require it");
  command.flag("--rollback", rollback, "Rollback to previous specification");
}

Status edit_spec(const EditOptions& options, Json& spec) {
  SKEP_TRY(options.fields.apply(spec));
  Json& task = spec["TaskTemplate"];
  Json& container = task["ContainerSpec"];
  if (options.image) container["Image"] = tagged(*options.image);
  if (options.args) {
    SKEP_TRY_ASSIGN(const Words words, shell_words(*options.args));
    container["Args"] = words;
  }
  change_pairs(spec, "Labels", options.labels);
  change_pairs(container, "Labels", options.container_labels);
  change_env(container, options.env);
  change_texts(container, "Groups", options.groups);
  if (!options.dns.add.empty() || !options.dns.remove.empty()) {
    change_texts(container["DNSConfig"], "Nameservers", options.dns);
  }
  ListChange hosts;
  for (const std::string& host : options.hosts.add) {
    SKEP_TRY_ASSIGN(hosts.add.emplace_back(), parse_host(host));
  }
  for (const std::string& host : options.hosts.remove) {
    SKEP_TRY_ASSIGN(hosts.remove.emplace_back(), parse_host(host));
  }
  change_texts(container, "Hosts", hosts);
  if (!options.constraints.add.empty() || !options.constraints.remove.empty()) {
    change_texts(task["Placement"], "Constraints", options.constraints);
  }
  const Same same_json = [](const Json& item, const Json& added) { return item == added; };
  if (!options.preferences.add.empty() || !options.preferences.remove.empty()) {
    SKEP_TRY_ASSIGN(const auto added, parsed(options.preferences.add, parse_preference));
    change_list(
        task["Placement"], "Preferences", options.preferences.remove, added,
        [](const Json& item, const std::string& word) {
          return "spread=" + text_at(item, "/Spread/SpreadDescriptor") == word;
        },
        same_json);
  }
  SKEP_TRY_ASSIGN(const auto networks, parsed(options.networks.add, parse_network));
  const auto by_target = [](const Json& item, const std::string& word) {
    return text_at(item, "/Target") == word;
  };
  change_list(task, "Networks", options.networks.remove, networks, by_target, same_json);
  SKEP_TRY_ASSIGN(const auto mounts, parsed(options.mounts.add, parse_mount));
  change_list(container, "Mounts", options.mounts.remove, mounts, by_target,
              [](const Json& item, const Json& added) {
                return text_at(item, "/Target") == text_at(added, "/Target");
              });
  if (!options.ports.add.empty() || !options.ports.remove.empty()) {
    SKEP_TRY_ASSIGN(const auto ports, parsed(options.ports.add, parse_published_port));
    change_list(
        spec["EndpointSpec"], "Ports", options.ports.remove, ports,
        [](const Json& item, const std::string& word) {
          return std::to_string(integer_at(item, "/TargetPort")) == word.substr(0, word.find('/'));
        },
        same_json);
  }
  if (options.force) task["ForceUpdate"] = integer_at(task, "/ForceUpdate") + 1;
  return {};
}

}  // namespace skep::cli
