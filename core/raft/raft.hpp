// Consensus as a function: step(input, now) says what to persist, send and apply.
//
// No thread, clock, disk or socket is in here; the daemon and the simulator carry out what a step
// asks for and hand back what became of it. The rules that hold whatever the inputs are:
//   - The own vote and the own acknowledgement count from the completion of a persist, never from
//     its being asked for. With one voter that is all that stands between a power cut and a lie.
//     Votes and acknowledgements for others wait for it too; only a leader's appends run ahead.
//   - One persist is on its way at a time; what arrives meanwhile is the next batch.
//   - An entry is handed out when it is committed and on the own disk, so that a snapshot never
//     covers what this disk has not got.
//   - A term begins with a no-op, and only an entry of the own term commits by being counted.
//   - Configuration takes effect on append (docs/decisions/0007).
//   - Nothing a peer sends ends the process: it is refused with a sentence. What can only be wrong
//     if the protocol itself is broken, such as two leaders in one term, does end it.
//   - A persist that failed is final: the node gives up its role, says why, and acknowledges
//     nothing any more. The process has to be started again and read its disk.
//
// One class, several files: raft.cpp (dispatch, terms, the end of a step), election.cpp, append.cpp
// (a follower's log), replication.cpp (a leader's members), reads.cpp, snapshots.cpp,
// membership.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "core/raft/log.hpp"
#include "core/raft/roles.hpp"
#include "core/raft/types.hpp"

namespace skep::raft {

struct Options {
  RaftId self;
  model::ClusterId cluster;
  Incarnation incarnation;
  std::mt19937_64 random;  // seeded by the caller: the same seed gives the same run
  Generation generation;
};

// One thread at a time; each call is short and never blocks.
class Raft {
 public:
  // Takes up what the disk holds. This node need not be a member of what it finds there: a joiner
  // is not yet one, a removed member not any more; neither ever campaigns. Errors: invalid (no id,
  // or a configuration that can't be), internal (the disk lost something: a gap, or a commit index
  // above the end of the log).
  static Result<Raft> start(Options options, Restored restored, Tick now);

  // Requires: `now` never goes back.
  Output step(Input input, Tick now);

  RoleName role() const;
  bool is_leader() const { return std::holds_alternative<Leader>(role_); }
  // The leader has handed out an entry of its own term: its applied state is the whole truth.
  bool leader_is_ready() const;
  // Who leads, as far as is known here. Zero: nobody is known.
  RaftId leader() const;
  // This leader is about to hand over and takes no proposals.
  bool transferring() const;
  // Of all members, this one included, in the order of their ids. Empty unless leading.
  std::vector<MemberProgress> progress(Tick now) const;
  RaftId self() const { return options_.self; }
  Term term() const { return hard_state_.term; }
  Index commit() const { return commit_; }
  // The last entry that was handed out as Committed, or that an installed snapshot covers.
  Index handed_out() const { return handed_out_; }
  Index last_index() const { return log_.last_index(); }
  Index snapshot_index() const { return log_.snapshot_index(); }
  const Configuration& configuration() const { return log_.configuration(); }
  // The log and the hard state as they stand in memory; for checkers.
  const Log& log() const { return log_; }
  const HardState& hard_state() const { return hard_state_; }
  // Set for good once a persist has failed.
  const std::optional<Error>& broken() const { return broken_; }

  // What has to be stored with a snapshot of the state after `applied`. Requires: that entry was
  // handed out as Committed in this run or is the snapshot that the run began with.
  SnapshotPointer snapshot_pointer(Index applied) const;

 private:
  struct Sender {
    RaftId id;
    Term term;
  };
  // A snapshot on its way in. At most one, from the present leader.
  struct Arrival {
    SnapshotPointer at;
    bool storing = false;   // ChunkStored is awaited
    bool complete = false;  // to be installed as soon as the disk is free, or being installed
  };

  Raft(Options options, Log log, HardState hard_state, Tick now);

