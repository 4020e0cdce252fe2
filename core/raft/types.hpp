// The words of consensus: numbers that don't mix, what is in the log, and what goes in and out.
//
// Everything here is a value. Payloads are shared and immutable, so that the log, the disk batch
// and the state machine hold one copy of the bytes. The bytes of a snapshot are never in the core:
// it names chunks to be read and stored, and whoever has the disk answers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/model/ids.hpp"
#include "core/model/result.hpp"
#include "core/raft/configuration.hpp"

namespace skep::raft {

using Term = Number<struct TermTag>;              // zero: before the first election
using Index = Number<struct IndexTag>;            // of the log; the first entry is 1
using Tick = Number<struct TickTag>;              // 50 ms in the daemon, virtual in the simulator
using Epoch = Number<struct EpochTag>;            // names one persist; never repeats in a run
using Generation = Number<struct GenerationTag>;  // of the group: core/raft/forced_group.hpp
using ProposalId = Number<struct ProposalTag>;    // chosen by the proposer, unique in a run
using ReadId = Number<struct ReadTag>;            // chosen by the reader, unique in a run

// --- bounds --------------------------------------------------------------------------------

// A bigger decision has to be split by whoever makes it; one entry must not stall a heartbeat.
inline constexpr size_t kEntryBytesMax = 1 << 20;
// What the leader holds in memory on promises alone; beyond it proposals are refused.
inline constexpr size_t kUncommittedBytesMax = 64 << 20;
// One persist: large enough to amortise the flush, small enough to be over in a few tens of ms.
inline constexpr size_t kPersistBytesMax = 4 << 20;
inline constexpr size_t kPersistEntriesMax = 4096;
// Reads that wait for a first commit, or for a majority to confirm the leader.
inline constexpr size_t kPendingReadsMax = 10'000;
// A follower campaigns after a random number of silent ticks in this range. A leader that has not
// heard from a majority for kElectionTicksMin steps down, and a member that has heard from a leader
// within it refuses its (pre-)vote to anyone else.
inline constexpr uint64_t kElectionTicksMin = 10;
inline constexpr uint64_t kElectionTicksMax = 20;
inline constexpr uint64_t kHeartbeatTicks = 2;
// One append message: at least one entry, and no more than these.
inline constexpr size_t kAppendBytesMax = 512 << 10;
inline constexpr size_t kAppendEntriesMax = 1024;
// Append messages to one member that wait for their answer.
inline constexpr size_t kInFlightMessagesMax = 64;
inline constexpr size_t kInFlightBytesMax = 8 << 20;
// A leader whose disk has not answered for this long gives its role to one with a better disk.
inline constexpr uint64_t kPersistStallTicks = kElectionTicksMax;
// A learner may become a voter once it lacks no more entries than this.
inline constexpr uint64_t kCaughtUpEntries = 1000;
inline constexpr size_t kSnapshotChunkBytes = 256 << 10;

// --- the log -------------------------------------------------------------------------------

enum class EntryKind : uint8_t {
  normal = 0,         // bytes for the state machine
  noop = 1,           // the first of each term, so that older ones can commit; no bytes
  configuration = 2,  // an encoded Configuration
};

struct Entry {
  Term term;
  Index index;
  EntryKind kind = EntryKind::normal;
  std::shared_ptr<const std::string> bytes;  // never null
};

// What must survive a crash besides the entries. All of it goes to the disk in one transaction with
// the entries it stands beside.
struct HardState {
  Term term;
  RaftId vote;   // zero: none in this term
  Index commit;  // a lower bound: it is written along with the next batch, never on its own
  bool operator==(const HardState&) const = default;
};

// Where a snapshot stands; its bytes are the state machine's and never come through here.
struct SnapshotPointer {
  Index index;  // the last entry it covers
  Term term;    // of that entry
  Configuration configuration;
  bool operator==(const SnapshotPointer&) const = default;
};

// What was found on disk at start.
struct Restored {
  HardState hard_state;
  // In a new group: index 0 and the first configuration. In a member that has joined one and knows
  // nothing yet: index 0 and a configuration without voters.
  SnapshotPointer snapshot;
  std::vector<Entry> entries;  // in order, without gaps; may begin before the snapshot's end
};

// --- messages between members --------------------------------------------------------------

// Message::term is the candidate's; of a pre-vote, the one it would campaign in.
struct VoteRequest {
  bool pre_vote = false;  // asks without changing anybody's term or vote
  bool transfer = false;  // the old leader asked for it: nobody keeps faith with him
  Index last_index;
  Term last_term;
};
struct VoteReply {
  bool pre_vote = false;
  bool granted = false;
};
// Without entries: a heartbeat, or a probe for where the logs part.
struct AppendRequest {
  Index previous_index;
  Term previous_term;
  std::vector<Entry> entries;  // begin at previous_index + 1; checked by both sides
  Index commit;
  uint64_t round = 0;  // rises with every message of a term; what a read is confirmed by
  bool news = false;   // of a commit and nothing else: only a refusal is answered
};
struct AppendReply {
  bool rejected = false;
  Index match;           // accepted: everything up to here is durable and equal
  Index previous_index;  // rejected: of the request, to tell late answers from new ones
  Index conflict_index;  // rejected: where to try next, a whole term at a time
  Term conflict_term;
  uint64_t round = 0;  // of the request
};
struct SnapshotChunk {
  SnapshotPointer at;
  uint64_t offset = 0;
  std::shared_ptr<const std::string> bytes;
  uint32_t checksum = 0;  // CRC-32 of `bytes`, as made by the sender's disk side
  bool last = false;
};
struct SnapshotReply {
  Index index;
  uint64_t received = 0;  // bytes that are stored: where to go on
  bool installed = false;
  bool rejected = false;  // it is not wanted (any more): probe again
};
struct TimeoutNow {};
struct ReadIndexRequest {
  ReadId read;  // of the asking member; unique for as long as its process runs
};
struct ReadIndexReply {
  ReadId read;
  std::optional<Index> index;  // nullopt: not the leader, or too many reads wait; ask again
};

using MessageBody = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, SnapshotChunk,
                                 SnapshotReply, TimeoutNow, ReadIndexRequest, ReadIndexReply>;

struct Message {
  model::ClusterId cluster;  // one of another cluster is refused
  Generation generation;     // so is one of a group that was given up
  Incarnation incarnation;   // of the sender's disk
  RaftId from;
  RaftId to;
  Term term;
  MessageBody body;
};

// --- inputs --------------------------------------------------------------------------------

// Time has moved to the `now` given to step().
struct TimePassed {};
// Asks for one entry. The answer is a Committed or a Dropped with the same id.
struct Propose {
  ProposalId id;
  std::string bytes;
};
// Asks for other members; their disks are filled in by the leader, who has heard of them. A change
// of voters goes through a joint configuration, which is left by itself; the answer comes with the
// entry that leaves it. Dropped (precondition) while another change is not over, before the leader
// has committed an entry of its own term, and when a new voter is not a learner that has caught up.
struct ChangeConfiguration {
  ProposalId id;
  Configuration configuration;  // as it will be in the end; not joint
};
// Asks a leader to hand over. What becomes of it is told by a role change; one that does not
// succeed within an election timeout is given up. Proposals are refused meanwhile.
struct TransferLeadership {
  RaftId to;  // zero: the voter whose log is the longest
};
// Asks for an index that, once applied, makes a read as fresh as the moment of asking.
struct ReadRequest {
  ReadId id;
};
// The persist of this epoch is on the disk and flushed. The rest repeats what was asked for.
struct PersistDone {
  Epoch epoch;
  Term term;         // of the last entry; zero if the batch had none
  Index last_index;  // of the last entry; zero if the batch had none
  HardState hard_state;
};
// The persist failed, or may have. Final: this node acknowledges nothing any more.
struct PersistFailed {
  Epoch epoch;
  std::string reason;
};
// What ReadChunk asked for. `bytes` null: it can't be read any more (a newer snapshot took its
// place); the transfer begins anew.
struct ChunkRead {
  RaftId to;
  Index snapshot;
  uint64_t offset = 0;
  std::shared_ptr<const std::string> bytes;
  uint32_t checksum = 0;
  bool last = false;
};
// What became of StoreChunk: how many bytes of that snapshot are stored now, which is what it was
// before if the chunk was damaged or did not fit.
struct ChunkStored {
  Index snapshot;
  uint64_t received = 0;
  bool complete = false;  // the last chunk is in, and the whole was found sound
};
// A snapshot made at Raft::snapshot_pointer() is durable; entries it covers may go.
struct SnapshotTaken {
  Index index;
  uint64_t keep_entries = 0;  // before that index, for slow followers
};

using Input =
    std::variant<TimePassed, Propose, ChangeConfiguration, TransferLeadership, ReadRequest,
                 PersistDone, PersistFailed, SnapshotTaken, ChunkRead, ChunkStored, Message>;

// --- outputs -------------------------------------------------------------------------------

// To be written in ONE transaction with one flush, then answered with PersistDone or
// PersistFailed. The next one comes only after that answer.
struct Persist {
  Epoch epoch;
  HardState hard_state;
  // The received snapshot takes the place of the old one and of the whole log. Set: no entries.
  std::optional<SnapshotPointer> install;
  std::optional<Index> truncate_from;  // entries from here on go before the new ones are written
  std::vector<Entry> entries;

