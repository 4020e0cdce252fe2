// Removing cgroups: rmdir from the leaves up, in each hierarchy.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/cgroups.hpp"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "cli/playground/process.hpp"

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;

// A process that was killed holds its cgroup until the kernel has torn it down.
constexpr milliseconds kEmptyLimit{5'000};

std::vector<fs::path> hierarchies() {
  const fs::path root = "/sys/fs/cgroup";
  std::vector<fs::path> all = {root};  // v2 alone
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error)) all.push_back(entry.path());
  }
  return all;
}

// True when the folder is gone. The files in a cgroup's folder are the kernel's: only rmdir works.
bool remove_tree(const fs::path& path) {
  std::error_code error;
  std::vector<fs::path> below;
  // Not a range-for: that one throws when the folder vanishes on the way, as a dying shim makes it.
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_directory(ignored)) below.push_back(at->path());
  }
  for (const fs::path& child : below) remove_tree(child);
  return rmdir(path.c_str()) == 0 || errno == ENOENT;
}

}  // namespace

Status remove_node_cgroups(const std::string& node_name) {
  for (const fs::path& hierarchy : hierarchies()) {
    const fs::path path = hierarchy / "skep" / node_name;
    if (!wait_until(kEmptyLimit, [&] { return remove_tree(path); })) {
      return fail(ErrorKind::deadline,
                  "the cgroup " + path.string() + " still has processes in it");
    }
    // Another node, or a skepd of the host itself, may be in it: then it stays.
    rmdir((hierarchy / "skep").c_str());
  }
  return {};
}

}  // namespace skep::cli::playground
