// uname, sysconf and os-release.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/host_facts.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string_view>

namespace skep::api {
namespace {

std::string pretty_name() {
  std::ifstream file("/etc/os-release");
  constexpr std::string_view kKey = "PRETTY_NAME=";
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(kKey)) continue;
    std::string value = line.substr(kKey.size());
    if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return "Linux";
}

std::string go_name(const std::string& machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return machine;
}

}  // namespace

HostFacts read_host_facts() {
  HostFacts facts;
  utsname names{};
  if (::uname(&names) == 0) {
    facts.hostname = names.nodename;
    facts.kernel = names.release;
    facts.architecture = names.machine;
  }
  facts.go_architecture = go_name(facts.architecture);
  static const std::string os = pretty_name();  // doesn't change while we run
  facts.operating_system = os;
  facts.cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  facts.memory_bytes = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  facts.cgroup_version = ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "2" : "1";
  return facts;
}

}  // namespace skep::api
