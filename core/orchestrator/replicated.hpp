// Replicated services: as many slots as the spec wants, each with one task that should run.
//
// A *slot* is the identity (service, number); it outlives its tasks. A slot counts as present while
// one of its tasks is wanted, or while its newest task ended and the policy says to leave it at
// that. Missing slots are filled from the lowest free number; too many are taken away from the
// fullest nodes first, so that what is left stays spread (swarm-semantics §4). Nothing is ever
// moved back to a returning node.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/id_source.hpp"
#include "core/model/result.hpp"
#include "core/store/draft.hpp"

namespace skep::orchestrator {

// Brings the tasks of a service to what its spec says. A service that is gone loses all its tasks.
void reconcile(store::Draft& draft, model::ServiceId id, model::WallTime now, model::IdSource& ids);

// Wants the task gone, record and all; deletes the record at once when nothing of it can be
// running.
void remove_task(store::Draft& draft, const model::Task& task);

}  // namespace skep::orchestrator
