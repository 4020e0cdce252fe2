// The restart supervisor: what becomes of a slot whose task has ended or lost its node.
//
// The old task is retired (desired SHUTDOWN) and, if the restart policy allows, a replacement is
// made in the same slot. The replacement is placed and prepared at once (desired READY) and
// released to RUNNING when its delay is over and the old task can no longer be running. There is no
// delay when the node died or was drained: waiting would only lengthen the outage (Docker waits 5 s
// after a death; see swarm-semantics §16.8).
//
// How often a slot has been restarted is not kept anywhere: it is counted from the tasks that the
// history keeps, which is why history keeps max_attempts + 1 of them (trim_history).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "core/model/id_source.hpp"
#include "core/store/draft.hpp"

namespace skep::orchestrator {

// Docker's defaults and caps (swarm-semantics §3, §7).
inline constexpr model::Nanoseconds kRestartDelayDefault = std::chrono::seconds(5);
inline constexpr model::Nanoseconds kOldTaskWaitMax = std::chrono::minutes(1);

enum class RestartCause : uint8_t { ended, node_gone, node_drained };

// A new task for a slot, not yet placed.
model::Task make_task(const model::Service& service, uint64_t slot, model::TaskId id,
                      model::WallTime now);

// True when the policy lets `newest`, which has ended or must end, have a successor.
bool may_restart(const store::View& view, const model::Task& newest, model::WallTime now);

// Retires `task` and makes its successor if the policy allows. Requires: task.desired <= RUNNING.
void restart(store::Draft& draft, const model::Task& task, RestartCause cause, model::WallTime now,
             model::IdSource& ids);

// Releases a task that waits in READY if its time has come; otherwise the time to look again.
std::optional<model::WallTime> release_if_due(store::Draft& draft, const model::Task& task,
                                              model::WallTime now);

// Deletes ended tasks of a slot beyond the history limit, oldest first (swarm-semantics §12).
void trim_history(store::Draft& draft, model::ServiceId service, uint64_t slot);

// True when nothing of the task can be running any more, as far as the managers may assume.
bool surely_over(const store::View& view, const model::Task& task);

}  // namespace skep::orchestrator
