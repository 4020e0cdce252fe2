// One step of consensus; see the header for the rules it keeps. Every step ends the same way:
// commit what may be, hand it out, let the members, the reads and the election move on, ask for the
// next persist, and answer whom the disk lets us answer.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/raft.hpp"

#include <algorithm>

#include "core/raft/forced_group.hpp"
#include "core/raft/quorum.hpp"
#include "core/raft/validate.hpp"

namespace skep::raft {
namespace {

// Incarnations kept in mind: of members, and of those who were or may become one.
constexpr size_t kIncarnationsMax = 2 * kMembersMax;

std::string member(RaftId id) {
  return "raft member " + std::to_string(id.value);
}

}  // namespace

Result<Raft> Raft::start(Options options, Restored restored, Tick now) {
  if (!options.self) return fail(ErrorKind::invalid, "raft: a member needs an id");
  // Of nobody until a joiner has the entry that made it a member, whatever it has applied by then.
  if (restored.snapshot.configuration != Configuration{}) {
    SKEP_TRY(check(restored.snapshot.configuration));
  }
  SKEP_TRY_ASSIGN(Log log, Log::restore(std::move(restored.snapshot), std::move(restored.entries)));
  if (restored.hard_state.commit > log.last_index()) {
    return fail(ErrorKind::internal,
                "raft log: entries up to " + std::to_string(restored.hard_state.commit.value) +
                    " were committed but the log ends at " +
                    std::to_string(log.last_index().value) + ": the disk lost data");
  }
  if (restored.hard_state.term < log.last_term()) {
    return fail(ErrorKind::internal,
                "raft log: its last entry is of term " + std::to_string(log.last_term().value) +
                    " but the stored term is " + std::to_string(restored.hard_state.term.value));
  }
  return Raft(std::move(options), std::move(log), restored.hard_state, now);
}

Raft::Raft(Options options, Log log, HardState hard_state, Tick now)
    : options_(std::move(options)),
      log_(std::move(log)),
      hard_state_(hard_state),
      durable_hard_state_(hard_state),
      commit_(std::max(hard_state.commit, log_.snapshot_index())),
      handed_out_(log_.snapshot_index()) {
  hard_state_.commit = commit_;
  wire_read_ = {options_.random()};
  Follower follower;
  // Nobody else could win or be disturbed, so a lone voter does not wait out a timeout.
  follower.election_at = alone() ? now : election_deadline(now);
  role_ = std::move(follower);
}

Output Raft::step(Input input, Tick now) {
  Output out;
  std::visit([&](auto&& one) { on(std::forward<decltype(one)>(one), now, out); }, std::move(input));
  if (broken_) return out;
  advance_election(now, out);
  advance_commit();
  hand_out_committed(out);
  advance_membership(now, out);
  replicate(now, out);
  serve_reads(out);
  ask_leader(now, out);
  advance_handover(now, out);
  ask_to_persist(now, out);
  acknowledge(out);
  return out;
}

RoleName Raft::role() const {
  if (std::holds_alternative<Leader>(role_)) return RoleName::leader;
  if (std::holds_alternative<Candidate>(role_)) return RoleName::candidate;
  return RoleName::follower;
}

bool Raft::leader_is_ready() const {
  const Leader* leader = std::get_if<Leader>(&role_);
  return leader != nullptr && handed_out_ >= leader->first_index;
}

RaftId Raft::leader() const {
  if (is_leader()) return options_.self;
  const Follower* follower = std::get_if<Follower>(&role_);
  return follower == nullptr ? RaftId{} : follower->leader;
}

bool Raft::transferring() const {
  const Leader* leader = std::get_if<Leader>(&role_);
  return leader != nullptr && leader->handover.has_value();
}

SnapshotPointer Raft::snapshot_pointer(Index applied) const {
  SKEP_ASSERT(applied <= handed_out_, "only applied entries go into a snapshot");
  SKEP_ASSERT(applied >= log_.snapshot_index(), "a snapshot never goes back");
  const std::optional<Term> term = log_.term_at(applied);
  SKEP_ASSERT(term.has_value(), "applied entries above the snapshot are in memory");
  return {applied, *term, log_.configuration_at(applied)};
}

// --- inputs --------------------------------------------------------------------------------

void Raft::on(const TimePassed&, Tick now, Output& out) {
  if (broken_) return;
  if (is_leader()) {
    lead(now, out);
  } else {
    election_timeout(now, out);
  }
}

void Raft::on(Propose proposal, Tick now, Output& out) {
  const auto drop = [&](ErrorKind kind, std::string why) {
    out.dropped.push_back({proposal.id, {kind, std::move(why)}});
  };
  if (broken_) return drop(ErrorKind::unavailable, broken_->message);
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return drop(ErrorKind::unavailable, "this manager is not the leader");
  if (leader->handover)
    return drop(ErrorKind::unavailable, "this manager is handing over its lead");
  if (proposal.bytes.size() > kEntryBytesMax) {
    return drop(ErrorKind::too_large, "a change of " + std::to_string(proposal.bytes.size()) +
                                          " bytes: the limit is " + std::to_string(kEntryBytesMax));
  }
  if (leader->uncommitted_bytes + proposal.bytes.size() > kUncommittedBytesMax) {
    return drop(ErrorKind::exhausted, "too many changes wait for the disk");
  }
  const Index index = append(EntryKind::normal, std::move(proposal.bytes), now);
  leader->waiting.push_back({index, proposal.id});
}

void Raft::on(const PersistDone& done, Tick, Output& out) {
  // Late, doubled or unasked for: it says nothing about what the log holds now.
  if (broken_) return;
  const bool install = log_.installing();
  if (!log_.complete_batch(done.epoch)) return;
  durable_hard_state_ = done.hard_state;
  if (install) installed(log_.snapshot(), out);
}

void Raft::on(const PersistFailed& failed, Tick now, Output& out) {
  if (broken_) return;
  broken_ = Error{ErrorKind::internal, "the raft log can't be written: " + failed.reason};
  become_follower(hard_state_.term, {}, broken_->message, now, out);
}

void Raft::on(const SnapshotTaken& taken, Tick, Output& out) {
  // An older one than the last is late and has nothing left to free.
  if (broken_ || taken.index <= log_.snapshot_index()) return;
  SKEP_ASSERT(taken.index <= handed_out_, "only applied entries go into a snapshot");
  out.compact_through = log_.compact(taken.index, taken.keep_entries);
}

// --- messages and terms --------------------------------------------------------------------

void Raft::on(Message message, Tick now, Output& out) {
  if (broken_) return;
  if (Status fit = admit(message); !fit) {
    out.refused.push_back({message.from, std::move(fit).error()});
    return;
  }
  if (!settle_term(message, now, out)) return;
  const Sender from{message.from, message.term};
  std::visit([&](auto& body) { receive(from, body, now, out); }, message.body);
}

Status Raft::admit(const Message& message) {
  if (message.cluster != options_.cluster) {
    return fail(ErrorKind::denied, "the sender belongs to another cluster");
  }
  if (message.generation != options_.generation) {
    return fail(ErrorKind::denied, "the sender is of generation " + text(message.generation) +
                                       " of this cluster; here it is generation " +
                                       text(options_.generation));
  }
  if (message.to != options_.self) {
    return fail(ErrorKind::denied, "meant for " + member(message.to));
  }
  SKEP_TRY(check_shape(message));
  // Of a voter the log knows it, also of one that is on its way out. Of whoever is none yet it is
  // kept in mind, so that the log can be told when it becomes one, and so that a learner does not
  // change its disk in between.
  const Incarnation logged = log_.disk_of(message.from);
  const auto heard = incarnations_.find(message.from);
  if (!logged && heard == incarnations_.end()) {
    if (incarnations_.size() < kIncarnationsMax) {
      incarnations_.emplace(message.from, message.incarnation);
    }
    return {};
  }
  if (message.incarnation != (logged ? logged : heard->second)) {
    return fail(ErrorKind::denied, member(message.from) +
                                       " came back with another disk; it has to join anew, under "
                                       "an id of its own");
  }
  // One that leaves the group is still heard of for a while, as who it was.
  if (heard == incarnations_.end() && incarnations_.size() < kIncarnationsMax) {
    incarnations_.emplace(message.from, logged);
  }
  return {};
}

// Brings the terms in line. False: nothing more is to be done with the message.
bool Raft::settle_term(const Message& message, Tick now, Output& out) {
  const VoteRequest* vote = std::get_if<VoteRequest>(&message.body);
  const AppendRequest* append = std::get_if<AppendRequest>(&message.body);
  const bool from_leader = append != nullptr || std::holds_alternative<SnapshotChunk>(message.body);
  if (message.term < hard_state_.term) {
    // A leader or candidate that is behind learns of the term, else it could stay cut off for ever:
    // its messages would count for nothing here, and ours are none it has to heed. The answer names
    // no round: if that member leads this term by the time it comes, it would take a round of its
    // old term for one of the new, and believe a read confirmed or entries lost.
    if (from_leader) {
      AppendReply reply;
      reply.rejected = true;
      send(message.from, reply, out);
    } else if (vote != nullptr) {
      send(message.from, VoteReply{vote->pre_vote, false}, out);
    }
    return false;
  }
  if (message.term == hard_state_.term) return true;
  if (vote != nullptr) {
    // Whoever has a living leader keeps faith with it: one that comes back from behind a cut, or
    // was removed, must not depose it by its term.
    if (!vote->transfer && leader_is_alive(now)) return false;
    if (vote->pre_vote) return true;
  }
  // The granted pre-vote carries the term that would be, which nobody is in yet.
  const VoteReply* reply = std::get_if<VoteReply>(&message.body);
  if (reply != nullptr && reply->pre_vote && reply->granted) return true;
  const std::string reason =
      from_leader ? member(message.from) + " leads" : member(message.from) + " is in a later term";
  become_follower(message.term, from_leader ? message.from : RaftId{}, reason, now, out);
  return true;
}

void Raft::become_follower(Term term, RaftId leader, const std::string& reason, Tick now,
                           Output& out) {
  SKEP_ASSERT(term >= hard_state_.term, "terms never go back");
  abandon_waiting(reason, out);
  if (term > hard_state_.term) {
    hard_state_.term = term;
    hard_state_.vote = {};
    granted_to_.reset();
  }
  Follower follower;
  follower.leader = leader;
  follower.election_at = election_deadline(now);
  follower.heard_at = now;
  role_ = std::move(follower);
  out.role_changes.push_back({RoleName::follower, hard_state_.term, leader, reason});
}

// Requires: the message is of the own term.
void Raft::hear_leader(RaftId leader, Tick now, Output& out) {
  SKEP_ASSERT(!is_leader(), "one leader in a term: this node leads and hears another");
  Follower* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || !follower->leader) {
    become_follower(hard_state_.term, leader, member(leader) + " leads", now, out);
    return;
  }
  SKEP_ASSERT(follower->leader == leader, "one leader in a term: this node hears two");
  follower->heard_at = now;
  follower->election_at = election_deadline(now);
}

