// Reading a container's cgroup straight from the kernel: usage, kills for want of memory, and the
// removal of an empty folder that a killed shim left behind. Knows v1, hybrid and v2; writes no
// limit, those are runc's. Everything is "if it is there": a container that ended has no usage.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace skep::containerd {

struct CgroupUsage {
  uint64_t memory_bytes = 0;
  uint64_t cpu_ns = 0;
  uint64_t pids = 0;
};

// `path` is the container's cgroup below the mounts: "/skep/NODE/ID". [any-thread]
std::optional<CgroupUsage> read_usage(const std::string& path);
// True when the kernel killed something in it for want of memory. False when that can't be told.
bool was_oom_killed(const std::string& path);
// Removes the container's folder, empty folders inside it included, in every hierarchy.
void remove_cgroup(const std::string& path);
// True on a machine whose controllers are all in cgroup v2.
bool is_unified();

}  // namespace skep::containerd
