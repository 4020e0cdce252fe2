// The first process of a node: PID 1 of its PID namespace, and the whole node hangs on it.
//
// It makes the machine look like one that has just booted (own /proc, empty /run, own hostname and
// hosts file), then starts and ends containerd and skepd as the control socket asks, and reaps
// orphans. It restarts nothing: what dies stays dead until the playground says `start`, because
// tests want to look at a node without its skepd. SIGKILL of this process is the power cut: the
// kernel ends every process of the node, and its mounts go with its mount namespace.
//
// Control protocol, one line each way on DIR/NODE/control.sock: "start PROGRAM", "kill PROGRAM" or
// "alive PROGRAM", where PROGRAM is containerd or skepd, answered by "ok" or "error REASON".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/playground/layout.hpp"
#include "core/model/result.hpp"

namespace skep::cli::playground {

// The hidden command's arguments, program left out: also how the process is found in /proc.
std::vector<std::string> node_init_arguments(const Layout& layout, const Node& node);

// Runs as that process; returns only when it can't (the node ends with it).
Status run_node_init(const Layout& layout, const Node& node);

// Says one line to a node's init and reads its answer. Blocks for at most a few seconds.
Status ask_node_init(const Node& node, const std::string& line);

}  // namespace skep::cli::playground