// Whoever waits for an answer that only the present role could give is told at once.
void Raft::abandon_waiting(const std::string& reason, Output& out) {
  const auto fail_read = [&](ReadId read) {
    out.reads.push_back({read, fail(ErrorKind::unavailable, reason)});
  };
  if (const Follower* follower = std::get_if<Follower>(&role_)) {
    for (const ReadId read : follower->asking) fail_read(read);
    for (const ReadId read : follower->gathering) fail_read(read);
  }
  const Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  for (const Leader::Waiting& waiting : leader->waiting) {
    out.dropped.push_back({waiting.proposal, {ErrorKind::unknown_outcome, reason}});
  }
  if (leader->member_change) {
    out.dropped.push_back({*leader->member_change, {ErrorKind::unknown_outcome, reason}});
  }
  const auto fail_asked = [&](const Leader::Read& read) {
    if (!read.from) return fail_read(read.read);
    send(read.from, ReadIndexReply{read.read, std::nullopt}, out);
  };
  for (const Leader::Read& read : leader->reads) fail_asked(read);
  for (const Leader::Read& read : leader->reads_to_start) fail_asked(read);
}

void Raft::refuse(RaftId from, ErrorKind kind, std::string why, Output& out) const {
  out.refused.push_back({from, {kind, std::move(why)}});
}

