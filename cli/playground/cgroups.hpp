// The cgroups that a node left behind: /skep/NODE in every hierarchy there is.
//
// The kernel keeps a cgroup when the last process in it ends, so a node that lost its power leaves
// them; on a real machine the reboot clears them, here this does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/model/result.hpp"

namespace skep::cli::playground {

// Removes /skep/NODE below every hierarchy (v1, unified, v2), and /skep when that leaves it empty.
// The node's processes must be dead; waits a few seconds for the kernel to notice that they are.
Status remove_node_cgroups(const std::string& node_name);

}  // namespace skep::cli::playground
