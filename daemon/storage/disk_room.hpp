// How much room the log's disk has, and a file that is given up when there is none.
//
// Long before the disk is full the store says `read_only`: the manager then refuses what makes the
// log grow, and a leader hands over. If the disk fills up all the same (others write to it too),
// the ballast is deleted, so that what is on its way, compaction and a restart find room. It comes
// back by itself when there is room for it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "daemon/storage/file_system.hpp"

namespace skep::storage {

struct RoomLimits {
  uint64_t ballast_bytes = 64 << 20;  // zero: none is kept
  // Read-only below this, and until there is a quarter more again.
  uint64_t low_bytes = 128 << 20;
};

struct DiskRoom {
  uint64_t free_bytes = 0;
  // Why nothing should be proposed (ErrorKind::exhausted).
  std::optional<Error> read_only;
};

// One thread at a time.
class Ballast {
 public:
  // `files` outlives it.
  Ballast(FileSystem& files, std::string folder, RoomLimits limits);

  // Looks at the disk; makes the ballast if it is missing and there is room for it. Cheap. A disk
  // that can't be asked keeps its last answer: the next write will tell.
  void check();
  // Deletes the ballast: true if that made room.
  bool give_up();
  const DiskRoom& room() const { return room_; }

 private:
  bool enough(uint64_t bytes) const { return room_.free_bytes >= bytes + bytes / 4; }
  void keep();

  FileSystem& files_;
  std::string folder_;
  std::string path_;
  RoomLimits limits_;
  DiskRoom room_;
  bool there_ = false;
};

}  // namespace skep::storage
