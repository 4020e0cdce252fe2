// A cluster's state in one file that an operator keeps: what `snapshot save` writes.
//
// It holds everything a cluster is, the key of its root included, so it is sealed with a key
// derived from a passphrase (scrypt). Layout; numbers are least significant byte first:
//   "skep snapshot 1\n"
//   u32 size, the head as lines of "name value", u32 CRC-32 of all so far
//   u32 size, a sealed nothing: by which a wrong passphrase is told from a damaged file
//   u32 size, a sealed chunk of at most 256 KiB   as often as there are chunks; the first one is
//                                                 the manifest
//   "skep end"
// A chunk is sealed about (number, is it the last, the head), so one that is missing, damaged, of
// another file or in another place does not open. Without a passphrase the key is 32 zero bytes:
// damage is still found, but anyone can read it.
//
// Bytes in memory and a sink; files are the caller's. Any thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "core/model/time.hpp"
#include "core/raft/types.hpp"
#include "daemon/storage/seal.hpp"

namespace skep::storage {

inline constexpr std::string_view kArchiveEnd = "skep end";

struct ArchiveManifest {
  model::ClusterId cluster;
  raft::Generation generation;
  raft::Index index;  // the last entry that the state covers
  raft::Term term;    // of the group when it was saved, or later than that entry's
  model::WallTime saved_at;
  bool operator==(const ArchiveManifest&) const = default;
};

// Writes one archive. An error of the sink ends it.
class ArchiveWriter {
 public:
  using Sink = std::function<Status(std::string_view)>;

  // Derives the key (some tenths of a second, 64 MiB) and writes head and manifest. No passphrase:
  // see above.
  static Result<ArchiveWriter> begin(const ArchiveManifest& manifest,
                                     const std::optional<std::string>& passphrase, Sink sink);
  // The state, in pieces of any size.
  Status append(std::string_view bytes);
  Status finish();

 private:
  ArchiveWriter(Seal seal, std::string head, Sink sink)
      : seal_(std::move(seal)), head_(std::move(head)), sink_(std::move(sink)) {}
  Status write_sealed(std::string_view about, std::string_view plain);
  Status write_chunk(std::string_view plain, bool last);

  Seal seal_;
  std::string head_;
  Sink sink_;
  std::string buffered_;  // at most one chunk: whether it is the last is not known yet
  uint64_t chunks_ = 0;
};

struct Archive {
  ArchiveManifest manifest;
  std::string state;
};

// Reads and checks all of it. Errors, each one sentence: invalid (no archive, damaged, cut short, a
// passphrase that is missing), denied (a wrong passphrase), unimplemented (a later format).
Result<Archive> read_archive(std::string_view file, const std::optional<std::string>& passphrase);

}  // namespace skep::storage
