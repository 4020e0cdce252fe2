// iproute2 and setns.
// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/net_bridge/namespaces.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <stdexcept>

namespace skep::test {
namespace {

bool shell(const std::string& command, std::string* output) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) return false;
  std::array<char, 4096> buffer{};
  std::string text;
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), count);
  }
  if (output != nullptr) *output = text;
  return pclose(pipe) == 0;
}

}  // namespace

NamedNamespace::NamedNamespace(const std::string& name)
    : name_("sknb-" + std::to_string(getpid()) + "-" + name) {
  std::string output;
  if (!shell("ip netns add " + name_, &output)) throw std::runtime_error(name_ + ": " + output);
}

NamedNamespace::~NamedNamespace() {
  remove();
}

void NamedNamespace::remove() {
  if (name_.empty()) return;
  shell("ip netns del " + name_, nullptr);
  name_.clear();
}

bool NamedNamespace::run(const std::string& command, std::string* output) const {
  return shell("ip netns exec " + name_ + " sh -c '" + command + "'", output);
}

Inside::Inside(const NamedNamespace& there)
    : home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  const int target = open(there.path().c_str(), O_RDONLY | O_CLOEXEC);
  const bool entered = home_ >= 0 && target >= 0 && setns(target, CLONE_NEWNET) == 0;
  if (target >= 0) close(target);
  if (!entered) throw std::runtime_error("can't enter " + there.name());
}

Inside::~Inside() {
  if (setns(home_, CLONE_NEWNET) != 0) std::perror("setns");
  close(home_);
}

}  // namespace skep::test
