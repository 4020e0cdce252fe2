// Consensus as a function: step(input, now) says what to persist, send and apply.
//
// No thread, clock, disk or socket is in here; the daemon and the simulator carry out what a step
// asks for and hand back what became of it. The rules that hold whatever the inputs are:
//   - The own vote and the own acknowledgement count from the completion of a persist, never from
//     its being asked for. With one voter that is all that stands between a power cut and a lie.
//   - One persist is on its way at a time; what arrives meanwhile is the next batch.
//   - A term begins with a no-op, and only an entry of the own term commits by being counted.
//   - A persist that failed is final: the node gives up its role, says why, and acknowledges
//     nothing any more. The process has to be started again and read its disk.
//
// This version carries one voter. Messages, other members and learners have their types and are
// refused as unimplemented, at start as well as later, so that no log of a bigger group is ever
// run by a core that would not replicate it. Configuration takes effect on append.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <random>
#include <variant>
#include <vector>

#include "core/raft/log.hpp"
#include "core/raft/types.hpp"

namespace skep::raft {

// Data that exists only in its role.
struct Follower {
  RaftId leader;  // zero: unknown
  Tick election_at;
};
struct Candidate {
  Tick retry_at;
  std::vector<RaftId> granted;  // own vote included, once it is durable
};
struct Leader {
  struct Waiting {
    Index index;
    ProposalId proposal;
  };
  Index first_index;            // its no-op; reads wait until that is committed
  std::deque<Waiting> waiting;  // in index order
  std::vector<ReadId> reads;    // before the no-op is committed
  size_t uncommitted_bytes = 0;
};
using Role = std::variant<Follower, Candidate, Leader>;

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
  // Takes up what the disk holds. Errors: unimplemented (more than one voter, or learners),
  // precondition (this node is not the voter), internal (the disk lost something: a gap, or a
  // commit index above the end of the log).
  static Result<Raft> start(Options options, Restored restored, Tick now);

  // Requires: `now` never goes back.
  Output step(Input input, Tick now);

  RoleName role() const;
  bool is_leader() const { return std::holds_alternative<Leader>(role_); }
  // The leader has committed an entry of its own term: its applied state is the whole truth.
  bool leader_is_ready() const;
  RaftId self() const { return options_.self; }
  Term term() const { return hard_state_.term; }
  Index commit() const { return commit_; }
  Index last_index() const { return log_.last_index(); }
  Index snapshot_index() const { return log_.snapshot_index(); }
  const Configuration& configuration() const { return log_.configuration(); }
  // Set for good once a persist has failed.
  const std::optional<Error>& broken() const { return broken_; }

  // What has to be stored with a snapshot of the state after `applied`. Requires: that entry was
  // handed out as Committed in this run or is the snapshot that the run began with.
  SnapshotPointer snapshot_pointer(Index applied) const;

 private:
  Raft(Options options, Log log, HardState hard_state, Tick now);

  void on(TimePassed, Tick now, Output& out);
  void on(Propose proposal, Tick now, Output& out);
  void on(ChangeConfiguration change, Tick now, Output& out);
  void on(const TransferLeadership& transfer, Tick now, Output& out);
  void on(const ChunkRead& chunk, Tick now, Output& out);
  void on(const ChunkStored& chunk, Tick now, Output& out);
  void on(ReadRequest read, Tick now, Output& out);
  void on(PersistDone done, Tick now, Output& out);
  void on(PersistFailed failed, Tick now, Output& out);
  void on(SnapshotTaken taken, Tick now, Output& out);
  void on(Message message, Tick now, Output& out);

  void campaign(Tick now, Output& out);
  void become_leader(Output& out);
  void give_up_role(const std::string& reason, Tick now, Output& out);
  void count_own_vote(const HardState& durable, Output& out);
  void advance_commit();
  void hand_out_committed(Output& out);
  void answer_reads(Output& out);
  void ask_to_persist(Output& out);
  Index append(EntryKind kind, std::string bytes);
  Tick election_deadline(Tick now);
  bool alone() const;

  Options options_;
  Log log_;
  HardState hard_state_;
  HardState durable_hard_state_;
  Role role_;
  Index commit_;
  Index handed_out_;  // last entry given out as Committed
  Epoch epoch_;
  std::optional<Error> broken_;
};

}  // namespace skep::raft
