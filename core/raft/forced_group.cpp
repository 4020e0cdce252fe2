// One configuration above everything; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/forced_group.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/raft/log.hpp"

namespace skep::raft {
namespace {

Entry entry_of(Term term, Index index, EntryKind kind, std::string bytes) {
  return {term, index, kind, std::make_shared<const std::string>(std::move(bytes))};
}

}  // namespace

Generation next_generation(Generation present, uint32_t random) {
  return {(ordinal(present) << 32) | random};
}

std::string text(Generation generation) {
  if (ordinal(generation) == 1) return std::to_string(generation.value);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%llu (%08llx)",
                static_cast<unsigned long long>(ordinal(generation)),
                static_cast<unsigned long long>(generation.value & 0xffffffffU));
  return text.data();
}

Result<Persist> force_group_of_one(const Restored& held, MemberDisk self,
                                   std::vector<std::string> after) {
  if (!self.member) return fail(ErrorKind::invalid, "raft: a member needs an id");
  SKEP_TRY_ASSIGN(const Log log, Log::restore(held.snapshot, held.entries));
  if (!log.last_index() && log.configuration() == Configuration{}) {
    return fail(ErrorKind::precondition, "this member holds nothing of the group");
  }
  if (held.hard_state.commit > log.last_index()) {
    return fail(ErrorKind::internal, "raft log: it ends before what was committed");
  }
  Persist persist;
  const Term term = std::max(held.hard_state.term, log.last_term()).next();
  Index index = log.last_index().next();
  const Configuration alone{{self.member}, {}, {}, {self}};
  SKEP_TRY(check(alone));
  persist.entries.push_back(entry_of(term, index, EntryKind::configuration, encode(alone)));
  for (std::string& bytes : after) {
    index = index.next();
    persist.entries.push_back(entry_of(term, index, EntryKind::normal, std::move(bytes)));
  }
  // As if it had been elected in that term, by itself, and had led it.
  persist.hard_state = {term, self.member, index};
  return persist;
}

}  // namespace skep::raft
