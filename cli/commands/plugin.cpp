// `skep plugin`: the drivers of a daemon, and the workbench of those who write them.
//
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"

namespace skep::cli {

void add_plugin_commands(Command root, const Session& session) {
  const Command group = root.group("plugin", "Manage and develop plugins");
  add_plugin_inspect(group, session);
  add_plugin_new(group);
  add_plugin_run(group);
  add_plugin_test(group);
}

}  // namespace skep::cli
