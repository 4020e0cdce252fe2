// Further processes in a running container: skep.runtime.exec/1. The shim connects the process to
// the FIFOs the host made; no byte of them passes here. A window size that comes before the process
// runs is kept and given to it right after its start, because terminals are resized by clients that
// don't wait.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "runtime-containerd/containers.hpp"

namespace skep::containerd {

// Each method is the operation of the same name in runtime.h; those that block are for host
// threads.
class Execs {
 public:
  Execs(Rpc& rpc, Containers& owner) : rpc_(rpc), containers_(owner) {}

  sdk::json create(const sdk::json& request);
  sdk::json start(const sdk::json& request);
  sdk::json resize(const sdk::json& request);
  void wait(HeldPtr held);
  sdk::json close_stdin(const sdk::json& request);
  sdk::json signal(const sdk::json& request);

 private:
  // What this driver remembers of a process until it was waited for. One that it has forgotten,
  // with the driver's restart, is asked for at containerd.
  struct Known {
    sdk::json request;
    bool started = false;
    uint32_t rows = 0;
    uint32_t cols = 0;
  };
  std::optional<Known> known(const std::string& exec_id);
  void remember(const std::string& exec_id, Known process);
  void forget(const std::string& exec_id);
  std::optional<ProcessRecord> at_containerd(const sdk::json& request);

  Rpc& rpc_;
  Containers& containers_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;  // guarded by mutex_
};

}  // namespace skep::containerd
