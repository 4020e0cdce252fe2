// unshare + bind mount of /proc/thread-self/ns/net, as `ip netns add` does it, without the process.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/network_namespace.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
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

boost::asio::awaitable<Status> run(std::function<Status()> work) {
  co_return work();
}

}  // namespace

NetworkNamespaces::NetworkNamespaces(std::string folder)
    : folder_(std::move(folder)), pool_(kThreads) {}

NetworkNamespaces::~NetworkNamespaces() {
  pool_.join();
}

std::string NetworkNamespaces::path(std::string_view name) const {
  return folder_ + "/" + std::string(name);
}

boost::asio::awaitable<Status> NetworkNamespaces::create(std::string name) {
  std::function<Status()> work = [folder = folder_, file = path(name)] {
    return make(folder, file);
  };
  co_return co_await boost::asio::co_spawn(pool_, run(std::move(work)), boost::asio::use_awaitable);
}

boost::asio::awaitable<Status> NetworkNamespaces::remove(std::string name) {
  std::function<Status()> work = [file = path(name)] { return unmake(file); };
  co_return co_await boost::asio::co_spawn(pool_, run(std::move(work)), boost::asio::use_awaitable);
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
