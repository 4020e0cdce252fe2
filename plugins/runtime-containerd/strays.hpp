// Shims without a task. When the client of a task's creation is killed, containerd takes away what
// it had made so far; that takes a while, during which the id can't be used again, and when the cut
// comes while the shim sets up the container, containerd forgets the shim and its logger runs on
// for ever (seen in one of thirty). A shim's bundle folder is the last thing that goes: one that
// still serves out of a deleted folder, and has no task, is lost for sure and is killed here.
//
// Whose a shim is stands on its command line: namespace, container id and containerd's address. The
// ids are asked for by the caller, who has them from records or leases with our label. Where
// containerd runs out of this process's sight, nothing is found and nothing done.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <set>
#include <string>

#include "runtime-containerd/config.hpp"

namespace skep::containerd {

// Waits until no container of `ids` without a task has a shim any more, and kills those that are
// lost, or that are still there after 15 s. `has_task` is asked now and then; may throw. Blocks,
// but returns at once when there is no such shim.
void end_strays(const Config& config, const std::set<std::string>& ids,
                const std::function<bool(const std::string& id)>& has_task);

}  // namespace skep::containerd
