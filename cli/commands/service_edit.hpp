// Making a service's spec and changing it: `service create` and `service update` without the
// talking to the daemon. An update edits the spec as it was read, so that what this program
// does not know stays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "cli/commands/service_options.hpp"

namespace skep::cli {

struct CreateOptions {
  ServiceFields fields;
  std::optional<std::string> name;
  std::optional<std::string> mode;
  Words constraints, labels, container_labels, env, env_files, preferences, networks, ports, mounts;
  Words hosts, groups, cap_add, cap_drop, dns, dns_options, dns_search, sysctls;

  void declare(const Command& command);
};

// `words`: IMAGE [COMMAND] [ARG...].
Result<Json> make_spec(const CreateOptions& options, const Words& words);

// What --KEY-add and --KEY-rm gave.
struct ListChange {
  Words add;
  Words remove;
  void declare(const Command& command, const std::string& name, const std::string& what);
};

struct EditOptions {
  ServiceFields fields;
  std::optional<std::string> image;
  std::optional<std::string> args;
  ListChange labels, container_labels, constraints, env, preferences, networks, ports, mounts;
  ListChange hosts, groups, dns;
  bool force = false;
  bool rollback = false;

  void declare(const Command& command);
};

Status edit_spec(const EditOptions& options, Json& spec);

}  // namespace skep::cli
