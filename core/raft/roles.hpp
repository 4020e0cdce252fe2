// What a member is: follower, candidate or leader, with the data that exists only in that role.
//
// Leaving a role throws its data away, so nothing of one term can leak into the next; whoever waits
// for an answer from it is told first (Raft::abandon_waiting).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "core/raft/progress.hpp"
#include "core/raft/types.hpp"

namespace skep::raft {

struct Follower {
  RaftId leader;  // zero: unknown
  Tick election_at;
  Tick heard_at;       // the leader; meaningless without one
  Index matched;       // equal to the leader's log up to here, durable or not
  Index acknowledged;  // told the leader
  uint64_t round = 0;  // the highest of this leader
  bool reply_due = false;

  // One request to the leader is under way for all reads in `asking`; those that come meanwhile
  // gather for the next. The id on the wire is this process's own, see Raft::wire_read_.
  ReadId wire;
  std::vector<ReadId> asking;
  std::vector<ReadId> gathering;
  Tick ask_again_at;
};

struct Candidate {
  bool pre_vote = false;  // asks only; the term has not moved
  bool transfer = false;  // the leader wants it
  bool asking = false;  // requests may go out: term, vote and log are durable, or it is a pre-vote
  Tick retry_at;        // anew, from the pre-vote
  Tick ask_again_at;    // those that have not granted, in the same term
  std::set<RaftId> granted;
};

struct Leader {
  struct Waiting {
    Index index;
    ProposalId proposal;
  };
  struct Read {
    RaftId from;  // zero: asked here
    ReadId read;
    Index index;         // the answer
    uint64_t after = 0;  // confirmed by a majority's replies to later rounds
  };
  struct Handover {
    RaftId to;
    Tick until;
    bool told = false;  // TimeoutNow is sent; again with the next heartbeat
  };

  Index first_index;                        // its no-op; reads wait until that is committed
  std::deque<Waiting> waiting;              // in index order
  std::optional<ProposalId> member_change;  // whose final entry is not appended yet
  size_t uncommitted_bytes = 0;
  std::map<RaftId, Progress> others;
  uint64_t round = 0;  // of the last append sent
  Tick heartbeat_at;
  std::optional<Handover> handover;

  std::vector<Read> reads_to_start;
  std::deque<Read> reads;                    // `after` rises
  std::optional<uint64_t> read_round_after;  // the last round of heartbeats for reads began there
};

using Role = std::variant<Follower, Candidate, Leader>;

}  // namespace skep::raft
