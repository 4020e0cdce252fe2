// A small journal on a Device: records with length and checksum, each at the start of a sector.
//
//   file 0:  two sectors; the valid one with the higher generation names the journal in force
//   file g:  record 1: who, hard state and snapshot with its state; record 2..: batches
//
// Saving or installing a snapshot writes the next generation whole, flushes it, and only then names
// it: snapshot, hard state and log change together or not at all. A batch is one record, and the
// next comes only after its flush, so at most the last record can be torn. A bad record with a good
// one behind it is therefore damage to what was acknowledged, and the journal refuses to load.
// Generation and sequence stand in each record's checksum: an old record is never taken for new.
//
// Not told apart: a last record that was torn from one that rotted. No log can, with one flush.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tests/sim/disk.hpp"

namespace skep::sim {

class JournalDisk final : public Disk {
 public:
  Status format(raft::RaftId member, raft::Incarnation incarnation,
                const raft::SnapshotPointer& first) override;
  Result<std::optional<Contents>> load() override;
  Status begin(const raft::Persist& batch) override;
  Status begin(const SaveSnapshot& snapshot) override;
  Result<bool> advance() override;
  raft::ChunkStored store(const raft::StoreChunk& chunk) override;
  raft::ChunkRead read(const raft::ReadChunk& wanted, size_t bytes_max) override;
  const std::string& state() const override { return image_.contents.state; }
  void lose_power(Random& random) override;
  void wipe() override;
  bool rot(Random& random) override;
  DeviceFaults& faults() override { return device_.faults; }

 private:
  // A journal in force, as the process knows it.
  struct Image {
    uint64_t generation = 0;
    uint64_t sequence = 0;  // of the last record
    uint64_t end = 0;       // where the next record goes
    Contents contents;
  };
  struct Incoming {
    raft::SnapshotPointer at;
    std::string bytes;
    bool complete = false;
  };
  enum class Stage { idle, batch, next_file, next_name };

  Status write_record(Image& image, std::string payload);
  Status write_generation(Image next);
  Status replay(Image& image, std::string_view file) const;

  Device device_;
  Image image_;
  Image next_;  // while Stage is next_*
  std::optional<Incoming> incoming_;
  Stage stage_ = Stage::idle;
};

}  // namespace skep::sim
