// The operator: makes members, promotes, demotes, removes and replaces them, one change at a time.
//
// It asks whoever leads, and knows what became of it from the answer. It keeps the rule that a
// careful operator keeps: no change that leaves a group without a majority of members whose disks
// are well. The same rule bounds how many disks the faults may destroy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "core/raft/types.hpp"

namespace skep::sim {

class World;

class Membership {
 public:
  explicit Membership(World& world) : world_(world) {}

  // The first members, each with a blank disk before.
  void found();
  void change();
  void transfer();
  void changed(raft::ProposalId id, const raft::Entry& entry);
  void dropped(raft::ProposalId id, const Error& why);
  // Takes a member off its host, if it still lives there and no configuration that a leader has
  // names it.
  void retire(int host, raft::RaftId member);
  // Whether a group could still decide if this member's disk were gone too.
  bool may_lose(raft::RaftId member) const;
  // Whether each log that names this member says which disk is its own: one that never was a voter
  // has promised nothing, and may come in with another disk.
  bool is_known_by_disk(raft::RaftId member) const;
  bool change_is_pending() const { return pending_.has_value(); }
  raft::Incarnation next_incarnation() { return {++last_incarnation_}; }

 private:
  struct Pending {
    raft::ProposalId id;
    uint64_t since_us = 0;
    std::vector<raft::RaftId> removed;
  };

  std::optional<int> leader() const;
  std::optional<raft::Configuration> next(const raft::Configuration& now);
  raft::RaftId join();
  void reclaim();
  bool is_well(raft::RaftId member) const;
  bool is_safe(const raft::Configuration& configuration) const;

  World& world_;
  uint64_t last_member_ = 0;
  uint64_t last_incarnation_ = 100;
  std::optional<Pending> pending_;
};

}  // namespace skep::sim
