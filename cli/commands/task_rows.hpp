// Tasks as the rows of `service ps` and `node ps`, names of services and nodes filled in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "cli/daemon.hpp"
#include "cli/grammar.hpp"

namespace skep::cli {

struct TaskListOptions {
  bool quiet = false;
  bool no_trunc = false;
  bool no_resolve = false;
  Words filters;
  std::optional<std::string> format;

  void declare(const Command& command);
};

// Prints the tasks of `tasks` (an API list).
Status print_tasks(const Daemon& daemon, const Json& tasks, const TaskListOptions& options);

// The API's filters for tasks: what the person asked, and those that belong to any of `owners`
// under `key` ("service" or "node").
Result<std::string> task_filters(const Words& filters, const std::string& key, const Words& owners);

}  // namespace skep::cli
