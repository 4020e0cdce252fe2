// The log as the core holds it: a tail in memory on top of a snapshot, and how much of it is safe.
//
//   base .. snapshot .. durable .. handed out .. last
//
// Entries up to `base` are gone from memory; those between base and the snapshot are kept for slow
// followers; those above `durable` are not yet known to be on disk. At most one batch is on its way
// to the disk. Its completion counts only if nothing it wrote was overwritten meanwhile: an entry
// (i, t1) that became (i, t2) and then (i, t1) again must not be taken for durable because of the
// first write, so a truncation into the batch voids it.
//
// A received snapshot is such a batch too: it takes the place of the whole log, history of
// configurations included, when it is durable; until then the old log stands and takes nothing on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "core/raft/types.hpp"

namespace skep::raft {

class Log {
 public:
  // Refuses (ErrorKind::internal) entries that leave a gap, are out of order or don't reach the
  // snapshot: something on disk is lost.
  static Result<Log> restore(SnapshotPointer snapshot, std::vector<Entry> entries);

  Index last_index() const { return {base_.value + entries_.size()}; }
  Term last_term() const;
  // nullopt: compacted away, or above the end. Index 0 has term 0.
  std::optional<Term> term_at(Index index) const;
  // Entries from `first` on can be given to a member: they and the term before them are in memory.
  bool reaches_back_to(Index first) const;
  // Entries from `first` on, at least one if there is any, else bounded for one append message.
  // Requires: reaches_back_to(first).
  std::vector<Entry> slice(Index first) const;
  // The last index not above `index` whose term is not above `term`, or the last one that is known
  // to be there: where this log and another one, which has `term` at `index`, may agree.
  Index last_not_after(Index index, Term term) const;
  // Requires: base < index <= last_index().
  const Entry& at(Index index) const;
  Index snapshot_index() const { return snapshot_.index; }
  const SnapshotPointer& snapshot() const { return snapshot_; }
  const Configuration& configuration() const { return configurations_.effective(); }
  // Of the entry that the effective configuration came with, or of the snapshot.
  Index configuration_index() const { return configurations_.effective_since(); }
  // Requires: index is at or above the snapshot.
  const Configuration& configuration_at(Index index) const { return configurations_.at(index); }
  // In the configuration at `index`, or in any later one of the log. Requires: as above.
  bool is_voter_since(Index index, RaftId id) const {
    return configurations_.is_voter_since(index, id);
  }
  // The disk that the last configuration which names one for it names; zero: none does.
  Incarnation disk_of(RaftId id) const { return configurations_.disk_of(id); }
  Index durable() const { return durable_; }

  // What the disk was asked to write, whether it has answered or not.
  Index handed_out() const { return handed_out_; }

  // Requires: entry.index == last_index() + 1; a configuration entry's bytes are valid; no
  // installation is in flight.
  void append(Entry entry);
  // Drops entries from `first` on and gives back the configuration before them. Requires: first is
  // above the snapshot.
  void truncate_from(Index first);

  bool has_batch_to_write() const { return handed_out_ < last_index() || truncated_from_; }
  bool batch_in_flight() const { return in_flight_.has_value(); }
  // Moves the next batch (bounded by kPersistBytesMax, at least one entry) into flight. Requires:
  // none is in flight.
  void take_batch(Epoch epoch, Persist* into);
  // A snapshot from elsewhere moves into flight. Requires: none is in flight; the snapshot ends
  // above the last one.
  void take_installation(Epoch epoch, const SnapshotPointer& at);
  bool installing() const { return in_flight_ && in_flight_->install; }
  // The batch of `epoch` is durable. False, and nothing counts, if another one is in flight. After
  // an installation the log is empty and begins at its snapshot.
  bool complete_batch(Epoch epoch);

  // A snapshot through `index` is durable; forgets entries up to index - keep. Returns the new
  // base. Requires: snapshot_index() <= index <= durable().
  Index compact(Index index, uint64_t keep);

 private:
  struct InFlight {
    Epoch epoch;
    Index last;  // durable once it completes; lowered by truncation
    std::optional<SnapshotPointer> install = std::nullopt;
  };

  Log(SnapshotPointer snapshot, Index base, std::deque<Entry> entries);

  SnapshotPointer snapshot_;
  ConfigurationHistory configurations_;
  Index base_;
  std::deque<Entry> entries_;  // base_ + 1 onwards
  Index durable_;
  Index handed_out_;
  std::optional<InFlight> in_flight_;
  std::optional<Index> truncated_from_;  // not yet told to the disk
};

}  // namespace skep::raft
