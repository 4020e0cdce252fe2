// One step of consensus; see the header for the rules it keeps. Every step ends the same way:
// commit what may be, hand out what is committed, answer reads, ask for the next persist.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/raft.hpp"

#include <algorithm>

namespace skep::raft {
namespace {

Status only_one_voter(const Configuration& configuration) {
  if (configuration.voters.size() != 1 || !configuration.learners.empty() ||
      configuration.is_joint()) {
    return fail(ErrorKind::unimplemented,
                "a manager group of " + std::to_string(configuration.voters.size()) +
                    " voters and " + std::to_string(configuration.learners.size()) +
                    " learners: this version carries one voter");
  }
  return {};
}

}  // namespace

Result<Raft> Raft::start(Options options, Restored restored, Tick now) {
  for (const Entry& entry : restored.entries) {
    // Every one in the log, not the last alone: any of them may be the one that committed.
    if (entry.kind != EntryKind::configuration) continue;
    SKEP_TRY_ASSIGN(const Configuration configuration, decode_configuration(*entry.bytes));
    SKEP_TRY(only_one_voter(configuration));
  }
  SKEP_TRY(only_one_voter(restored.snapshot.configuration));
  SKEP_TRY_ASSIGN(Log log, Log::restore(std::move(restored.snapshot), std::move(restored.entries)));
  if (!log.configuration().is_voter(options.self)) {
    return fail(ErrorKind::precondition,
                "raft member " + std::to_string(options.self.value) + " is not a voter");
  }
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
  // Nobody else could win or be disturbed, so a lone voter does not wait out a timeout.
  role_ = Follower{{}, alone() ? now : election_deadline(now)};
}

Output Raft::step(Input input, Tick now) {
  Output out;
  std::visit([&](auto&& one) { on(std::forward<decltype(one)>(one), now, out); }, std::move(input));
  if (broken_) return out;
  advance_commit();
  hand_out_committed(out);
  answer_reads(out);
  ask_to_persist(out);
  return out;
}

RoleName Raft::role() const {
  if (std::holds_alternative<Leader>(role_)) return RoleName::leader;
  if (std::holds_alternative<Candidate>(role_)) return RoleName::candidate;
  return RoleName::follower;
}

bool Raft::leader_is_ready() const {
  const Leader* leader = std::get_if<Leader>(&role_);
  return leader != nullptr && commit_ >= leader->first_index;
}

SnapshotPointer Raft::snapshot_pointer(Index applied) const {
  SKEP_ASSERT(applied <= handed_out_, "only applied entries go into a snapshot");
  SKEP_ASSERT(applied >= log_.snapshot_index(), "a snapshot never goes back");
  const std::optional<Term> term = log_.term_at(applied);
  SKEP_ASSERT(term.has_value(), "applied entries above the snapshot are in memory");
  return {applied, *term, log_.configuration_at(applied)};
}

// --- inputs --------------------------------------------------------------------------------

void Raft::on(TimePassed, Tick now, Output& out) {
  if (broken_) return;
  if (const Follower* follower = std::get_if<Follower>(&role_)) {
    if (now >= follower->election_at) campaign(now, out);
  } else if (Candidate* candidate = std::get_if<Candidate>(&role_)) {
    // A lone candidate waits for its own disk; a new term would only ask the disk for more.
    if (now >= candidate->retry_at && !alone()) campaign(now, out);
  }
}

void Raft::on(Propose proposal, Tick, Output& out) {
  const auto drop = [&](ErrorKind kind, std::string why) {
    out.dropped.push_back({proposal.id, {kind, std::move(why)}});
  };
  if (broken_) return drop(ErrorKind::unavailable, broken_->message);
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return drop(ErrorKind::unavailable, "this manager is not the leader");
  if (proposal.bytes.size() > kEntryBytesMax) {
    return drop(ErrorKind::too_large, "a change of " + std::to_string(proposal.bytes.size()) +
                                          " bytes: the limit is " + std::to_string(kEntryBytesMax));
  }
  if (leader->uncommitted_bytes + proposal.bytes.size() > kUncommittedBytesMax) {
    return drop(ErrorKind::exhausted, "too many changes wait for the disk");
  }
  leader->uncommitted_bytes += proposal.bytes.size();
  const Index index = append(EntryKind::normal, std::move(proposal.bytes));
  leader->waiting.push_back({index, proposal.id});
}

void Raft::on(ChangeConfiguration change, Tick, Output& out) {
  out.dropped.push_back(
      {change.id, {ErrorKind::unimplemented, "changing the members of the manager group"}});
}

// A group of one has nobody to hand over to, and a snapshot that nobody sends.
void Raft::on(const TransferLeadership&, Tick, Output&) {}
void Raft::on(const ChunkRead&, Tick, Output&) {}
void Raft::on(const ChunkStored&, Tick, Output&) {}

void Raft::on(ReadRequest read, Tick, Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) {
    const std::string why = broken_ ? broken_->message : "this manager is not the leader";
    out.reads.push_back({read.id, fail(ErrorKind::unavailable, why)});
  } else if (leader->reads.size() >= kPendingReadsMax) {
    out.reads.push_back({read.id, fail(ErrorKind::exhausted, "too many reads wait for a leader")});
  } else {
    leader->reads.push_back(read.id);
  }
}

void Raft::on(PersistDone done, Tick, Output& out) {
  // Late, doubled or unasked for: it says nothing about what the log holds now.
  if (broken_ || !log_.complete_batch(done.epoch)) return;
  durable_hard_state_ = done.hard_state;
  count_own_vote(done.hard_state, out);
}

