// A leader and its members: what goes out to whom, and what counts as committed.
//
// Appends go out while the own disk is still writing; the own acknowledgement is the durable index,
// counted like any other, and only if this member is a voter. A message is not repeated by a timer:
// heartbeats name the end of what was sent, so a member that lacks some of it refuses, and sending
// begins again from what is known to match.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/raft/quorum.hpp"
#include "core/raft/raft.hpp"

namespace skep::raft {

Index Raft::append(EntryKind kind, std::string bytes, Tick now) {
  const Index index = log_.last_index().next();
  std::get<Leader>(role_).uncommitted_bytes += bytes.size();
  log_.append(
      {hard_state_.term, index, kind, std::make_shared<const std::string>(std::move(bytes))});
  if (kind == EntryKind::configuration) track_members(now);
  return index;
}

// An entry of an older term is never counted itself; it commits under the first one of this term,
// since until then another leader could still replace it.
void Raft::advance_commit() {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  std::map<RaftId, Index> match;
  match[options_.self] = log_.durable();
  for (const auto& [id, member] : leader->others) match[id] = member.match();
  const Index index = majority_index(log_.configuration(), match);
  if (index <= commit_ || index < leader->first_index) return;
  SKEP_ASSERT(log_.term_at(index) == hard_state_.term, "entries above the no-op are of this term");
  for (Index i = commit_.next(); i <= index; i = i.next()) {
    leader->uncommitted_bytes -= log_.at(i).bytes->size();
  }
  commit_ = index;
}

// Once a tick: is this still a leader, and who has to be reminded of it.
void Raft::lead(Tick now, Output& out) {
  Leader& leader = std::get<Leader>(role_);
  const bool heard = has_majority(log_.configuration(), [&](RaftId id) {
    if (id == options_.self) return true;
    const auto member = leader.others.find(id);
    return member != leader.others.end() && member->second.active(now);
  });
  if (!heard) {
    return become_follower(hard_state_.term, {}, "a majority has not been heard of", now, out);
  }
  if (disk_is_stalled(now) && !alone()) {
    return yield_leadership("the disk of this manager does not answer", now, out);
  }
  if (leader.handover && now >= leader.handover->until) leader.handover.reset();
  const bool settled = log_.configuration_index() <= commit_;
  std::erase_if(leader.others, [&](const auto& other) {
    return settled && other.second.leaves_at && now >= *other.second.leaves_at;
  });
  if (now < leader.heartbeat_at) return;
  leader.heartbeat_at = {now.value + kHeartbeatTicks};
  for (auto& [id, member] : leader.others) send_heartbeat(id, member, out);
  if (leader.handover) leader.handover->told = false;
}

void Raft::send_append(RaftId id, Progress& member, Index previous, std::vector<Entry> entries,
                       Output& out, bool news) {
  const std::optional<Term> term = log_.term_at(previous);
  SKEP_ASSERT(term.has_value(), "an append stands on an entry that is in memory");
  SKEP_ASSERT(entries.empty() || entries.front().index == previous.next(),
              "entries begin behind the previous one");
  AppendRequest request;
  request.previous_index = previous;
  request.previous_term = *term;
  request.commit = std::min(commit_, Index{previous.value + entries.size()});
  request.round = ++std::get<Leader>(role_).round;
  request.news = news;
  request.entries = std::move(entries);
  member.commit_told = std::max(member.commit_told, request.commit);
  send(id, std::move(request), out);
}

// Says where its log should end by now; if that is gone from memory here, what it has for sure.
void Raft::send_heartbeat(RaftId id, Progress& member, Output& out) {
  if (member.state() == ProgressState::refused) return;
  Index previous = member.next().previous();
  if (member.state() == ProgressState::snapshot || !log_.term_at(previous)) {
    previous = log_.term_at(member.match()) ? member.match() : Index{};
  }
  send_append(id, member, previous, {}, out);
}

void Raft::replicate(Tick now, Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  for (auto& [id, member] : leader->others) replicate_to(id, member, now, out);
}

void Raft::replicate_to(RaftId id, Progress& member, Tick now, Output& out) {
  if (member.state() == ProgressState::refused) return;
  if (member.state() == ProgressState::snapshot) return drive_transfer(id, member, now, out);
  if (!log_.reaches_back_to(member.next())) {
    // One that is silent gets no snapshot; its first answer to a heartbeat brings it here again.
    if (!member.active(now)) return;
    member.begin_snapshot(log_.snapshot());
    return drive_transfer(id, member, now, out);
  }
  bool told = false;
  while (member.may_send_entries() && member.next() <= log_.last_index()) {
    const Index previous = member.next().previous();
    std::vector<Entry> entries = log_.slice(member.next());
    size_t bytes = 0;
    for (const Entry& entry : entries) bytes += entry.bytes->size();
    const Index last = entries.back().index;
    send_append(id, member, previous, std::move(entries), out);
    member.sent(last, bytes);
    told = true;
  }
  // Followers serve reads too: a commit is news even without entries.
  if (!told && member.state() == ProgressState::replicate &&
      member.commit_told < std::min(commit_, member.next().previous())) {
    send_append(id, member, member.next().previous(), {}, out, true);
  }
}

// Where a snapshot is on its way it goes on, unless the log alone would do by now: the member may
// have got one from an earlier leader.
void Raft::acknowledged(Progress& member, Index match) {
  member.acknowledged(match, std::get<Leader>(role_).round);
  if (member.state() != ProgressState::snapshot) return;
  if (log_.reaches_back_to(member.match().next())) member.probe_from_match();
}

void Raft::receive(const Sender& from, AppendReply& reply, Tick now, Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  const auto found = leader->others.find(from.id);
  if (found == leader->others.end()) return;
  Progress& member = found->second;
  if (member.state() == ProgressState::refused) return;
  if (reply.rejected && reply.round == 0) return;  // of an append that was not of this term
  if (reply.round == 0 || reply.round > leader->round || reply.match > log_.last_index()) {
    return refuse(from.id, ErrorKind::invalid, "it answers what was never sent", out);
  }
  member.heard(reply.round, now);
  if (!reply.rejected) return acknowledged(member, reply.match);
  const Index fallback = log_.last_not_after(reply.conflict_index, reply.conflict_term);
  if (member.refused_append(reply, fallback) != Progress::Refusal::lost) return;
  const Index had = member.match();
  member.give_up();
  refuse(from.id, ErrorKind::denied,
         "it has lost entries up to " + std::to_string(had.value) +
             " that it had acknowledged; it has to join anew, under an id of its own",
         out);
}

std::optional<RaftId> Raft::best_successor(Tick now) const {
  std::optional<RaftId> best;
  Index longest;
  for (const auto& [id, member] : std::get<Leader>(role_).others) {
    if (!log_.configuration().is_voter(id) || !member.active(now)) continue;
    if (best && member.match() <= longest) continue;
    best = id;
    longest = member.match();
  }
  return best;
}

std::vector<MemberProgress> Raft::progress(Tick now) const {
  std::vector<MemberProgress> all;
  const Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return all;
  for (const RaftId id : log_.configuration().members()) {
    if (id == options_.self) {
      all.push_back({id, log_.durable(), true, ProgressState::replicate});
      continue;
    }
    const Progress& member = leader->others.at(id);
    all.push_back({id, member.match(), member.active(now), member.state()});
  }
  return all;
}

}  // namespace skep::raft
