// Leases of our own, which keep containerd's garbage collection off what is being made: one around
// each create, one around each pull. CRI pulls under the lease that comes with the call instead of
// one of its own, which nobody could tell for ours: so what an interrupted pull has unpacked goes
// when its lease goes, and not a day later.
//
// Each carries the node's label, and ends with what it was for. One that a crash left behind is
// found by its label after the next restore, and expires in any case.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <future>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "runtime-containerd/config.hpp"
#include "runtime-containerd/rpc.hpp"

namespace skep::containerd {

// [any-thread]
class Leases {
 public:
  Leases(Rpc& rpc, const Config& config) : rpc_(rpc), config_(config) {}

  // Takes the lease for the making of a container. True when one was there already: an earlier
  // create of it was interrupted. The future throws Failure.
  std::future<bool> take_for_container(const std::string& id);
  // Ends the lease of an interrupted create; false when there was none. Blocks.
  bool end_for_container(const std::string& id);
  static std::string name_for_container(const std::string& id);
  // Takes a lease for a pull and hands its name to `done`, which runs on the callback thread.
  void take_for_pull(std::function<void(RpcStatus, std::string name)> done);

  // Ends a lease. Does not wait for it; what fails is found again by the label.
  void end(const std::string& name);
  // The same, and waits.
  void end_and_wait(const std::string& name);
  // Leaves it to its expiry and to the next clean_up.
  void leave(const std::string& name);

  struct Remains {
    std::vector<std::string> leases;      // names
    std::vector<std::string> containers;  // ids whose making was interrupted
  };
  // What crashes left behind: leases of this node that nobody in this process holds. Blocks.
  Remains remains();
  // Ends them, and asks containerd to collect what they held. Blocks, but not for the collection.
  void end_all(const std::vector<std::string>& names);

 private:
  Rpc& rpc_;
  const Config& config_;
  std::mutex mutex_;
  std::set<std::string> held_;  // guarded by mutex_
};

}  // namespace skep::containerd
