// A limit for a folder, kept by the file system: a project quota (ext4 and XFS, mounted with
// prjquota).
//
// A folder with a limit gets a project id that nothing else on the file system uses; what is made
// below inherits it, and the file system counts and refuses. An id is free when it has neither
// limit nor usage, so there is no table of ids to lose. Where quotas are only counted and not
// enforced, there is no limit, and why_not() says so.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

namespace skep::volume_local {

class ProjectQuota {
 public:
  // For folders of the file system that `root` is on.
  explicit ProjectQuota(std::string root) : root_(std::move(root)) {}

  // Empty when limits are enforced here, else a sentence. [any-thread]
  std::string why_not() const;
  // Puts the empty folder under a project of its own that holds at most `bytes` (rounded up to
  // KiB). Gives the id. Throws Failure. [any-thread]
  uint32_t limit(const std::string& folder, int64_t bytes);
  // The project's folder is gone. [any-thread]
  void release(uint32_t project) const;

 private:
  std::string root_;
  std::mutex choosing_;
};

}  // namespace skep::volume_local
