// A block device that forgets: what was written but not flushed may be lost in a power cut, sector
// by sector, in any combination.
//
// Files are numbered and grow as they are written; a sector that never was written reads as zeros.
// Flushing makes a file's sectors safe. All faults of the disk that do not need knowledge of
// what lies on it are here: flushes that fail, no room, bits that flip at rest.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"
#include "tests/sim/random.hpp"

namespace skep::sim {

inline constexpr size_t kSectorBytes = 512;

struct DeviceFaults {
  uint32_t failing_flushes = 0;  // so many flushes fail, then it is well again
  bool dead = false;             // nothing is read, written or flushed
  bool full = false;             // a file may not grow
};

class Device {
 public:
  // Requires: offset is at a sector's start. Shorter writes are filled up with zeros.
  Status write(uint64_t file, uint64_t offset, std::string_view bytes);
  Status flush(uint64_t file);
  // What a reader sees now; empty for a file that is not there.
  Result<std::string_view> read(uint64_t file) const;
  void remove(uint64_t file) { files_.erase(file); }

  // Each sector that was not flushed is as it was before, or as it was written.
  void lose_power(Random& random);
  // Requires: inside the file.
  void flip_bit(uint64_t file, uint64_t offset, int bit);
  void wipe() { files_.clear(); }

  DeviceFaults faults;

 private:
  struct Unsafe {
    uint64_t offset = 0;
    std::string before;
  };
  struct File {
    std::string bytes;
    std::vector<Unsafe> unsafe;
  };
  std::map<uint64_t, File> files_;
};

}  // namespace skep::sim
