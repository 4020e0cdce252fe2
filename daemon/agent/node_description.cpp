// The size is that of the machine; a limit set by a cgroup around skepd is not considered.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/node_description.hpp"

#include <sys/utsname.h>
#include <unistd.h>

namespace skep::agent {
namespace {

constexpr int64_t kNanoPerCpu = 1'000'000'000;
constexpr const char* kEngineVersion = "0.1.0";

}  // namespace

model::NodeDescription describe_node(const std::string& hostname) {
  model::NodeDescription node;
  node.hostname = hostname;
  utsname names{};
  if (uname(&names) == 0) {
    node.platform.architecture = names.machine;
    if (node.hostname.empty()) node.hostname = names.nodename;
  }
  node.platform.os = "linux";
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  if (cpus > 0) node.resources.nano_cpus = cpus * kNanoPerCpu;
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_bytes > 0) node.resources.memory_bytes = int64_t{pages} * page_bytes;
  node.engine_version = kEngineVersion;
  return node;
}

}  // namespace skep::agent
