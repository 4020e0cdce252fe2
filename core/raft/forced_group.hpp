// A group begun anew with one of its members, when a majority of the old one is gone for good.
//
// Nothing the survivor holds is dropped: it can't know which of its entries the others had
// committed when they went, so all of them count as committed. Behind them comes one entry more, of
// a term above every term it has seen: the configuration of the survivor alone. Configuration takes
// effect on append (docs/decisions/0007), so whatever configurations lie below, joint ones and
// those that had removed the survivor included, have nothing more to say.
//
// What keeps the old members out is the generation: it is in every message, and another one is
// refused (Raft::admit). Two survivors that are forced each by itself must not be taken for one
// group, so a generation is a count and 32 random bits: 0 to 2^32 - 1 is the first one, and each
// next has a count one higher in its upper half.
//
// Pure: says what is to be persisted, in one transaction.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/raft/types.hpp"

namespace skep::raft {

// How often the group was begun anew before, plus one.
inline uint64_t ordinal(Generation generation) {
  return (generation.value >> 32) + 1;
}
// One ordinal higher.
Generation next_generation(Generation present, uint32_t random);
// For people: "3", or of a group that was forced "2 (9f3a12bc)".
std::string text(Generation generation);

// What makes `self`, whose log `held` is, the only voter. `after` are entries for the state
// machine that belong to the same decision; they follow the configuration and are committed with
// it. Errors: as Raft::start; precondition when `held` has nothing of the group, as a joiner's that
// was never sent anything.
Result<Persist> force_group_of_one(const Restored& held, MemberDisk self,
                                   std::vector<std::string> after);

}  // namespace skep::raft
