// What must hold whatever happens, looked at after every step. The numbers are those of the list
// of invariants in the design notes, which the comments here restate.
//
// The checker sees what a member asks its disk for and what it hands out, never its memory. For
// each member it keeps the log that its disk holds, as a chain of hashes: two logs that agree at an
// index agree below it. One more chain is the truth: entry by entry, whatever was first handed out
// as committed by anybody.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/raft/raft.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/state_machine.hpp"

namespace skep::sim {

class Checker {
 public:
  explicit Checker(bool store);

  // Keeps the first failure; the world stops after the event it happened in.
  void fail(std::string what);
  const std::optional<std::string>& failure() const { return failure_; }

  // A process found this on its disk: nothing of what it had been told is durable may miss.
  void started(const Contents& found);
  // The member's disk is gone for good.
  void forget(raft::RaftId member);
  // Its disk is gone, and what goes by its id from now on is not of the group: it is not looked at,
  // but must never lead. What the disk had counts for what was committed by it.
  void disown(raft::RaftId member) { disowned_.insert(member); }
  void asked(raft::RaftId member, const raft::Persist& batch, const raft::Raft& raft);
  void durable(raft::RaftId member, const raft::Persist& batch);
  void sent(const raft::Message& message);
  void stepped(const raft::Raft& raft, const raft::Output& out);
  // The member's own state machine said `applied` (null: not an operation), and has this hash
  // (nullopt: not computed for this index).
  void applied(raft::RaftId member, raft::Index index, const Applied* applied,
               std::optional<uint64_t> state_hash);
  void loaded(raft::RaftId member, const raft::SnapshotPointer& at, uint64_t state_hash);

  void refused(uint64_t attempt);
  void acknowledged(const Operation& operation);
  // Nothing older may be read by who begins to read now.
  raft::Index read_floor() const { return {commit_terms_.size() - 1}; }

  raft::Index committed() const { return {truth_.size() - 1}; }
  uint64_t leaders() const { return leaders_.size(); }
  // The configuration that a member's log ends in; nullptr: never started.
  const raft::Configuration* configuration_of(raft::RaftId member) const;

 private:
  struct Cell {
    raft::Term term;
    uint64_t chain = 0;
  };
  struct Truth {
    raft::Term term;
    uint64_t chain = 0;
    std::optional<uint64_t> result;
    std::optional<uint64_t> state_hash;  // of the state after it
  };
  struct Member {
    bool known = false;
    raft::HardState asked;
    raft::HardState durable;
    std::vector<Cell> log;  // [0] is before the first entry
    uint64_t durable_last = 0;
    std::vector<std::pair<raft::Index, raft::Configuration>> configurations;
    raft::Index handed_out;
    raft::Index commit;
    raft::Term term;
    raft::RoleName role = raft::RoleName::follower;
  };

  Member& member(raft::RaftId id);
  void append(Member& to, raft::RaftId id, const raft::Entry& entry);
  void install(Member& to, const raft::SnapshotPointer& at);
  void check_configurations(const raft::Configuration& before, const raft::Configuration& after);
  void check_configuration(const Member& of, const raft::Raft& raft);
  void check_truncation(const Member& of, raft::RaftId id, raft::Index from);
  void check_new_leader(const raft::Raft& raft);
  void check_commit(const raft::Raft& raft);
  void check_handed_out(Member& by, const raft::Raft& raft, const raft::Entry& entry);
  void extend_truth(const raft::Entry& entry, uint64_t chain);
  void check_sent(const Member& from, const raft::Message& message, const raft::AppendRequest& b);

  std::optional<std::string> failure_;
  std::vector<Member> members_;
  std::vector<Truth> truth_;
  std::vector<raft::Term> commit_terms_;  // by index: of whoever was first to know it committed
  std::vector<std::map<raft::Term, uint64_t>> chains_;  // by index: of every entry ever written
  std::map<raft::Term, raft::RaftId> leaders_;
  std::map<std::pair<raft::RaftId, raft::Term>, raft::RaftId> votes_;
  std::unique_ptr<StateMachine> machine_;  // applies the truth
  std::set<raft::RaftId> disowned_;
  std::set<uint64_t> refused_;
  std::set<uint64_t> attempts_;                                // that were committed
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> effects_;  // by client and sequence
};

// Whether `holders` is a quorum of both halves.
template <class Holds>
bool is_quorum(const raft::Configuration& configuration, const Holds& holds) {
  for (const std::vector<raft::RaftId>* half : {&configuration.voters, &configuration.outgoing}) {
    size_t count = 0;
    for (const raft::RaftId id : *half) count += holds(id) ? 1 : 0;
    if (!half->empty() && count * 2 <= half->size()) return false;
  }
  return !configuration.voters.empty();
}

}  // namespace skep::sim
