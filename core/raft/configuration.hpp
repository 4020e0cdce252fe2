// Who belongs to the group, and since which entry.
//
// A configuration takes effect when its entry is appended, not when it commits. The price is that
// a truncation must give the old one back, so the history keeps every configuration whose entry is
// in the log, on top of the snapshot's: after a restart two of them may look uncommitted, and a
// single "previous" would not do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/result.hpp"

namespace skep::raft {

// A count that can't be mistaken for another one.
template <class Tag>
struct Number {
  uint64_t value = 0;
  auto operator<=>(const Number&) const = default;
  explicit operator bool() const { return value != 0; }
  Number next() const { return {value + 1}; }
  Number previous() const { return {value - 1}; }  // Requires: not zero.
};

// Names a member for good: an id that was removed never comes back. Zero is nobody.
using RaftId = Number<struct RaftIdTag>;
// Of a member's disk: another one when it is wiped. Zero: not told.
using Incarnation = Number<struct IncarnationTag>;

// On which disk a member promised what it promised.
struct MemberDisk {
  RaftId member;
  Incarnation incarnation;
  bool operator==(const MemberDisk&) const = default;
};

// Joint while `outgoing` is not empty: electing and committing then take a majority of both halves
// (Ongaro's dissertation, 4.3).
struct Configuration {
  std::vector<RaftId> voters;    // sorted, without doubles
  std::vector<RaftId> learners;  // as above, and disjoint from the voters
  std::vector<RaftId> outgoing;  // as above: the voters before; may meet the two others
  // By member, each at most once. A member stands here from the entry on that makes it a voter, and
  // as long as it is a member: what it votes and acknowledges counts when it comes from that disk
  // and from no other, whoever leads and whoever was restarted (docs/decisions/0009).
  std::vector<MemberDisk> disks = {};
  bool operator==(const Configuration&) const = default;

  bool is_joint() const { return !outgoing.empty(); }
  // Of either half.
  bool is_voter(RaftId id) const;
  bool is_learner(RaftId id) const;
  bool contains(RaftId id) const { return is_voter(id) || is_learner(id); }
  // Everyone, sorted, without doubles.
  std::vector<RaftId> members() const;
  // The disk this member is known by; zero: it is not known by one.
  Incarnation disk_of(RaftId id) const;
};

// Members more than these would make an entry that can't be.
inline constexpr size_t kMembersMax = 1000;

// What an entry may hold: sorted, no doubles, disjoint, bounded, at least one voter, disks of
// members only. Error: invalid.
Status check(const Configuration& configuration);

std::string encode(const Configuration& configuration);
// Checks everything. Errors: invalid, or unimplemented for a version that is not known here.
Result<Configuration> decode_configuration(std::string_view bytes);
// The same for a snapshot: the configuration of nobody is allowed. It is what a member that has
// joined has on its disk until the entry that made it one, and in a snapshot it took before that.
Result<Configuration> decode_first_configuration(std::string_view bytes);

class ConfigurationHistory {
 public:
  using Index = Number<struct IndexTag>;

  ConfigurationHistory(Index snapshot, Configuration configuration);

  const Configuration& effective() const { return steps_.back().second; }
  Index effective_since() const { return steps_.back().first; }
  // The one in force at `index`, which is not below the snapshot's.
  const Configuration& at(Index index) const;
  // In the one in force at `index`, which is not below the snapshot's, or in any later one.
  bool is_voter_since(Index index, RaftId id) const;
  // The disk this member is known by in the last one that knows it by one: also after it has left,
  // as long as that is remembered. Zero: none does.
  Incarnation disk_of(RaftId id) const;
  // Requires: index is above all earlier ones.
  void append(Index index, Configuration configuration);
  // Forgets the configurations of entries from `first` on. The snapshot's always stays.
  void truncate_from(Index first);
  // A snapshot now ends at `index`: what was in force there becomes the base.
  void rebase(Index index);

 private:
  std::vector<std::pair<Index, Configuration>> steps_;  // never empty; [0] is the snapshot's
};

}  // namespace skep::raft
