// What the rows say when one manager begins the group anew by itself: after the others were lost
// for good, or from a snapshot on an empty machine.
//
// The survivor is a manager, whatever was decided about it before. The managers of the old group
// are workers from now on: none of them is of the group, so nothing else would be true, and one
// that comes back learns it from its row, gives up its log and goes on with its containers
// (docs/decisions/0010). Services, tasks and everything else stay as they are; what a dead node ran
// moves when its lease has run out, as always.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/store/draft.hpp"

namespace skep::planner {

// `survivor.manager` says under which raft id; no id at or below it is given out again. Its
// certificate is blocked no more. Errors: precondition when there is no cluster.
Status found_anew(store::Draft& draft, model::Node survivor);

}  // namespace skep::planner
