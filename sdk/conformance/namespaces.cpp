// unshare and setns, always in threads that end: the kernel gives a namespace to a thread, and a
// thread that ends takes nothing along. What keeps a namespace alive is its bind mount.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/namespaces.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

namespace skep::conformance {
namespace {

constexpr const char* own = "/proc/thread-self/ns/net";

Error errno_error(const std::string& what) {
  const ErrorKind kind = errno == EPERM ? ErrorKind::denied : ErrorKind::internal;
  return Error{kind, fmt::format("{}: {}", what, std::strerror(errno))};
}

Status in_thread(const std::function<Status()>& work) {
  Status status;
  std::thread([&] { status = work(); }).join();
  return status;
}

// The namespace a path leads to, as a number; 0 when it leads nowhere.
ino_t namespace_at(const char* path) {
  struct stat about {};
  return stat(path, &about) == 0 ? about.st_ino : 0;
}

}  // namespace

Status make_netns(const std::string& path) {
  struct statfs about {};
  if (statfs(path.c_str(), &about) == 0 && about.f_type == NSFS_MAGIC) return {};
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  const int file = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return fail(errno_error(path));
  close(file);
  return in_thread([&]() -> Status {
    if (unshare(CLONE_NEWNET) != 0) return fail(errno_error("a network namespace"));
    if (mount(own, path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return fail(errno_error("binding a network namespace to " + path));
    }
    return {};
  });
}

void remove_netns(const std::string& path) {
  umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  unlink(path.c_str());
}

Status inside_netns(const std::string& path, const std::function<Status()>& work) {
  return in_thread([&]() -> Status {
    const int there = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (there < 0) return fail(errno_error(path));
    const int entered = setns(there, CLONE_NEWNET);
    const Error reason = errno_error("entering " + path);
    close(there);
    if (entered != 0) return fail(reason);
    return work();
  });
}

bool in_machines_netns() {
  return namespace_at("/proc/self/ns/net") == namespace_at("/proc/1/ns/net");
}

}  // namespace skep::conformance
