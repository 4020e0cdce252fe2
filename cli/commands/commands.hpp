// The families of commands; each function adds its own to the grammar. `session` must outlive it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/daemon.hpp"
#include "cli/grammar.hpp"

namespace skep::cli {

void add_system_commands(Command root, const Session& session);    // version, info
void add_swarm_commands(Command root, const Session& session);     // swarm ...
void add_swarm_ca(const Command& group, const Session& session);   // swarm ca
void add_snapshot_commands(Command root, const Session& session);  // snapshot save, restore
void add_node_commands(Command root, const Session& session);      // node ...
void add_service_commands(Command root, const Session& session);   // service ...
void add_plugin_commands(Command root, const Session& session);    // plugin ...
void add_plugin_inspect(const Command& group, const Session& session);
void add_plugin_new(const Command& group);
void add_plugin_run(const Command& group);
void add_plugin_test(const Command& group);
void add_network_commands(Command root, const Session& session);  // network ls, inspect
void add_volume_commands(Command root, const Session& session);   // volume ...
void add_event_commands(Command root, const Session& session);    // events
void add_inspect_commands(Command root, const Session& session);  // inspect
// "inspect" in the group of one kind, e.g. "image": nothing else is looked for.
void add_inspect_of(Command parent, std::string_view kind, const Session& session);
// These stand at the root and, as docker has it, under "container" and "image" too.
void add_container_commands(Command parent, const Session& session);  // stop, kill, rm, wait
void add_container_list(Command parent, std::string_view name, const Session& session);
void add_log_command(Command parent, const Session& session);
void add_service_logs(const Command& group, const Session& session);  // service logs
void add_exec_command(Command parent, const Session& session);
void add_image_commands(Command root, const Session& session);  // images, pull, rmi, image ...

}  // namespace skep::cli
