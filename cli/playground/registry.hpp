// The playground's image registry: Debian's docker-registry, on the bridge, filled by a real push.
//
// Images go in through the registry's HTTP API from a thread that has moved into the bridge's
// network namespace (a namespace belongs to a thread, so nothing else of the process moves), and
// nodes pull them out like from any registry: no step of a pull is replaced by a copy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "cli/playground/image_builder.hpp"
#include "cli/playground/layout.hpp"
#include "cli/playground/process.hpp"
#include "core/model/result.hpp"

namespace skep::cli::playground {

std::optional<Process> find_registry(const Layout& layout);

// Starts it if it doesn't run, and waits until it answers. Requires: ensure_bridge.
Status start_registry(const Layout& layout);

// Sends what the registry doesn't have yet. Blocks; each request has a deadline.
Status push_images(const Layout& layout, const std::vector<Image>& images);

Status stop_registry(const Layout& layout);

}  // namespace skep::cli::playground
