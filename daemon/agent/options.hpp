// What the agent is told about its node, once, by skepd's main.
//
// Folders exist or are made; all paths are absolute. The clock is handed in because there is one
// clock in the daemon, and tests have another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "core/model/time.hpp"

namespace skep::agent {

struct AgentOptions {
  std::string data_dir;       // agent.db, logs/CONTAINER/, containers/CONTAINER/
  std::string run_dir;        // netns/TASK, exec/ID/
  std::string node_name;      // of this node on this machine; part of the cgroup's path
  std::string hostname;       // what the node calls itself in the cluster
  std::string cgroup_parent;  // "/skep/NODENAME"; empty: that
  std::function<model::WallTime()> clock;

  // A failed step that may work later is tried again after this, doubling up to the maximum.
  std::chrono::milliseconds retry_first{1000};
  std::chrono::milliseconds retry_max{8000};
  std::chrono::milliseconds sweep_period{60'000};
  // A container's log when its spec has no max-size and max-file.
  int64_t log_max_bytes = int64_t{16} << 20;
  int64_t log_max_files = 4;
};

}  // namespace skep::agent
