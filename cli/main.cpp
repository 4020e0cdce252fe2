// skep, the command line: declares every family of commands, then runs the one that was named.
//
// The words and columns are docker's, so that `skep` can be typed in its place. This file only
// knows the families; each declares its own grammar.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/commands.hpp"
#include "cli/grammar.hpp"
#include "cli/playground/commands.hpp"

int main(int argc, char** argv) {
  using namespace skep::cli;
  Session session;
  Grammar grammar("skep", "A container cluster", "skep version " SKEP_VERSION);
  const Command root = grammar.root();
  root.text("-H,--host", session.host, "string",
            "Daemon socket to connect to (default SKEP_HOST, then DOCKER_HOST, then "
            "unix:///run/skep/skep.sock)");
  add_system_commands(root, session);
  add_swarm_commands(root, session);
  add_snapshot_commands(root, session);
  add_node_commands(root, session);
  add_service_commands(root, session);
  add_network_commands(root, session);
  add_volume_commands(root, session);
  add_plugin_commands(root, session);
  add_inspect_commands(root, session);
  add_event_commands(root, session);
  add_image_commands(root, session);

  add_container_list(root, "ps", session);
  add_container_commands(root, session);
  add_log_command(root, session);
  add_exec_command(root, session);
  const Command containers = root.group("container", "Manage containers");
  add_container_list(containers, "ls", session);
  add_container_commands(containers, session);
  add_log_command(containers, session);
  add_exec_command(containers, session);
  add_inspect_of(containers, "container", session);

  add_playground_commands(grammar.library_app());
  return grammar.parse_and_run(argc, argv);
}
