// The test program's entry: into namespaces of its own first, while there is one thread.
// SPDX-License-Identifier: Apache-2.0
#define CATCH_CONFIG_RUNNER
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

int main(int count, char** arguments) {
  if (geteuid() != 0) {
    std::puts("SKIP: needs root, for containers and namespaces");
    return 77;  // as CMakeLists.txt tells ctest
  }
  if (access("/usr/bin/containerd", X_OK) != 0) {
    std::puts("SKIP: needs containerd, which is not installed");
    return 77;  // as CMakeLists.txt tells ctest
  }
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
      mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::perror("can't move into namespaces of our own");
    return 1;
  }
  if (std::system("ip link set lo up") != 0) return 1;
  return Catch::Session().run(count, arguments);
}
