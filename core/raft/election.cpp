// How a leader is found, and how one that works is left alone.
//
// Two rules come together, each with a hole of its own without the other. Pre-vote: a candidate
// asks first whether it would win, which changes nobody's term, so one that is cut off does not
// drive the term up. Check-quorum: a leader that has not heard from a majority steps down, and
// whoever hears from a leader refuses its vote; so a member that half of the group can't reach
// neither keeps nor takes the lead. The one exception to keeping faith is a hand-over, which the
// leader itself wants.
//
// A request for a vote claims a log, so it goes out only when term, vote and log are on the own
// disk: a voter that granted to entries which a power cut then took would have granted too much.
// Requests are repeated in the same term until they are granted, since any reply may be lost.
// SPDX-License-Identifier: Apache-2.0
#include <tuple>

#include "core/raft/quorum.hpp"
#include "core/raft/raft.hpp"

namespace skep::raft {

Tick Raft::election_deadline(Tick now) {
  // Modulo, not std::uniform_int_distribution: that one differs between standard libraries, and a
  // seed has to give the same run everywhere.
  const uint64_t spread = kElectionTicksMax - kElectionTicksMin + 1;
  return {now.value + kElectionTicksMin + options_.random() % spread};
}

bool Raft::leader_is_alive(Tick now) const {
  if (is_leader()) return true;
  const Follower* follower = std::get_if<Follower>(&role_);
  return follower != nullptr && follower->leader &&
         now.value - follower->heard_at.value < kElectionTicksMin;
}

// Not while a snapshot is installed or a vote could not be made durable, and only a voter: also one
// that the log votes out by entries which may not be committed. It can be the only one that has
// those entries and so the only one that can win, if by the votes of others alone (Ongaro's
// dissertation, 4.2.2). Whoever finds itself in the log with another disk is not that member: what
// the other disk promised is not known here.
bool Raft::may_campaign(Tick now) const {
  const Incarnation known = log_.disk_of(options_.self);
  if (known && known != options_.incarnation) return false;
  return log_.is_voter_since(commit_, options_.self) && !arrival_is_complete() &&
         !disk_is_stalled(now);
}

void Raft::election_timeout(Tick now, Output& out) {
  if (Candidate* candidate = std::get_if<Candidate>(&role_)) {
    // A lone candidate waits for its own disk; a new term would only ask the disk for more.
    if (now < candidate->retry_at || alone()) return;
  } else if (now < std::get<Follower>(role_).election_at) {
    return;
  }
  // Who may not campaign waits, but does not go on taking a silent leader for one.
  if (!may_campaign(now)) {
    Follower* follower = std::get_if<Follower>(&role_);
    if (follower != nullptr && !follower->leader) {
      follower->election_at = election_deadline(now);
    } else {
      become_follower(hard_state_.term, {}, "no leader is heard", now, out);
    }
    return;
  }
  if (alone()) return campaign(false, now, out);
  abandon_waiting("no leader is known", out);
  Candidate candidate;
  candidate.pre_vote = true;
  candidate.asking = true;
  candidate.retry_at = election_deadline(now);
  candidate.ask_again_at = now;
  candidate.granted = {options_.self};
  role_ = std::move(candidate);
  out.role_changes.push_back({RoleName::candidate, hard_state_.term, {}, "no leader is known"});
}

// The pre-vote of a lone voter is its own and costs nothing, so it is not a state here.
void Raft::campaign(bool transfer, Tick now, Output& out) {
  const char* reason = "no leader is known";
  if (transfer) reason = "the leader hands over";
  if (std::holds_alternative<Candidate>(role_)) reason = "a majority would vote for it";
  abandon_waiting(reason, out);
  hard_state_.term = hard_state_.term.next();
  hard_state_.vote = options_.self;
  granted_to_.reset();
  Candidate candidate;
  candidate.transfer = transfer;
  candidate.retry_at = election_deadline(now);
  candidate.ask_again_at = now;
  role_ = std::move(candidate);
  out.role_changes.push_back({RoleName::candidate, hard_state_.term, {}, reason});
}

void Raft::ask_for_votes(Tick now, Output& out) {
  Candidate& candidate = std::get<Candidate>(role_);
  if (!candidate.asking || now < candidate.ask_again_at) return;
  candidate.ask_again_at = {now.value + kHeartbeatTicks};
  VoteRequest request;
  request.pre_vote = candidate.pre_vote;
  request.transfer = candidate.transfer;
  request.last_index = log_.last_index();
  request.last_term = log_.last_term();
  for (const RaftId id : log_.configuration().members()) {
    if (!log_.configuration().is_voter(id) || candidate.granted.contains(id)) continue;
    send(id, request, out);
    if (candidate.pre_vote) out.messages.back().term = hard_state_.term.next();
  }
}

// At the end of every step: sends a vote that has become durable, counts the own one and those of
// others, and asks whoever has not answered.
void Raft::advance_election(Tick now, Output& out) {
  const bool vote_is_durable =
      durable_hard_state_.term == hard_state_.term && durable_hard_state_.vote == hard_state_.vote;
  if (granted_to_ && vote_is_durable) {
    send(*granted_to_, VoteReply{false, true}, out);
    granted_to_.reset();
  }
  Candidate* candidate = std::get_if<Candidate>(&role_);
  if (candidate == nullptr) return;
  if (!candidate->pre_vote && vote_is_durable && log_.durable() == log_.last_index()) {
    candidate->asking = true;
    candidate->granted.insert(options_.self);
  }
  const bool won = has_majority(log_.configuration(),
                                [&](RaftId id) { return candidate->granted.contains(id); });
  if (!won) return ask_for_votes(now, out);
  if (!candidate->pre_vote) return become_leader(now, out);
  campaign(false, now, out);
}

void Raft::become_leader(Tick now, Output& out) {
  Leader leader;
  // What the last term left uncommitted still takes room until this term's no-op commits it.
  for (Index i = commit_.next(); i <= log_.last_index(); i = i.next()) {
    leader.uncommitted_bytes += log_.at(i).bytes->size();
  }
  leader.first_index = log_.last_index().next();
  leader.heartbeat_at = {now.value + kHeartbeatTicks};
  arrival_.reset();
  role_ = std::move(leader);
  track_members(now);
  append(EntryKind::noop, {}, now);
  out.role_changes.push_back(
      {RoleName::leader, hard_state_.term, options_.self, "elected by a majority"});
}

void Raft::receive(const Sender& from, VoteRequest& request, Tick now, Output& out) {
  const bool up_to_date = std::tie(request.last_term, request.last_index) >=
                          std::make_tuple(log_.last_term(), log_.last_index());
  if (request.pre_vote) {
    // Of the own term or an earlier one: the candidate learns that it is behind.
    const bool granted = from.term > hard_state_.term && up_to_date;
    send(from.id, VoteReply{true, granted}, out);
    if (granted) out.messages.back().term = from.term;
    return;
  }
  const bool free = !hard_state_.vote && !leader();
  if (!up_to_date || (hard_state_.vote != from.id && !free)) {
    return send(from.id, VoteReply{false, false}, out);
  }
  // A pre-candidate that gives its vote away waits for what comes of it.
  if (!std::holds_alternative<Follower>(role_)) {
    become_follower(hard_state_.term, {}, "it voted for another candidate", now, out);
  }
  hard_state_.vote = from.id;
  granted_to_ = from.id;
  std::get<Follower>(role_).election_at = election_deadline(now);
}

void Raft::receive(const Sender& from, VoteReply& reply, Tick, Output&) {
  Candidate* candidate = std::get_if<Candidate>(&role_);
  if (candidate == nullptr || candidate->pre_vote != reply.pre_vote || !reply.granted) return;
  const Term asked = reply.pre_vote ? hard_state_.term.next() : hard_state_.term;
  if (from.term == asked) candidate->granted.insert(from.id);
}

void Raft::receive(const Sender& from, TimeoutNow&, Tick now, Output& out) {
  const Follower* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader != from.id) return;
  if (!may_campaign(now)) return;
  campaign(true, now, out);
}

}  // namespace skep::raft
