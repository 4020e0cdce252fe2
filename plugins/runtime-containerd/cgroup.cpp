// The kernel's files. In v1 each controller has a tree of its own under /sys/fs/cgroup, hybrid
// machines have "unified" beside them; in v2 the one tree is /sys/fs/cgroup itself.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/cgroup.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

namespace skep::containerd {

namespace fs = std::filesystem;

namespace {

const fs::path mount_point = "/sys/fs/cgroup";

std::optional<uint64_t> read_number(const fs::path& file) {
  std::ifstream in(file);
  uint64_t number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

// The value behind `key` in a file of "key value" lines.
std::optional<uint64_t> read_keyed(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  std::string name;
  uint64_t value = 0;
  while (in >> name >> value) {
    if (name == key) return value;
  }
  return std::nullopt;
}

fs::path below(const fs::path& root, const std::string& path) {
  return root.string() + path;
}

std::vector<fs::path> hierarchies() {
  if (is_unified()) return {mount_point};
  std::vector<fs::path> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(mount_point, error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error)) found.push_back(entry.path());
  }
  return found;
}

}  // namespace

bool is_unified() {
  std::error_code error;
  return fs::exists(mount_point / "cgroup.controllers", error);
}

std::optional<CgroupUsage> read_usage(const std::string& path) {
  CgroupUsage usage;
  if (is_unified()) {
    const fs::path folder = below(mount_point, path);
    const auto memory = read_number(folder / "memory.current");
    const auto pids = read_number(folder / "pids.current");
    const auto cpu = read_keyed(folder / "cpu.stat", "usage_usec");
    if (!memory && !pids && !cpu) return std::nullopt;
    usage = {memory.value_or(0), cpu.value_or(0) * 1000, pids.value_or(0)};
    return usage;
  }
  const auto memory = read_number(below(mount_point / "memory", path) / "memory.usage_in_bytes");
  const auto pids = read_number(below(mount_point / "pids", path) / "pids.current");
  const auto cpu = read_number(below(mount_point / "cpuacct", path) / "cpuacct.usage");
  if (!memory && !pids && !cpu) return std::nullopt;
  usage = {memory.value_or(0), cpu.value_or(0), pids.value_or(0)};
  return usage;
}

bool was_oom_killed(const std::string& path) {
  const auto kills =
      is_unified()
          ? read_keyed(below(mount_point, path) / "memory.events", "oom_kill")
          : read_keyed(below(mount_point / "memory", path) / "memory.oom_control", "oom_kill");
  return kills.value_or(0) > 0;
}

void remove_cgroup(const std::string& path) {
  for (const fs::path& root : hierarchies()) {
    const fs::path folder = below(root, path);
    std::error_code error;
    std::vector<fs::path> inside;
    for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
      if (it->is_directory(error)) inside.push_back(it->path());
    }
    // The deepest first; rmdir refuses one that still has processes, which is what we want.
    std::reverse(inside.begin(), inside.end());
    for (const fs::path& inner : inside) rmdir(inner.c_str());
    rmdir(folder.c_str());
  }
}

}  // namespace skep::containerd
