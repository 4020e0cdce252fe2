// The configuration files of a node's containerd and skepd.
//
// containerd keeps images and snapshots in the node's folder (its disk) but its state in the node's
// own /run, which a power cut empties. Pulls from docker.io go to the playground's registry, and
// nowhere else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/playground/layout.hpp"
#include "core/model/result.hpp"

namespace skep::cli::playground {

// Makes the node's folders and writes containerd.toml, certs.d/ and skepd.toml anew.
Status write_node_config(const Layout& layout, const Node& node);

}  // namespace skep::cli::playground
