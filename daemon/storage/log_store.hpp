// The narrow door between consensus and a disk.
//
// One LogStore holds one member's log: who it is, its hard state, its entries, its last snapshot
// and the one that is on its way in. Each call that writes the log is one transaction and one
// flush: when it returns without an error, all of it survives a power cut; when it fails, none of
// it may be relied on and the store is broken for good (`broken`), because a flush that failed once
// may "succeed" later with the data gone. The way out is to close, open and load again. What fails
// before it has touched the log (a snapshot's file, a refusal) breaks nothing.
//
// No call takes long, whatever the size of the state: long work comes in slices, and whoever calls
// does what is more urgent in between. Calls block on the disk and come from one thread at a time:
// a Persister's, or whoever opened the store before there is one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "core/raft/types.hpp"
#include "daemon/storage/disk_room.hpp"
#include "daemon/storage/key_file.hpp"

namespace skep::storage {

// Whose log this is. Written once, when the log is made; only its generation may change.
struct Identity {
  model::ClusterId cluster;
  model::NodeId node;
  raft::RaftId member;
  raft::Incarnation incarnation;
  raft::Generation generation;
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
  // nullopt if initialise was never called. Checks every row and every chunk of the snapshot, that
  // entries have no gaps, and that nothing that was made durable is missing; what is wrong is
  // ErrorKind::internal with a sentence that says which row or file, and no second try mends it;
  // unavailable or exhausted is the disk's present state. ErrorKind::precondition while locked().
  // Drops what was received of a snapshot that is not installed.
  virtual Result<std::optional<Loaded>> load() = 0;

  // Installs a received snapshot, truncates, appends and stores the hard state, all or nothing.
  // Requires: initialise, or a load that found a log, came before; `install` is the snapshot whose
  // last chunk was stored.
  virtual Status persist(const raft::Persist& batch) = 0;
  // The same, and the log is of this generation from then on: one transaction. Before the member
  // is run, or after it was stopped.
  virtual Status persist_anew(raft::Generation generation, const raft::Persist& batch) = 0;

  // A snapshot made here, in pieces of any size. Nothing of it counts before finish_snapshot: then
  // it takes the place of the last one. Entries stay until `compact`: snapshot durable first, then
  // the cut. One at a time; begin_snapshot drops an unfinished one. finish_snapshot fails with
  // ErrorKind::conflict if a newer one came in meanwhile.
  virtual Status begin_snapshot(const raft::SnapshotPointer& at) = 0;
  virtual Status append_snapshot(std::string_view bytes) = 0;
  virtual Status finish_snapshot() = 0;

  // Deletes entries up to and with `through`, some at a time: false while there are more to go.
  // ErrorKind::precondition if the snapshot does not cover them.
  virtual Result<bool> compact(raft::Index through) = 0;

  // What ReadChunk and StoreChunk ask for. In an error there is nothing for consensus but that
  // there are no bytes, or that nothing was received: see Persister.
  virtual Result<raft::ChunkRead> read_chunk(const raft::ReadChunk& read) = 0;
  virtual Result<raft::ChunkStored> store_chunk(const raft::StoreChunk& chunk) = 0;

  // What can wait until nobody waits for the disk: moving the write-ahead log into the database,
  // the ballast, old keys. To be called between the others. A failure breaks the store.
  virtual Status tidy() = 0;
  // As of the last tidy().
  virtual DiskRoom room() const = 0;

  // The swarm's lock. While locked() only unlock, locked and room may be called, and load refuses.
  virtual bool locked() const = 0;
  // ErrorKind::denied if it is the wrong key, conflict if the store is not locked.
  virtual Status unlock(const UnlockKey& key) = 0;
  // From the next start on `key` is needed (nullopt: none is), and what is written from now on is
  // sealed with a new data key. What was written before keeps the old one until a snapshot takes
  // its place.
  virtual Status set_unlock_key(const std::optional<UnlockKey>& key) = 0;
  // Whether `key` is the one that is needed at the next start.
  virtual bool has_unlock_key(const std::optional<UnlockKey>& key) const = 0;
  // Something on the disk may still be sealed with a data key from before the last change.
  virtual bool holds_old_keys() const = 0;

  // Why nothing is written any more; nullopt while all is well.
  virtual std::optional<Error> broken() const = 0;
};

}  // namespace skep::storage
