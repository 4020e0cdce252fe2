// The playground's wires: a network namespace per node, each with a cable to one bridge.
//
// The bridge and the registry live in a namespace of their own, so the host's network never
// changes. "Cut" takes the bridge's end of a cable down: the node keeps its address and sees
// silence, and no FIN or RST can leave it, as with a pulled plug. Works through the `ip` program
// and may be repeated.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/playground/layout.hpp"
#include "core/model/result.hpp"

namespace skep::cli::playground {

enum class Link { up, down, missing };

bool netns_exists(const std::string& name);

// The bridge's namespace, the bridge, and its address NET.1.
Status ensure_bridge(const Layout& layout);

// The node's namespace, its cable (eth0 inside, the node's name outside) and its address; link up.
Status ensure_node_network(const Node& node);

Status set_link(const Node& node, Link state);  // up or down
Link link_state(const Node& node);

// Takes the node's cable and namespace away; what isn't there is no error.
Status remove_node_network(const Node& node);
Status remove_bridge();

}  // namespace skep::cli::playground