void Raft::on(PersistFailed failed, Tick now, Output& out) {
  if (broken_) return;
  broken_ = Error{ErrorKind::internal, "the raft log can't be written: " + failed.reason};
  give_up_role(broken_->message, now, out);
}

void Raft::on(SnapshotTaken taken, Tick, Output& out) {
  // An older one than the last is late and has nothing left to free.
  if (broken_ || taken.index <= log_.snapshot_index()) return;
  SKEP_ASSERT(taken.index <= handed_out_, "only applied entries go into a snapshot");
  out.compact_through = log_.compact(taken.index, taken.keep_entries);
}

void Raft::on(Message message, Tick, Output& out) {
  const auto refuse = [&](ErrorKind kind, std::string why) {
    out.refused.push_back({message.from, {kind, std::move(why)}});
  };
  if (message.cluster != options_.cluster) {
    return refuse(ErrorKind::denied, "the sender belongs to another cluster");
  }
  if (message.to != options_.self) {
    return refuse(ErrorKind::denied, "meant for raft member " + std::to_string(message.to.value));
  }
  refuse(ErrorKind::unimplemented, "messages between managers: this version carries one voter");
}

// --- elections -----------------------------------------------------------------------------

bool Raft::alone() const {
  return log_.configuration().voters.size() == 1 && log_.configuration().is_voter(options_.self);
}

Tick Raft::election_deadline(Tick now) {
  // Modulo, not std::uniform_int_distribution: that one differs between standard libraries, and a
  // seed has to give the same run everywhere.
  const uint64_t spread = kElectionTicksMax - kElectionTicksMin + 1;
  return {now.value + kElectionTicksMin + options_.random() % spread};
}

// The pre-vote of a lone voter is its own and costs nothing, so it is not a state here.
void Raft::campaign(Tick now, Output& out) {
  hard_state_.term = hard_state_.term.next();
  hard_state_.vote = options_.self;
  role_ = Candidate{election_deadline(now), {}};
  out.role_changes.push_back({RoleName::candidate, hard_state_.term, {}, "no leader is known"});
}

void Raft::count_own_vote(const HardState& durable, Output& out) {
  Candidate* candidate = std::get_if<Candidate>(&role_);
  if (candidate == nullptr || durable.term != hard_state_.term || durable.vote != options_.self) {
    return;
  }
  if (!log_.configuration().is_voter(options_.self)) return;
  candidate->granted = {options_.self};
  if (candidate->granted.size() > log_.configuration().voters.size() / 2) become_leader(out);
}

void Raft::become_leader(Output& out) {
  // What the last term left uncommitted still takes room until this term's no-op commits it.
  size_t uncommitted = 0;
  for (Index i = commit_.next(); i <= log_.last_index(); i = i.next()) {
    uncommitted += log_.at(i).bytes->size();
  }
  Leader leader;
  leader.first_index = append(EntryKind::noop, {});
  leader.uncommitted_bytes = uncommitted;
  role_ = std::move(leader);
  out.role_changes.push_back(
      {RoleName::leader, hard_state_.term, options_.self, "elected by a majority"});
}

void Raft::give_up_role(const std::string& reason, Tick now, Output& out) {
  if (const Leader* leader = std::get_if<Leader>(&role_)) {
    for (const Leader::Waiting& waiting : leader->waiting) {
      out.dropped.push_back({waiting.proposal, {ErrorKind::unknown_outcome, reason}});
    }
    for (const ReadId read : leader->reads) {
      out.reads.push_back({read, fail(ErrorKind::unavailable, reason)});
    }
  }
  role_ = Follower{{}, election_deadline(now)};
  out.role_changes.push_back({RoleName::follower, hard_state_.term, {}, reason});
}

// --- replication ---------------------------------------------------------------------------

Index Raft::append(EntryKind kind, std::string bytes) {
  const Index index = log_.last_index().next();
  log_.append(
      {hard_state_.term, index, kind, std::make_shared<const std::string>(std::move(bytes))});
  return index;
}

// With one voter the quorum's match is the own durable index. An entry of an older term is never
// counted itself; it commits under the first one of this term.
void Raft::advance_commit() {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || !alone()) return;
  const Index match = log_.durable();
  if (match <= commit_ || match < leader->first_index) return;
  SKEP_ASSERT(log_.term_at(match) == hard_state_.term, "entries above the no-op are of this term");
  for (Index i = commit_.next(); i <= match; i = i.next()) {
    leader->uncommitted_bytes -= log_.at(i).bytes->size();
  }
  commit_ = match;
  hard_state_.commit = match;
}

void Raft::hand_out_committed(Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  while (handed_out_ < commit_) {
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

void Raft::answer_reads(Output& out) {
  if (!leader_is_ready()) return;
  Leader& leader = std::get<Leader>(role_);
  for (const ReadId read : leader.reads) out.reads.push_back({read, commit_});
  leader.reads.clear();
}

void Raft::ask_to_persist(Output& out) {
  if (log_.batch_in_flight()) return;
  const bool vote_changed =
      hard_state_.term != durable_hard_state_.term || hard_state_.vote != durable_hard_state_.vote;
  // The commit index alone is not worth a flush: it is found again after a restart.
  if (!log_.has_batch_to_write() && !vote_changed) return;
  epoch_ = epoch_.next();
  Persist persist;
  persist.epoch = epoch_;
  persist.hard_state = hard_state_;
  log_.take_batch(epoch_, &persist);
  out.persist = std::move(persist);
}

}  // namespace skep::raft
