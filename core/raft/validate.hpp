// What a peer may say: a message is looked at once, before any rule of consensus sees it.
//
// A peer may be old, wiped, confused or broken; none of that may end this process. So everything
// that later code takes for granted about the shape of a message is checked here, and a message
// that fails is refused with a sentence. What can only be judged by the state of this member
// (terms, logs, incarnations) is judged where that state is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/raft/types.hpp"

namespace skep::raft {

// Error: invalid.
Status check_shape(const Message& message);

}  // namespace skep::raft
