// See the header. The ballast is made under a temporary name: one that is half there would be
// counted on and not be found.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/disk_room.hpp"

namespace skep::storage {

Ballast::Ballast(FileSystem& files, std::string folder, RoomLimits limits)
    : files_(files),
      folder_(std::move(folder)),
      path_(folder_ + "/raft.ballast"),
      limits_(limits),
      there_(files.open(path_).has_value()) {}

void Ballast::check() {
  const Result<uint64_t> free = files_.free_bytes(folder_);
  if (!free) return;
  room_.free_bytes = *free;
  if (room_.free_bytes < limits_.low_bytes) {
    room_.read_only =
        Error{ErrorKind::exhausted, "read-only: the disk of this manager is nearly full (" +
                                        std::to_string(room_.free_bytes >> 20) + " MiB free)"};
  } else if (enough(limits_.low_bytes)) {
    room_.read_only.reset();
  }
  if (!there_ && limits_.ballast_bytes != 0 && enough(limits_.low_bytes + limits_.ballast_bytes)) {
    keep();
  }
}

void Ballast::keep() {
  // Not being able to is no failure of the log: the next check tries again.
  const std::string temporary = path_ + ".tmp";
  const Status made = files_.allocate(temporary, limits_.ballast_bytes);
  there_ = made && files_.rename(temporary, path_);
  if (there_) return;
  const Status removed = files_.remove(temporary);
  static_cast<void>(removed);
}

bool Ballast::give_up() {
  if (!there_) return false;
  there_ = false;
  return files_.remove(path_).has_value();
}

}  // namespace skep::storage
