// What the machine is, for /version and /info. Read from the kernel at each call: cheap, and right
// after a change of the host's name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace skep::api {

struct HostFacts {
  std::string hostname;
  std::string kernel;            // "6.1.0-..."
  std::string architecture;      // "x86_64"
  std::string go_architecture;   // "amd64", as clients print it
  std::string operating_system;  // PRETTY_NAME of os-release
  int64_t cpus = 0;
  int64_t memory_bytes = 0;
  std::string cgroup_version;  // "1" or "2"
};

HostFacts read_host_facts();

}  // namespace skep::api
