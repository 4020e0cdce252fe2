// What a case sees of the kernel's side of an endpoint: interfaces, addresses, routes and whether
// bytes get across. Everything is asked from inside the namespace, over plain sockets and /proc.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/model/result.hpp"

namespace skep::conformance {

struct InterfaceSeen {
  std::string name;
  bool up = false;
  std::string mac;                     // lower case
  std::vector<std::string> addresses;  // IPv4
};

// Of the calling thread's namespace.
std::vector<InterfaceSeen> interfaces_seen();
// The gateway of the default route through `interface`; empty when there is none.
std::string default_gateway(const std::string& interface);

// A TCP connection from namespace to namespace: connects, sends a byte, and gets it back.
bool tcp_echo(const std::string& from_netns, const std::string& to_netns,
              const std::string& address);

// Datagrams from one namespace to another every few milliseconds, counted on arrival.
class Flow {
 public:
  static Result<std::unique_ptr<Flow>> begin(const std::string& from_netns,
                                             const std::string& to_netns,
                                             const std::string& address);
  ~Flow();
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  struct Count {
    int sent = 0;
    int arrived = 0;
  };
  // Ends the sending, waits for what is under way, and tells.
  Count end();

 private:
  Flow(int sender, int receiver);
  const int sender_;
  const int receiver_;
  std::atomic<bool> ending_ = false;
  std::atomic<int> sent_ = 0;
  std::atomic<int> arrived_ = 0;
  std::thread sending_;
  std::thread receiving_;
};

}  // namespace skep::conformance
