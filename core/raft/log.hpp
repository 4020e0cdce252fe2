// The log as the core holds it: a tail in memory on top of a snapshot, and how much of it is safe.
//
//   base .. snapshot .. durable .. handed out .. last
//
// Entries up to `base` are gone from memory; those between base and the snapshot are kept for slow
// followers; those above `durable` are not yet known to be on disk. At most one batch is on its way
// to the disk. Its completion counts only if nothing it wrote was overwritten meanwhile: an entry
// (i, t1) that became (i, t2) and then (i, t1) again must not be taken for durable because of the
// first write, so a truncation into the batch voids it.
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
  // nullopt: compacted away, or above the end.
  std::optional<Term> term_at(Index index) const;
  // Requires: base < index <= last_index().
  const Entry& at(Index index) const;
  Index snapshot_index() const { return snapshot_.index; }
  const SnapshotPointer& snapshot() const { return snapshot_; }
  const Configuration& configuration() const { return configurations_.effective(); }
  // Requires: index is at or above the snapshot.
  const Configuration& configuration_at(Index index) const { return configurations_.at(index); }
  Index durable() const { return durable_; }

  // Requires: entry.index == last_index() + 1; a configuration entry's bytes are valid.
  void append(Entry entry);
  // Drops entries from `first` on and gives back the configuration before them. Requires: first is
  // above the snapshot.
  void truncate_from(Index first);

  bool has_batch_to_write() const { return handed_out_ < last_index() || truncated_from_; }
  bool batch_in_flight() const { return in_flight_.has_value(); }
  // Moves the next batch (bounded by kPersistBytesMax, at least one entry) into flight. Requires:
  // none is in flight.
  void take_batch(Epoch epoch, Persist* into);
  // The batch of `epoch` is durable. False, and nothing counts, if another one is in flight.
  bool complete_batch(Epoch epoch);

  // A snapshot through `index` is durable; forgets entries up to index - keep. Returns the new
  // base. Requires: snapshot_index() <= index <= durable().
  Index compact(Index index, uint64_t keep);

 private:
  struct InFlight {
    Epoch epoch;
    Index last;  // durable once it completes; lowered by truncation
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
