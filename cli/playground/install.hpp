// Copies the programs and plugins that the nodes run into the playground's folder, owned by root.
//
// Plugins are code that runs as root, so skepd wants them where only root writes; and a rebuild of
// the tree must not change a running cluster under its feet. A changed file is replaced by a
// rename, so that running programs keep the one they started with.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/playground/layout.hpp"
#include "core/model/result.hpp"

namespace skep::cli::playground {

// Takes skep, skepd and everything in the plugins folder (../lib/skep/plugins, or ../plugins in a
// build folder) from beside the running program. A missing skepd is an error if it is wanted.
Status install_programs(const Layout& layout, bool with_skepd);

}  // namespace skep::cli::playground
