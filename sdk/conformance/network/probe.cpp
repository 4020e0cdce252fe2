// Sockets belong to the namespace in which they were made, whoever uses them later: so each is made
// by a thread that is inside, and used from outside.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/network/probe.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "sdk/conformance/namespaces.hpp"

namespace skep::conformance {
namespace {

constexpr int patience_s = 3;
constexpr int quiet_ms = 300;  // nothing for so long: nothing is under way any more
constexpr auto send_interval = std::chrono::milliseconds(5);

sockaddr_in address_of(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, text.c_str(), &address.sin_addr);
  return address;
}

class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }
  void set(int descriptor) { descriptor_ = descriptor; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

Status errno_status(const std::string& what) {
  return fail(ErrorKind::internal, fmt::format("{}: {}", what, std::strerror(errno)));
}

// A socket in that namespace, bound to `address` and any port; the port goes into `address`.
Status bound(const std::string& netns, int type, sockaddr_in& address, Socket& made) {
  return inside_netns(netns, [&]() -> Status {
    made.set(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    const timeval patience{patience_s, 0};
    setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (bind(made.get(), raw, size) != 0 || getsockname(made.get(), raw, &size) != 0) {
      return errno_status("binding a socket");
    }
    return {};
  });
}

std::string mac_text(const sockaddr_ll& link) {
  std::string text;
  for (int i = 0; i < link.sll_halen; ++i) {
    text += fmt::format("{}{:02x}", i == 0 ? "" : ":", link.sll_addr[i]);
  }
  return text;
}

}  // namespace

std::vector<InterfaceSeen> interfaces_seen() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return {};
  std::map<std::string, InterfaceSeen> found;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    InterfaceSeen& seen = found[one->ifa_name];
    seen.name = one->ifa_name;
    seen.up = (one->ifa_flags & IFF_UP) != 0;
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_PACKET) {
      seen.mac = mac_text(*reinterpret_cast<const sockaddr_ll*>(one->ifa_addr));
    } else if (one->ifa_addr->sa_family == AF_INET) {
      char text[INET_ADDRSTRLEN] = "";
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, text,
                sizeof text);
      seen.addresses.emplace_back(text);
    }
  }
  freeifaddrs(all);
  std::vector<InterfaceSeen> list;
  for (auto& [name, seen] : found) list.push_back(std::move(seen));
  return list;
}

std::string default_gateway(const std::string& interface) {
  std::ifstream table("/proc/thread-self/net/route");
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string name;
    std::string destination;
    std::string gateway;
    words >> name >> destination >> gateway;
    if (name != interface || destination != "00000000") continue;
    const in_addr address{static_cast<in_addr_t>(std::stoul(gateway, nullptr, 16))};
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &address, text, sizeof text);
    return text;
  }
  return {};
}

bool tcp_echo(const std::string& from_netns, const std::string& to_netns,
              const std::string& address) {
  sockaddr_in target = address_of(address);
  Socket listener;
  if (!bound(to_netns, SOCK_STREAM, target, listener)) return false;
  if (listen(listener.get(), 1) != 0) return false;
  std::thread echo([&listener] {
    const Socket peer(accept(listener.get(), nullptr, nullptr));
    char byte = 0;
    if (peer.get() >= 0 && recv(peer.get(), &byte, 1, 0) == 1) {
      send(peer.get(), &byte, 1, MSG_NOSIGNAL);
    }
  });
  bool came_back = false;
  sockaddr_in any = address_of("0.0.0.0");
  Socket caller;
  if (bound(from_netns, SOCK_STREAM, any, caller) &&
      connect(caller.get(), reinterpret_cast<sockaddr*>(&target), sizeof target) == 0) {
    char byte = 'x';
    came_back = send(caller.get(), &byte, 1, MSG_NOSIGNAL) == 1 &&
                recv(caller.get(), &byte, 1, 0) == 1 && byte == 'x';
  }
  shutdown(listener.get(), SHUT_RDWR);  // accept() returns
  echo.join();
  return came_back;
}

Result<std::unique_ptr<Flow>> Flow::begin(const std::string& from_netns,
                                          const std::string& to_netns, const std::string& address) {
  sockaddr_in target = address_of(address);
  Socket receiver;
  SKEP_TRY(bound(to_netns, SOCK_DGRAM, target, receiver));
  sockaddr_in any = address_of("0.0.0.0");
  Socket sender;
  SKEP_TRY(bound(from_netns, SOCK_DGRAM, any, sender));
  if (connect(sender.get(), reinterpret_cast<sockaddr*>(&target), sizeof target) != 0) {
    SKEP_TRY(errno_status("connecting a socket"));
  }
  return std::unique_ptr<Flow>(new Flow(sender.release(), receiver.release()));
}

Flow::Flow(int sender, int receiver) : sender_(sender), receiver_(receiver) {
  sending_ = std::thread([this] {
    while (!ending_) {
      // One that finds no way out is as lost as one that is dropped on it.
      static_cast<void>(send(sender_, "x", 1, MSG_NOSIGNAL));
      ++sent_;
      std::this_thread::sleep_for(send_interval);
    }
  });
  receiving_ = std::thread([this] {
    for (;;) {
      pollfd watched{receiver_, POLLIN, 0};
      if (poll(&watched, 1, quiet_ms) == 0) {
        if (ending_) return;
        continue;
      }
      char byte = 0;
      if (recv(receiver_, &byte, 1, 0) == 1) ++arrived_;
    }
  });
}

Flow::Count Flow::end() {
  ending_ = true;
  if (sending_.joinable()) sending_.join();
  if (receiving_.joinable()) receiving_.join();
  return {sent_, arrived_};
}

Flow::~Flow() {
  end();
  close(sender_);
  close(receiver_);
}

}  // namespace skep::conformance
