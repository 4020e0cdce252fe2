// The playground as a whole: up, down, and what is there.
//
// `up` is a list of steps each of which looks at what is there and adds what is missing, so it may
// be repeated, also after it was killed half-way. `down` looks for everything by name and asks
// nobody, so it also clears half a playground. Both hold a lock, so two of them never work at once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/playground/layout.hpp"
#include "cli/playground/node.hpp"
#include "core/model/result.hpp"

namespace skep::cli::playground {

struct UpOptions {
  bool form_cluster = true;
  bool with_skepd = true;  // false: containerd only, for tests of the playground itself
};

// Prints a line for each step that is done. Fails with `conflict` when another folder's playground
// is up or this one was made with other settings.
Status up(const Settings& settings, const UpOptions& options);

// Leaves no namespace, process, cgroup or file of this playground. Fine when there is none.
Status down(const Settings& settings);

// One line per node, as a table on stdout.
Status show_status(const Layout& layout);

// Boots the node if it is down, and starts what is missing of containerd and skepd.
Status start_node(const Layout& layout, const Node& node, const StartOptions& options);

}  // namespace skep::cli::playground
