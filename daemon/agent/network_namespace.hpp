// A task's network namespace: made by the agent before the container, kept by a bind mount.
//
// The file RUN_DIR/netns/TASK is the namespace; it lives as long as that mount, whatever processes
// come and go, so that a container can end and its interface be taken out in good order. A thread
// that has entered a new namespace must not do anything else afterwards, therefore each one is made
// by a thread that ends at once. What is made here has `lo` up and nothing else in it.
//
// All operations run off the loop (an unmount waits for the kernel) and resume on it. Idempotent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/agent/blocking_work.hpp"

namespace skep::agent {

// What an interface inside a namespace has.
struct InterfaceAddress {
  std::string cidr;  // "172.30.0.5/16"
  std::string mac;   // lower case
};

class NetworkNamespaces {
 public:
  // `folder` is made on demand.
  explicit NetworkNamespaces(std::string folder);

  std::string path(std::string_view name) const;
  // Errors: denied without CAP_SYS_ADMIN, internal with the system's reason.
  boost::asio::awaitable<Status> create(std::string name);
  boost::asio::awaitable<Status> remove(std::string name);
  // The IPv4 address of an interface in there. Errors: not_found when there is no such namespace or
  // interface, or it has no address; denied, internal as above.
  boost::asio::awaitable<Result<InterfaceAddress>> address(std::string name, std::string interface);
  // Names of all that are there, also files whose mount is gone (after a reboot).
  std::vector<std::string> list() const;

 private:
  std::string folder_;
  BlockingWork work_;
};

}  // namespace skep::agent
