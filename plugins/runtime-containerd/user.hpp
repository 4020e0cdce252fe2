// Who a process runs as: "uid[:gid]" or names, told from the container's own /etc/passwd and
// /etc/group. The root file system is a list of folders, the uppermost first: the layers of a
// snapshot that nobody has mounted yet, or the one root of a running process. Files are opened so
// that no symbolic link can lead out of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace skep::containerd {

struct User {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  // supplementary
};

using RootLayers = std::vector<std::filesystem::path>;

// `text` is empty for root. `groups` are names or numbers added by the caller. Throws
// Failure(SKEP_E_INVALID) "unable to find user NAME: ...".
User resolve_user(const std::string& text, const std::vector<std::string>& groups,
                  const RootLayers& layers);

}  // namespace skep::containerd
