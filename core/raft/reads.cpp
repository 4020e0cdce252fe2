// Reads that are as fresh as the moment of asking, without a write.
//
// The leader notes its commit index and waits until a majority has answered an append that was sent
// after the read came: then nobody else can have led, and committed more, before the read began.
// Every append has a round of its own, so it is never a question which request a late answer
// belongs to. Reads gather while a round of heartbeats for earlier ones is out; one round serves
// all of them, and any other append that is answered serves as well.
//
// Not before the no-op of the own term is committed: until then the leader does not know how much
// of its log is. A follower asks the leader, one request at a time for all that gathered, and asks
// again after silence. Its requests are named by the core itself, never by its callers.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/raft/quorum.hpp"
#include "core/raft/raft.hpp"

namespace skep::raft {

void Raft::on(const ReadRequest& read, Tick, Output& out) {
  const auto refused = [&](ErrorKind kind, const std::string& why) {
    out.reads.push_back({read.id, fail(kind, why)});
  };
  if (broken_) return refused(ErrorKind::unavailable, broken_->message);
  if (Leader* leader = std::get_if<Leader>(&role_)) {
    if (leader->reads.size() + leader->reads_to_start.size() >= kPendingReadsMax) {
      return refused(ErrorKind::exhausted, "too many reads wait for a leader");
    }
    leader->reads_to_start.push_back({{}, read.id, {}, 0});
    return;
  }
  Follower* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || !follower->leader) {
    return refused(ErrorKind::unavailable, "no leader is known");
  }
  if (follower->asking.size() + follower->gathering.size() >= kPendingReadsMax) {
    return refused(ErrorKind::exhausted, "too many reads wait for a leader");
  }
  follower->gathering.push_back(read.id);
}

void Raft::receive(const Sender& from, ReadIndexRequest& request, Tick, Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  const bool full =
      leader != nullptr && leader->reads.size() + leader->reads_to_start.size() >= kPendingReadsMax;
  if (leader == nullptr || full) {
    return send(from.id, ReadIndexReply{request.read, std::nullopt}, out);
  }
  const auto same = [&](const Leader::Read& read) {
    return read.from == from.id && read.read == request.read;
  };
  // Asked again because the answer takes its time: the first one still stands in line.
  if (std::any_of(leader->reads.begin(), leader->reads.end(), same)) return;
  if (std::any_of(leader->reads_to_start.begin(), leader->reads_to_start.end(), same)) return;
  leader->reads_to_start.push_back({from.id, request.read, {}, 0});
}

// The leader's part, at the end of every step.
void Raft::serve_reads(Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || commit_ < leader->first_index) return;
  for (Leader::Read& read : leader->reads_to_start) {
    read.index = commit_;
    read.after = leader->round;
    leader->reads.push_back(read);
  }
  leader->reads_to_start.clear();
  while (!leader->reads.empty()) {
    const Leader::Read& read = leader->reads.front();
    const bool confirmed = has_majority(log_.configuration(), [&](RaftId id) {
      if (id == options_.self) return true;
      const auto member = leader->others.find(id);
      return member != leader->others.end() && member->second.round() > read.after;
    });
    if (!confirmed) break;
    if (!read.from) {
      out.reads.push_back({read.read, read.index});
    } else {
      send(read.from, ReadIndexReply{read.read, read.index}, out);
    }
    leader->reads.pop_front();
  }
  if (leader->reads.empty()) return;
  // The first in line has its round already, or needs one now.
  if (leader->read_round_after && leader->reads.front().after <= *leader->read_round_after) return;
  leader->read_round_after = leader->round;
  for (auto& [id, member] : leader->others) {
    if (log_.configuration().is_voter(id)) send_heartbeat(id, member, out);
  }
}

// The follower's part, at the end of every step.
void Raft::ask_leader(Tick now, Output& out) {
  Follower* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || !follower->leader) return;
  if (follower->asking.empty()) {
    if (follower->gathering.empty()) return;
    follower->asking.swap(follower->gathering);
    wire_read_ = wire_read_.next();
    follower->wire = wire_read_;
    follower->ask_again_at = now;
  }
  if (now < follower->ask_again_at) return;
  follower->ask_again_at = {now.value + 2 * kHeartbeatTicks};
  send(follower->leader, ReadIndexRequest{follower->wire}, out);
}

void Raft::receive(const Sender& from, ReadIndexReply& reply, Tick, Output& out) {
  Follower* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader != from.id || follower->wire != reply.read) return;
  if (!reply.index) return;  // asked again after a while
  for (const ReadId read : follower->asking) out.reads.push_back({read, *reply.index});
  follower->asking.clear();
}

}  // namespace skep::raft