void Raft::send(RaftId to, MessageBody body, Output& out) const {
  out.messages.push_back({options_.cluster, options_.generation, options_.incarnation,
                          options_.self, to, hard_state_.term, std::move(body)});
}

// --- the end of a step ---------------------------------------------------------------------

bool Raft::alone() const {
  return has_majority(log_.configuration(), [&](RaftId id) { return id == options_.self; });
}

void Raft::hand_out_committed(Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  const Index end = std::min(commit_, log_.durable());
  while (handed_out_ < end) {
    handed_out_ = handed_out_.next();
    Committed committed{log_.at(handed_out_), std::nullopt};
    if (leader != nullptr && !leader->waiting.empty() &&
        leader->waiting.front().index == handed_out_) {
      committed.proposal = leader->waiting.front().proposal;
      leader->waiting.pop_front();
    }
    out.committed.push_back(std::move(committed));
  }
}

bool Raft::disk_is_stalled(Tick now) const {
  return log_.batch_in_flight() && now.value - persist_asked_at_.value > kPersistStallTicks;
}

void Raft::ask_to_persist(Tick now, Output& out) {
  if (log_.batch_in_flight()) return;
  const bool install = arrival_is_complete();
  const bool vote_changed =
      hard_state_.term != durable_hard_state_.term || hard_state_.vote != durable_hard_state_.vote;
  // The commit index alone is not worth a flush: it is found again after a restart.
  if (!install && !log_.has_batch_to_write() && !vote_changed) return;
  epoch_ = epoch_.next();
  persist_asked_at_ = now;
  Persist persist;
  persist.epoch = epoch_;
  if (install) {
    log_.take_installation(epoch_, arrival_->at);
    persist.install = arrival_->at;
    hard_state_.commit = arrival_->at.index;
  } else {
    log_.take_batch(epoch_, &persist);
    // Never ahead of what this batch makes durable: after a restart that would look like a loss.
    hard_state_.commit = std::max(hard_state_.commit, std::min(commit_, log_.handed_out()));
  }
  persist.hard_state = hard_state_;
  out.persist = std::move(persist);
}

}  // namespace skep::raft