  // The answer when all of it is durable.
  PersistDone done() const {
    if (entries.empty()) return {epoch, {}, {}, hard_state};
    return {epoch, entries.back().term, entries.back().index, hard_state};
  }
};

// An entry to apply, in index order, each exactly once in a run. `proposal` is set if it was
// proposed on this node in this run.
struct Committed {
  Entry entry;
  std::optional<ProposalId> proposal;
};

// The proposal will not be answered otherwise. Kind unknown_outcome: its entry may yet commit;
// every other kind: it never will.
struct Dropped {
  ProposalId proposal;
  Error why;
};

struct ReadResult {
  ReadId read;
  Result<Index> index;
};

struct RefusedMessage {
  RaftId from;
  Error why;
};

// Read bytes of the snapshot that stands on the disk, at most kSnapshotChunkBytes, and answer with
// ChunkRead.
struct ReadChunk {
  RaftId to;
  SnapshotPointer at;
  uint64_t offset = 0;
};

// Keep a chunk of a snapshot that is on its way in, and answer with ChunkStored. One of another
// snapshot than the last begins anew.
struct StoreChunk {
  SnapshotPointer at;
  uint64_t offset = 0;
  std::shared_ptr<const std::string> bytes;
  uint32_t checksum = 0;
  bool last = false;
};

enum class RoleName : uint8_t { follower, candidate, leader };

struct RoleChange {
  RoleName role = RoleName::follower;
  Term term;
  RaftId leader;  // zero: unknown
  std::string reason;
};

// What a step asks for, to be carried out in this order. What is in `messages`, `committed` and
// `reads` rests on durable state only and need not wait for `persist`.
struct Output {
  std::optional<Persist> persist;
  std::vector<Message> messages;
  std::vector<ReadChunk> read_chunks;
  std::optional<StoreChunk> store_chunk;
  // The installed snapshot is durable: the state machine is loaded from it before `committed`.
  std::optional<SnapshotPointer> load_snapshot;
  std::vector<Committed> committed;
  std::vector<Dropped> dropped;
  std::vector<RoleChange> role_changes;  // in order of happening
  std::vector<ReadResult> reads;
  std::vector<RefusedMessage> refused;
  std::optional<Index> compact_through;  // entries up to and with it may be deleted from disk
};

}  // namespace skep::raft
