// membership.json: the addresses a node needs to find its cluster again after a restart.
//
// Who the node is stands in its certificate; this file only says where it listens and where the
// managers are. Written beside its place and renamed, so that it is there whole or not at all.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/agent/session.hpp"

namespace skep {

struct MembershipFile {
  std::string listen_address;     // host:port; managers
  std::string advertise_address;  // host:port of a manager, host of a worker
  std::vector<agent::ManagerAddress> managers;
  raft::Generation generation;  // of the group of managers; the first until it was told
};

Status save_membership(const std::filesystem::path& file, const MembershipFile& membership);
// nullopt: there is none.
Result<std::optional<MembershipFile>> load_membership(const std::filesystem::path& file);

}  // namespace skep
