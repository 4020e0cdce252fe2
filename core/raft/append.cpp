// A follower's log: taking entries from the leader, and saying what is durable.
//
// An acknowledgement says how far this log is durable and equal to the leader's. It is sent when
// the disk has answered, not when entries arrive, and one stands for all that came before; a
// heartbeat is answered at once with what is durable so far, so that a slow disk is not taken for a
// dead member. `matched` is what is known to be equal, durable or not, in this term.
//
// What lies at or below the commit index is known to match whatever the request says about it: a
// `previous` in there, or below the snapshot, is no conflict, and nothing there is ever truncated.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/raft/raft.hpp"

namespace skep::raft {

// Committed entries are the same everywhere; a leader that says otherwise is none to follow.
bool Raft::contradicts_committed(const AppendRequest& request) const {
  const auto differs = [&](Index index, Term term) {
    return index <= commit_ && log_.term_at(index).value_or(term) != term;
  };
  if (differs(request.previous_index, request.previous_term)) return true;
  return std::any_of(request.entries.begin(), request.entries.end(),
                     [&](const Entry& entry) { return differs(entry.index, entry.term); });
}

void Raft::receive(const Sender& from, AppendRequest& request, Tick now, Output& out) {
  if (contradicts_committed(request)) {
    return refuse(
        from.id, ErrorKind::internal,
        "what it sends differs from what is committed here: the cluster's data is damaged", out);
  }
  hear_leader(from.id, now, out);
  Follower& follower = std::get<Follower>(role_);
  follower.round = std::max(follower.round, request.round);
  const bool below = request.previous_index <= commit_;
  if (!below && log_.term_at(request.previous_index) != request.previous_term) {
    AppendReply reply;
    reply.rejected = true;
    reply.previous_index = request.previous_index;
    reply.conflict_index = log_.last_not_after(request.previous_index, request.previous_term);
    reply.conflict_term = log_.term_at(reply.conflict_index).value_or(Term{});
    reply.round = request.round;
    return send(from.id, reply, out);
  }
  follower.matched = std::max(follower.matched, below ? commit_ : request.previous_index);
  // While a snapshot takes the place of this log, what is added to it would be lost.
  if (!arrival_is_complete()) take_entries(request);
  if (request.news) return;  // whoever sent it knows what is durable here
  follower.reply_due =
      follower.reply_due || follower.matched <= log_.durable() || request.entries.empty();
}

// Requires: the log agrees with the request's `previous`.
void Raft::take_entries(AppendRequest& request) {
  Follower& follower = std::get<Follower>(role_);
  for (Entry& entry : request.entries) {
    if (entry.index <= commit_) continue;
    const std::optional<Term> here = log_.term_at(entry.index);
    if (here == entry.term) continue;
    if (here) log_.truncate_from(entry.index);
    log_.append(std::move(entry));
  }
  const Index end{request.previous_index.value + request.entries.size()};
  follower.matched = std::max(follower.matched, end);
  // Only what this request vouches for: a tail of an older term may lie behind it.
  commit_ = std::max(commit_, std::min(request.commit, end));
}

void Raft::acknowledge(Output& out) {
  Follower* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || !follower->leader) return;
  if (durable_hard_state_.term != hard_state_.term) return;
  const Index match = std::min(follower->matched, log_.durable());
  if (!follower->reply_due && match <= follower->acknowledged) return;
  follower->reply_due = false;
  follower->acknowledged = std::max(follower->acknowledged, match);
  AppendReply reply;
  reply.match = match;
  reply.round = follower->round;
  send(follower->leader, reply, out);
}

}  // namespace skep::raft
