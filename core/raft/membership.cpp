// Who belongs to the group, and who leads it next: changes that the leader is asked for.
//
// A change of voters goes through a joint configuration, in which both halves have to agree, and is
// ended by whoever leads once the joint one is committed; a leader that did not begin it finds it
// in its log and ends it all the same. Learners come and go in one entry, since they count for
// nothing.
//
// A leader that is not in the new configuration leads on, without counting itself, until the final
// entry is committed; then it hands over and steps down. Before that nobody else might know of the
// change; after it the group is no longer its own.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/raft/raft.hpp"

namespace skep::raft {
namespace {

// How long one that was removed is still told of it.
constexpr uint64_t kFarewellTicks = 2 * kElectionTicksMax;

Status not_yet(RaftId id, const std::string& why) {
  return fail(ErrorKind::precondition, "raft member " + std::to_string(id.value) + " " + why);
}

}  // namespace

void Raft::on(const ChangeConfiguration& change, Tick now, Output& out) {
  const auto drop = [&](Error why) { out.dropped.push_back({change.id, std::move(why)}); };
  if (broken_) return drop({ErrorKind::unavailable, broken_->message});
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return drop({ErrorKind::unavailable, "this manager is not the leader"});
  if (leader->handover) {
    return drop({ErrorKind::unavailable, "this manager is handing over its lead"});
  }
  Configuration next = change.configuration;
  next.disks = disks_for(next);
  if (Status may = may_change_to(next, now); !may) return drop(may.error());
  const std::vector<RaftId> voters = log_.configuration().voters;
  if (next.voters == voters) {
    const Index index = append(EntryKind::configuration, encode(next), now);
    leader->waiting.push_back({index, change.id});
    return;
  }
  next.outgoing = voters;
  next.disks = disks_for(next);
  append(EntryKind::configuration, encode(next), now);
  leader->member_change = change.id;
}

// Requires: this node leads.
Status Raft::may_change_to(const Configuration& wanted, Tick now) const {
  SKEP_TRY(check(wanted));
  if (wanted.is_joint()) return fail(ErrorKind::invalid, "raft: a joint configuration is no goal");
  const Leader& leader = std::get<Leader>(role_);
  const Configuration& present = log_.configuration();
  // An unfinished change of an earlier leader could otherwise still come to count, beside this one
  // and without a common quorum.
  if (commit_ < leader.first_index) {
    return fail(ErrorKind::precondition, "the leader has not committed anything in its term yet");
  }
  if (present.is_joint() || log_.configuration_index() > commit_) {
    return fail(ErrorKind::precondition, "another change of the manager group is not over");
  }
  for (const RaftId id : wanted.voters) {
    if (present.is_voter(id)) continue;
    const auto found = leader.others.find(id);
    if (!present.is_learner(id) || found == leader.others.end()) {
      return not_yet(id, "has to be a learner before it can vote");
    }
    const Progress& member = found->second;
    if (member.state() == ProgressState::refused) return not_yet(id, "has lost its data");
    // In a short log nobody lacks much; only what it has acknowledged shows that it takes part.
    if (!member.active(now) || !member.match()) return not_yet(id, "is not heard of");
    if (member.match().value + kCaughtUpEntries < log_.last_index().value) {
      return not_yet(id, "lacks " + std::to_string(log_.last_index().value - member.match().value) +
                             " entries; it can vote once it lacks no more than " +
                             std::to_string(kCaughtUpEntries));
    }
  }
  return {};
}

// What is known stays as long as the member does. One that becomes a voter has been heard of, or it
// would not have caught up.
std::vector<MemberDisk> Raft::disks_for(const Configuration& wanted) const {
  std::vector<MemberDisk> disks;
  for (const RaftId id : wanted.members()) {
    Incarnation incarnation = log_.configuration().disk_of(id);
    const auto heard = incarnations_.find(id);
    if (!incarnation && wanted.is_voter(id) && heard != incarnations_.end()) {
      incarnation = heard->second;
    }
    if (!incarnation && wanted.is_voter(id) && id == options_.self) {
      incarnation = options_.incarnation;
    }
    if (incarnation) disks.push_back({id, incarnation});
  }
  return disks;
}

// Keeps one Progress for each other member, and for a while for those that were removed: they
// should learn of it, or they would go on asking for votes.
void Raft::track_members(Tick now) {
  Leader& leader = std::get<Leader>(role_);
  const Configuration& configuration = log_.configuration();
  for (auto& [id, member] : leader.others) {
    if (configuration.contains(id)) {
      member.leaves_at.reset();
    } else if (!member.leaves_at) {
      member.leaves_at = Tick{now.value + kFarewellTicks};
    }
  }
  for (const RaftId id : configuration.members()) {
    if (id != options_.self) leader.others.try_emplace(id, log_.last_index(), now);
  }
}

// At the end of every step: a committed joint configuration is left.
void Raft::advance_membership(Tick now, Output&) {
  Leader* leader = std::get_if<Leader>(&role_);
  const Configuration& present = log_.configuration();
  if (leader == nullptr || commit_ < leader->first_index || !present.is_joint()) return;
  if (log_.configuration_index() > commit_) return;
  Configuration final = present;
  final.outgoing.clear();
  final.disks = disks_for(final);
  const Index index = append(EntryKind::configuration, encode(final), now);
  if (!leader->member_change) return;
  leader->waiting.push_back({index, *leader->member_change});
  leader->member_change.reset();
}

// --- handing over --------------------------------------------------------------------------

void Raft::on(const TransferLeadership& transfer, Tick now, Output&) {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  std::optional<RaftId> to = transfer.to;
  if (!*to) to = best_successor(now);
  if (!to || *to == options_.self || !log_.configuration().is_voter(*to)) return;
  leader->handover = Leader::Handover{*to, {now.value + kElectionTicksMin}, false};
}

// At the end of every step: goes once the next one has everything, or there is nothing to stay for.
void Raft::advance_handover(Tick now, Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  const Configuration& configuration = log_.configuration();
  if (!configuration.is_voter(options_.self) && log_.configuration_index() <= handed_out_) {
    return yield_leadership("this manager is no longer a voter", now, out);
  }
  if (!leader->handover || leader->handover->told) return;
  const auto member = leader->others.find(leader->handover->to);
  if (member == leader->others.end() || !configuration.is_voter(leader->handover->to)) {
    leader->handover.reset();
  } else if (member->second.match() == log_.last_index()) {
    leader->handover->told = true;
    send(member->first, TimeoutNow{}, out);
  }
}

void Raft::yield_leadership(const std::string& reason, Tick now, Output& out) {
  if (const std::optional<RaftId> next = best_successor(now)) send(*next, TimeoutNow{}, out);
  become_follower(hard_state_.term, {}, reason, now, out);
}

}  // namespace skep::raft
