// unshare + bind mount of /proc/thread-self/ns/net, as `ip netns add` does it, without the process.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/network_namespace.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

namespace skep::agent {
namespace {

constexpr long kNamespaceFsMagic = 0x6e736673;  // NSFS_MAGIC of linux/magic.h
constexpr size_t kThreads = 2;                  // as many as starts are worth overlapping
constexpr int kStackedMountsMax = 8;            // more than one only if somebody mounted over it

Error system_error(std::string_view what, const std::string& path) {
  const int code = errno;
  const ErrorKind kind = code == EPERM || code == EACCES ? ErrorKind::denied : ErrorKind::internal;
  return {kind, std::string(what) + " " + path + ": " + std::strerror(code)};
}

bool is_namespace(const std::string& path) {
  struct statfs about {};
  return statfs(path.c_str(), &about) == 0 && about.f_type == kNamespaceFsMagic;
}

Status raise_loopback() {
  const int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return fail(system_error("can't open a socket in", "the new namespace"));
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  const int outcome = ioctl(socket_fd, SIOCSIFFLAGS, &request);
  Status result;
  if (outcome != 0) result = fail(system_error("can't raise", "lo"));
  close(socket_fd);
  return result;
}

// On the thread that ends right after this.
Status make_here(const std::string& path) {
  if (unshare(CLONE_NEWNET) != 0) {
    return fail(system_error("can't make a network namespace for", path));
  }
  SKEP_TRY(raise_loopback());
  if (mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0) {
    return fail(system_error("can't mount the network namespace at", path));
  }
  return {};
}

Status make(const std::string& folder, const std::string& path) {
  if (is_namespace(path)) return {};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorKind::internal, "can't make " + folder + ": " + error.message());
  const int file = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
  if (file < 0) return fail(system_error("can't make", path));
  close(file);
  Status made;
  std::thread maker([&] { made = make_here(path); });
  maker.join();
  if (!made) unlink(path.c_str());
  return made;
}

Status unmake(const std::string& path) {
  for (int i = 0; i < kStackedMountsMax; ++i) {
    if (umount2(path.c_str(), MNT_DETACH) == 0) continue;
    if (errno == EINVAL || errno == ENOENT) break;
    return fail(system_error("can't unmount", path));
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail(system_error("can't remove", path));
  }
  return {};
}

std::string mac_text(const sockaddr_ll& link) {
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", link.sll_addr[0],
                link.sll_addr[1], link.sll_addr[2], link.sll_addr[3], link.sll_addr[4],
                link.sll_addr[5]);
  return text.data();
}

std::string cidr_text(const sockaddr_in& address, const sockaddr_in& mask) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return std::string(text.data()) + "/" + std::to_string(std::popcount(mask.sin_addr.s_addr));
}

// On the thread that ends right after this.
Status look_here(const std::string& path, const std::string& interface, InterfaceAddress* found) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return fail(ErrorKind::not_found, "there is no " + path);
  if (file < 0) return fail(system_error("can't open", path));
  const int entered = setns(file, CLONE_NEWNET);
  Status outcome;
  if (entered != 0) outcome = fail(system_error("can't enter", path));
  close(file);
  SKEP_TRY(outcome);
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return fail(system_error("can't list the interfaces in", path));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (interface != at->ifa_name || at->ifa_addr == nullptr) continue;
    if (at->ifa_addr->sa_family == AF_PACKET) {
      found->mac = mac_text(*reinterpret_cast<const sockaddr_ll*>(at->ifa_addr));
    } else if (at->ifa_addr->sa_family == AF_INET && at->ifa_netmask != nullptr) {
      found->cidr = cidr_text(*reinterpret_cast<const sockaddr_in*>(at->ifa_addr),
                              *reinterpret_cast<const sockaddr_in*>(at->ifa_netmask));
    }
  }
  if (!found->cidr.empty()) return {};
  return fail(ErrorKind::not_found, "no interface " + interface + " with an address in " + path);
}

Status look(const std::string& path, const std::string& interface, InterfaceAddress* found) {
  if (!is_namespace(path)) return fail(ErrorKind::not_found, path + " is no network namespace");
  Status outcome;
  std::thread visitor([&] { outcome = look_here(path, interface, found); });
  visitor.join();
  return outcome;
}

}  // namespace

NetworkNamespaces::NetworkNamespaces(std::string folder)
    : folder_(std::move(folder)), work_(kThreads) {}

std::string NetworkNamespaces::path(std::string_view name) const {
  return folder_ + "/" + std::string(name);
}

boost::asio::awaitable<Status> NetworkNamespaces::create(std::string name) {
  std::function<Status()> work = [folder = folder_, file = path(name)] {
    return make(folder, file);
  };
  co_return co_await work_.run(std::move(work));
}

boost::asio::awaitable<Status> NetworkNamespaces::remove(std::string name) {
  std::function<Status()> work = [file = path(name)] { return unmake(file); };
  co_return co_await work_.run(std::move(work));
}

boost::asio::awaitable<Result<InterfaceAddress>> NetworkNamespaces::address(std::string name,
                                                                            std::string interface) {
  auto found = std::make_shared<InterfaceAddress>();
  std::function<Status()> work = [file = path(name), interface = std::move(interface), found] {
    return look(file, interface, found.get());
  };
  const Status looked = co_await work_.run(std::move(work));
  if (!looked) co_return fail(looked.error());
  co_return *found;
}

std::vector<std::string> NetworkNamespaces::list() const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  return names;
}

}  // namespace skep::agent
