// What a simulated manager keeps on its disk, as its process sees it.
//
// The seam for other logs than the simulator's own journal: whatever can keep a Persist behind a
// device that loses unflushed writes fits here. Work is begun (bytes are on their way), then
// advanced until it says that all is flushed; between any two of these calls the power may go. One
// piece of work at a time. The first failure is final for the process: it has to load again.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "core/raft/types.hpp"
#include "tests/sim/device.hpp"

namespace skep::sim {

struct Contents {
  raft::RaftId member;
  raft::Incarnation incarnation;
  raft::Restored restored;
  std::string state;  // of the state machine at restored.snapshot; empty at index 0
};

struct SaveSnapshot {
  raft::SnapshotPointer at;
  std::string state;
  uint64_t keep_entries = 0;  // before its index
};

class Disk {
 public:
  virtual ~Disk() = default;

  // Makes the log of a new member, flushed when this returns.
  virtual Status format(raft::RaftId member, raft::Incarnation incarnation,
                        const raft::SnapshotPointer& first) = 0;
  // What a starting process finds; nullopt on a blank disk. A record that was torn at the end goes;
  // damage anywhere else is ErrorKind::internal, and a disk that can't be read now `unavailable`.
  virtual Result<std::optional<Contents>> load() = 0;

  // Requires: load or format came before.
  virtual Status begin(const raft::Persist& batch) = 0;
  virtual Status begin(const SaveSnapshot& snapshot) = 0;
  // True: all of what was begun is durable. False: a part of it; call again.
  virtual Result<bool> advance() = 0;

  // A snapshot on its way in; lost with the process.
  virtual raft::ChunkStored store(const raft::StoreChunk& chunk) = 0;
  // At most `bytes_max` bytes of the snapshot that stands.
  virtual raft::ChunkRead read(const raft::ReadChunk& wanted, size_t bytes_max) = 0;
  // What a snapshot that was installed holds. Requires: a snapshot at that index stands.
  virtual const std::string& state() const = 0;

  virtual void lose_power(Random& random) = 0;
  virtual void wipe() = 0;
  // Flips a bit in a record that has whole ones behind it. False: there is no such record.
  virtual bool rot(Random& random) = 0;
  virtual DeviceFaults& faults() = 0;
};

// What a state's bytes end in, so that a whole snapshot can be told from a damaged one.
std::string sealed(std::string state);
bool is_sound(std::string_view sealed_state);

}  // namespace skep::sim