  // --- raft.cpp: inputs, terms, the end of a step
  void on(const TimePassed&, Tick now, Output& out);
  void on(Propose proposal, Tick now, Output& out);
  void on(const ChangeConfiguration& change, Tick now, Output& out);
  void on(const TransferLeadership& transfer, Tick now, Output& out);
  void on(const ReadRequest& read, Tick now, Output& out);
  void on(const PersistDone& done, Tick now, Output& out);
  void on(const PersistFailed& failed, Tick now, Output& out);
  void on(const SnapshotTaken& taken, Tick now, Output& out);
  void on(const ChunkRead& chunk, Tick now, Output& out);
  void on(const ChunkStored& chunk, Tick now, Output& out);
  void on(Message message, Tick now, Output& out);
  Status admit(const Message& message);
  bool settle_term(const Message& message, Tick now, Output& out);
  void become_follower(Term term, RaftId leader, const std::string& reason, Tick now, Output& out);
  void hear_leader(RaftId leader, Tick now, Output& out);
  void abandon_waiting(const std::string& reason, Output& out);
  void hand_out_committed(Output& out);
  void ask_to_persist(Tick now, Output& out);
  bool disk_is_stalled(Tick now) const;
  bool arrival_is_complete() const { return arrival_ && arrival_->complete; }
  bool alone() const;
  void send(RaftId to, MessageBody body, Output& out) const;
  void refuse(RaftId from, ErrorKind kind, std::string why, Output& out) const;

  // --- election.cpp
  void receive(const Sender& from, VoteRequest& request, Tick now, Output& out);
  void receive(const Sender& from, VoteReply& reply, Tick now, Output& out);
  void receive(const Sender& from, TimeoutNow&, Tick now, Output& out);
  Tick election_deadline(Tick now);
  bool leader_is_alive(Tick now) const;
  bool may_campaign(Tick now) const;
  void election_timeout(Tick now, Output& out);
  void campaign(bool transfer, Tick now, Output& out);
  void ask_for_votes(Tick now, Output& out);
  void advance_election(Tick now, Output& out);
  void become_leader(Tick now, Output& out);

  // --- append.cpp
  void receive(const Sender& from, AppendRequest& request, Tick now, Output& out);
  bool contradicts_committed(const AppendRequest& request) const;
  void take_entries(AppendRequest& request);
  void acknowledge(Output& out);

  // --- replication.cpp
  void receive(const Sender& from, AppendReply& reply, Tick now, Output& out);
  Index append(EntryKind kind, std::string bytes, Tick now);
  void acknowledged(Progress& member, Index match);
  void advance_commit();
  void replicate(Tick now, Output& out);
  void replicate_to(RaftId id, Progress& member, Tick now, Output& out);
  void send_append(RaftId id, Progress& member, Index previous, std::vector<Entry> entries,
                   Output& out, bool news = false);
  void send_heartbeat(RaftId id, Progress& member, Output& out);
  void lead(Tick now, Output& out);
  std::optional<RaftId> best_successor(Tick now) const;

  // --- reads.cpp
  void receive(const Sender& from, ReadIndexRequest& request, Tick now, Output& out);
  void receive(const Sender& from, ReadIndexReply& reply, Tick now, Output& out);
  void serve_reads(Output& out);
  void ask_leader(Tick now, Output& out);

  // --- snapshots.cpp
  void receive(const Sender& from, SnapshotChunk& chunk, Tick now, Output& out);
  void receive(const Sender& from, SnapshotReply& reply, Tick now, Output& out);
  void drive_transfer(RaftId id, Progress& member, Tick now, Output& out);
  void overtake(const SnapshotPointer& at);
  void installed(const SnapshotPointer& at, Output& out);
  bool holds(const SnapshotPointer& at) const;

  // --- membership.cpp
  Status may_change_to(const Configuration& wanted, Tick now) const;
  std::vector<MemberDisk> disks_for(const Configuration& wanted) const;
  void track_members(Tick now);
  void advance_membership(Tick now, Output& out);
  void advance_handover(Tick now, Output& out);
  void yield_leadership(const std::string& reason, Tick now, Output& out);

  Options options_;
  Log log_;
  HardState hard_state_;  // its commit is what the last batch carried
  HardState durable_hard_state_;
  Role role_;
  Index commit_;
  Index handed_out_;  // last entry given out as Committed
  Epoch epoch_;
  Tick persist_asked_at_;
  std::optional<RaftId> granted_to_;  // a vote whose reply waits for the disk
  std::optional<Arrival> arrival_;
  std::map<RaftId, Incarnation> incarnations_;  // of whom the log does not know it
  // Names reads towards the leader. Begins at random: a reply to a request of an earlier run of
  // this process must not answer one of this run.
  ReadId wire_read_;
  std::optional<Error> broken_;
};

}  // namespace skep::raft
