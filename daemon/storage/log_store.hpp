// The narrow door between consensus and a disk.
//
// One LogStore holds one member's log: who it is, its hard state, its entries and its last
// snapshot. Each call that writes is one transaction and one flush: when it returns without an
// error, all of it survives a power cut; when it fails, none of it may be relied on and the store
// is broken for good (`broken`), because a flush that failed once may "succeed" later with the data
// gone. The way out is to close, open and load again.
//
// Calls block on the disk and come from one thread at a time: a Persister's, or whoever opened the
// store before there is one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/model/result.hpp"
#include "core/raft/types.hpp"

namespace skep::storage {

// Whose log this is. Written once, when the log is made.
struct Identity {
  model::ClusterId cluster;
  model::NodeId node;
  raft::RaftId member;
  raft::Incarnation incarnation;
  bool operator==(const Identity&) const = default;
};

struct Snapshot {
  raft::SnapshotPointer at;
  std::string state;  // the state machine's; empty at index 0
};

struct Loaded {
  Identity identity;
  raft::HardState hard_state;
  Snapshot snapshot;                 // index 0 until the first one is saved
  std::vector<raft::Entry> entries;  // in order, without gaps

  // What Raft::start takes; the entries' bytes are shared, not copied.
  raft::Restored restored() const { return {hard_state, snapshot.at, entries}; }
};

class LogStore {
 public:
  virtual ~LogStore() = default;

  // Makes the log of a new member. ErrorKind::conflict if there is one.
  virtual Status initialise(const Identity& identity, const raft::Configuration& first) = 0;
  // nullopt if initialise was never called. Checks every row's checksum and that entries have no
  // gaps; what is wrong is ErrorKind::internal with a sentence that says which row.
  virtual Result<std::optional<Loaded>> load() = 0;
  // Truncates, appends and stores the hard state, all or nothing. Requires: initialise, or a load
  // that found a log, came before.
  virtual Status persist(const raft::Persist& batch) = 0;
  // Replaces the snapshot. Entries stay until `compact`: snapshot durable first, then the cut.
  virtual Status save_snapshot(const Snapshot& snapshot) = 0;
  // Deletes entries up to and with `through`.
  virtual Status compact(raft::Index through) = 0;
  // Why nothing is written any more; nullopt while all is well.
  virtual std::optional<Error> broken() const = 0;
};

}  // namespace skep::storage
