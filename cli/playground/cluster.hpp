// Makes one cluster out of the playground's nodes, through the Engine API like any user would.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/playground/layout.hpp"
#include "core/model/result.hpp"

namespace skep::cli::playground {

// The first node becomes the manager, the others join as workers; what is already formed stays as
// it is. Returns when every node is ready, or with what was missing at the deadline.
Status form_cluster(const Layout& layout);

// "manager", "worker", "inactive", ..., or "-" when the node's daemon doesn't answer.
std::string cluster_state(const Node& node);

}  // namespace skep::cli::playground
