// How far the process of a driver is bounded, and how tight that can be.
//
// The least is what a helper with a small C++ driver needs to come up and to answer on several
// threads at once. Under it a driver could never start, and would be told as one that dies.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace skep::host {

// Most of it are the stacks of its threads, 4 MiB each; it comes up with 10 MiB.
inline constexpr int64_t address_space_min = int64_t{32} << 20;  // bytes
inline constexpr int64_t open_files_min = 16;

struct HelperLimits {
  int64_t address_space_bytes = int64_t{512} << 20;  // RLIMIT_AS; 0: none
  int64_t open_files = 1024;                         // RLIMIT_NOFILE
  bool core_dump = false;
  std::string cgroup;  // folder of a cgroup to enter before the library is mapped; empty: none
};

}  // namespace skep::host
