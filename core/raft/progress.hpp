// One member as the leader sees it: how far its log is known to agree, and what is on its way.
//
//   probe      Where the logs part is not known. One append at a time; each refusal moves `next`
//              back by whole terms.
//   replicate  It is known: appends go out ahead of their answers, `next` moves on as they are
//              sent, bounded in number and bytes. A refusal means that one was lost: back to probe.
//   snapshot   What it lacks is not in the log any more; chunks of the snapshot go out instead.
//   refused    It has lost entries it had acknowledged. It counts for nothing and gets nothing.
//
// Two rules hold in every state: `match` only grows, and `next` is above it. A late or doubled
// refusal could otherwise push `next` below what is acknowledged, and nothing would bring it back.
//
// How a loss is told from a late answer: every request has a round, and the round that was the last
// one sent when `match` became known is kept. A refusal at or below `match` of a request sent after
// that comes from a member that had the entry on its disk and has it no more.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>

#include "core/raft/types.hpp"

namespace skep::raft {

enum class ProgressState : uint8_t { probe, replicate, snapshot, refused };

// A snapshot on its way to a member, one chunk at a time.
struct Transfer {
  SnapshotPointer at;
  uint64_t offset = 0;
  bool reading = false;  // ChunkRead is awaited; else the member's answer
  Tick retry_at;
};

class Progress {
 public:
  // `last` is the end of the leader's log: where a member that lacks nothing would stand.
  Progress(Index last, Tick now) : next_(last.next()), heard_at_(now) {}

  ProgressState state() const { return state_; }
  Index match() const { return match_; }
  Index next() const { return next_; }
  Tick heard_at() const { return heard_at_; }
  // Heard of within the time after which a leader is doubted.
  bool active(Tick now) const;
  // The latest request it is known to have had.
  uint64_t round() const { return round_; }
  size_t in_flight_messages() const { return in_flight_.size(); }
  size_t in_flight_bytes() const { return in_flight_bytes_; }

  void heard(uint64_t round, Tick now);
  bool may_send_entries() const;
  // An append with entries up to `last` (or without, last == next - 1) was sent.
  void sent(Index last, size_t bytes);
  // Everything up to `match` is durable there. `rounds_sent` is the leader's last round.
  void acknowledged(Index match, uint64_t rounds_sent);

  enum class Refusal : uint8_t { late, backed_off, lost };
  // `fallback` is where the logs may agree, by what the member said about terms.
  Refusal refused_append(const AppendReply& reply, Index fallback);

  void probe_from_match();
  void begin_snapshot(const SnapshotPointer& at);
  void give_up();
  // Requires: state() is snapshot.
  Transfer& transfer() { return *transfer_; }

  Index commit_told;              // the commit index of the last append to it
  std::optional<Tick> leaves_at;  // not a member any more: until when it is still told so

 private:
  void change_to(ProgressState state);

  ProgressState state_ = ProgressState::probe;
  Index match_;
  Index next_;
  uint64_t match_round_ = 0;
  uint64_t round_ = 0;
  Tick heard_at_;
  bool probe_sent_ = false;
  struct Sent {
    Index last;
    size_t bytes = 0;
  };
  std::deque<Sent> in_flight_;
  size_t in_flight_bytes_ = 0;
  std::optional<Transfer> transfer_;
};

// What the leader tells about a member.
struct MemberProgress {
  RaftId id;
  Index match;
  bool active = false;
  ProgressState state = ProgressState::probe;
};

}  // namespace skep::raft
