// A snapshot on its way to a member that lacks more than the log still has.
//
// The bytes never come through here in one piece and are never kept: the leader's disk side is
// asked for a chunk, the chunk goes out, the follower's disk side stores it and says how many bytes
// it has, and that is where the leader goes on. So a transfer that was cut off is taken up where it
// ended, and one chunk per member is all that is in flight. Heartbeats go on beside it.
//
// When all of it is in, it is installed by a persist like any other. From then until that persist
// is answered the log takes nothing on and this member does not campaign: what is appended or
// promised in between would be gone. A member whose log already has the entry at the snapshot's end
// installs nothing and says so: the snapshot was overtaken.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/raft/raft.hpp"

namespace skep::raft {

// --- the leader's side ---------------------------------------------------------------------

void Raft::drive_transfer(RaftId id, Progress& member, Tick now, Output& out) {
  Transfer& transfer = member.transfer();
  if (now < transfer.retry_at || !member.active(now)) return;
  transfer.reading = true;
  transfer.retry_at = {now.value + kElectionTicksMin};
  out.read_chunks.push_back({id, transfer.at, transfer.offset});
}

void Raft::on(const ChunkRead& chunk, Tick now, Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  const auto found = leader->others.find(chunk.to);
  if (found == leader->others.end()) return;
  Progress& member = found->second;
  if (member.state() != ProgressState::snapshot) return;
  Transfer& transfer = member.transfer();
  const bool asked =
      transfer.reading && transfer.at.index == chunk.snapshot && transfer.offset == chunk.offset;
  if (!asked) return;
  if (!chunk.bytes) {
    // Not at once: if the present one can't be read either, this would turn on the spot.
    member.begin_snapshot(log_.snapshot());
    member.transfer().retry_at = {now.value + kHeartbeatTicks};
    return;
  }
  transfer.reading = false;
  transfer.retry_at = {now.value + kElectionTicksMin};
  send(chunk.to, SnapshotChunk{transfer.at, chunk.offset, chunk.bytes, chunk.checksum, chunk.last},
       out);
}

void Raft::receive(const Sender& from, SnapshotReply& reply, Tick now, Output& out) {
  Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  const auto found = leader->others.find(from.id);
  if (found == leader->others.end() || found->second.state() == ProgressState::refused) return;
  Progress& member = found->second;
  if (reply.index > log_.last_index()) {
    return refuse(from.id, ErrorKind::invalid, "it answers what was never sent", out);
  }
  member.heard(0, now);
  const bool current =
      member.state() == ProgressState::snapshot && member.transfer().at.index == reply.index;
  if (reply.installed) {
    if (current) member.probe_from_match();
    return acknowledged(member, reply.index);
  }
  if (!current) return;
  if (reply.rejected) {
    member.begin_snapshot(log_.snapshot());
    member.transfer().retry_at = {now.value + kHeartbeatTicks};
  } else if (!member.transfer().reading) {
    member.transfer().offset = reply.received;
    member.transfer().retry_at = now;
  }
}

// --- the follower's side -------------------------------------------------------------------

bool Raft::holds(const SnapshotPointer& at) const {
  return at.index <= commit_ || log_.term_at(at.index) == at.term;
}

void Raft::receive(const Sender& from, SnapshotChunk& chunk, Tick now, Output& out) {
  hear_leader(from.id, now, out);
  // Busy: the leader asks again after a while.
  if (arrival_ && (arrival_->complete || arrival_->storing)) return;
  if (holds(chunk.at)) {
    overtake(chunk.at);
    return send(from.id, SnapshotReply{chunk.at.index, 0, false, true}, out);
  }
  arrival_ = Arrival{chunk.at, true, false};
  out.store_chunk = StoreChunk{chunk.at, chunk.offset, chunk.bytes, chunk.checksum, chunk.last};
}

// The log has what the snapshot would bring; that it was in a snapshot says that it is committed.
void Raft::overtake(const SnapshotPointer& at) {
  commit_ = std::max(commit_, at.index);
  arrival_.reset();
  Follower* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr) return;
  follower->matched = std::max(follower->matched, commit_);
  follower->reply_due = true;
}

void Raft::on(const ChunkStored& chunk, Tick, Output& out) {
  if (broken_ || !arrival_ || !arrival_->storing || arrival_->at.index != chunk.snapshot) return;
  arrival_->storing = false;
  if (holds(arrival_->at)) return overtake(arrival_->at);
  const Follower* follower = std::get_if<Follower>(&role_);
  // A candidate's log stays as its requests say it is. The chunks are kept: it may go on later.
  if (follower == nullptr) return arrival_.reset();
  if (chunk.complete) {
    arrival_->complete = true;
  } else if (follower->leader) {
    send(follower->leader, SnapshotReply{chunk.snapshot, chunk.received, false, false}, out);
  }
}

void Raft::installed(const SnapshotPointer& at, Output& out) {
  SKEP_ASSERT(commit_ <= at.index, "nothing commits while a snapshot is installed");
  commit_ = at.index;
  handed_out_ = at.index;
  out.load_snapshot = at;
  arrival_.reset();
  Follower* follower = std::get_if<Follower>(&role_);
  SKEP_ASSERT(follower != nullptr, "nobody campaigns while a snapshot is installed");
  if (!follower->leader) return;
  follower->matched = std::max(follower->matched, at.index);
  send(follower->leader, SnapshotReply{at.index, 0, true, false}, out);
}

}  // namespace skep::raft
