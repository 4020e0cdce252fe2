// mount(2) and its errors, and the reading of /proc/self/mountinfo.
// SPDX-License-Identifier: Apache-2.0
#include "mounts.hpp"

#include <netdb.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

namespace skep::volume_local {
namespace {

using sdk::Failure;

// Space, tab, newline and backslash stand as three octal digits in mountinfo.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

skep_status code_of_mount_errno(int number) {
  switch (number) {
    case ENODEV:
    case EINVAL:
    case ENOTBLK:
      return SKEP_E_INVALID;
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
      return SKEP_E_PRECONDITION;
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ECONNREFUSED:
      return SKEP_E_UNAVAILABLE;
    default:
      return sdk::detail::code_of_errno(number);
  }
}

[[noreturn]] void fail(const MountPlan& plan, int number) {
  const char* reason = std::strerror(number);
  if (number == ENODEV) reason = "the kernel has no file system of this type";
  if (number == EINVAL) reason = "the kernel does not take these options";
  throw Failure(code_of_mount_errno(number),
                "mounting " + plan.device + " as " + plan.type + ": " + reason);
}

// The kernel's NFS and CIFS want the server's address, where a person writes its name.
std::string resolved(const MountPlan& plan) {
  std::istringstream words(plan.data);
  std::string data;
  for (std::string word; std::getline(words, word, ',');) {
    if (word.starts_with("addr=")) {
      const std::string name = word.substr(5);
      addrinfo wanted = {};
      wanted.ai_socktype = SOCK_STREAM;
      addrinfo* raw = nullptr;
      const int error = getaddrinfo(name.c_str(), nullptr, &wanted, &raw);
      if (error != 0) {
        throw Failure(error == EAI_AGAIN ? SKEP_E_UNAVAILABLE : SKEP_E_PRECONDITION,
                      "\"options.o\": " + name + ": " + gai_strerror(error));
      }
      const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw, freeaddrinfo);
      std::array<char, NI_MAXHOST> address{};
      getnameinfo(found->ai_addr, found->ai_addrlen, address.data(), address.size(), nullptr, 0,
                  NI_NUMERICHOST);
      word = std::string("addr=") + address.data();
    }
    data += (data.empty() ? "" : ",") + word;
  }
  return data;
}

}  // namespace

std::vector<std::string> mounts_below(const std::string& folder) {
  std::ifstream table("/proc/self/mountinfo");
  std::vector<std::string> found;
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    if (!(fields >> id >> parent >> device >> root >> point)) continue;
    point = unescaped(point);
    if (point == folder || point.starts_with(folder + "/")) found.push_back(point);
  }
  if (table.bad() || !table.eof()) {
    throw Failure(SKEP_E_INTERNAL, "the kernel's list of mounts can't be read");
  }
  return found;
}

void mount_on(const MountPlan& plan, const std::string& path) {
  const std::vector<std::string> there = mounts_below(path);
  if (there.empty()) {
    const std::string data = plan.remote() ? resolved(plan) : plan.data;
    const char* const text = data.empty() ? nullptr : data.c_str();
    if (mount(plan.device.c_str(), path.c_str(), plan.type.c_str(), plan.flags, text) != 0) {
      fail(plan, errno);
    }
  } else if (there.front() != path) {
    return;
  }
  // A bind takes its flags, and any mount its propagation, in a call of its own; a driver that was
  // killed between the two left a mount that lacks them.
  const unsigned long own = plan.flags & ~static_cast<unsigned long>(MS_BIND | MS_REC);
  const bool flagged =
      !plan.bind() || own == 0 ||
      mount(nullptr, path.c_str(), nullptr, MS_BIND | MS_REMOUNT | own, nullptr) == 0;
  if (flagged && (plan.propagation == 0 ||
                  mount(nullptr, path.c_str(), nullptr, plan.propagation, nullptr) == 0)) {
    return;
  }
  const int number = errno;
  if (there.empty()) unmount_below(path, true);
  fail(plan, number);
}

void unmount_below(const std::string& path, bool force) {
  std::vector<std::string> mounts = mounts_below(path);
  // What was bound with all that is mounted below shares those mounts with its origin: to unmount
  // one here would unmount it there, unless they part first.
  if (!mounts.empty() && mounts.front() == path &&
      mount(nullptr, path.c_str(), nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 && errno != EINVAL) {
    throw Failure(sdk::detail::code_of_errno(errno), path + ": " + std::strerror(errno));
  }
  for (; !mounts.empty(); mounts.pop_back()) {
    const std::string& last = mounts.back();
    if (umount2(last.c_str(), UMOUNT_NOFOLLOW | (force ? MNT_DETACH : 0)) == 0) continue;
    // EINVAL: it is no mount any more, because a forced one took it along.
    if (errno == EINVAL && force) continue;
    throw Failure(sdk::detail::code_of_errno(errno),
                  "unmounting " + last + ": " + std::strerror(errno));
  }
}

}  // namespace skep::volume_local
