// The part of a node that runs its tasks: what the managers assigned goes in, reports come out.
//
// Level-triggered: assign() takes the full wanted state each time, and whatever isn't in it is
// stopped and removed from the node. Until the first assign() after a start the agent goes on with
// what its database says; a worker without a manager keeps its containers. Stopping the agent
// leaves every container running, and the next start adopts them. A database without any task may
// be one that was lost: then nothing is removed before the first assign() has said what is wanted,
// and what is there of that is adopted.
//
// Everything runs on one loop (a single-threaded executor); drivers do the blocking work. Reports
// of one turn of the loop come as one call, the last one of each task, right after that turn.
//
// Order of life: construct, start(), assign()..., then stop(), and destroy before the drivers and
// before the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "daemon/agent/assignments.hpp"
#include "daemon/agent/containers.hpp"
#include "daemon/agent/node_volumes.hpp"
#include "daemon/agent/options.hpp"
#include "daemon/drivers/network_driver.hpp"
#include "daemon/drivers/runtime_driver.hpp"

namespace skep::agent {

class Agent {
 public:
  using Report = std::function<void(std::vector<TaskReport>)>;

  // The drivers must outlive the agent. `report` is called on the loop, never from within a call to
  // the agent.
  Agent(boost::asio::any_io_executor loop, drivers::RuntimeDriver& runtime,
        drivers::NetworkDriver& network, std::vector<NamedVolumeDriver> volume_drivers,
        AgentOptions options, Report report);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Opens the database, hands the drivers what they had, and goes on with every stored task. Once,
  // before anything else. A runtime that is away is no error. Errors: the database can't be used.
  boost::asio::awaitable<Status> start();

  // The full wanted state. Requires: start() has succeeded.
  void assign(const AssignmentSet& wanted);

  // What was last observed of every task here: to be told to a manager that is new to us.
  std::vector<TaskReport> reports() const;

  // Stops and removes everything (the node leaves the cluster). Returns when nothing is left, or
  // with unavailable after `limit`, when the runtime could not do it; it is then tried on.
  boost::asio::awaitable<Status> remove_all(std::chrono::seconds limit);

  // Ends all coroutines; containers go on. Nothing is reported any more.
  boost::asio::awaitable<void> stop();

  // `plugins` are the drivers in use, as the managers shall see them.
  model::NodeDescription description(std::vector<model::EnginePlugin> plugins) const;

  // Valid from start() on, while the agent lives.
  Containers& containers();
  Volumes& volumes();

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace skep::agent
