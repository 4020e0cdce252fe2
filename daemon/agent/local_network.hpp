// This node's own network, "bridge", and the places of tasks in it.
//
// The network is made at the first start (if the driver can't, by the first task) and kept over
// restarts; its id follows from the node's name, so nothing is remembered before it is made.
// Endpoint ids follow from the task. An attached container has an address, a route out, and is
// listed by endpoints(). All operations are idempotent and may be repeated after a crash. On the
// loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/agent/agent_db.hpp"
#include "daemon/agent/containers.hpp"
#include "daemon/agent/options.hpp"
#include "daemon/agent/signal.hpp"
#include "daemon/drivers/network_driver.hpp"

namespace skep::agent {

class LocalNetwork {
 public:
  LocalNetwork(boost::asio::any_io_executor loop, drivers::NetworkDriver& driver, AgentDb& db,
               const AgentOptions& options);

  // The endpoint a task is to have, before the driver was asked.
  StoredEndpoint planned(model::TaskId task) const;
  // Makes network and endpoint if need be, and puts the interface into the namespace. The result
  // has the driver's handle and addresses.
  boost::asio::awaitable<Result<StoredEndpoint>> attach(StoredEndpoint endpoint,
                                                        std::string netns_path);
  boost::asio::awaitable<Status> detach(StoredEndpoint endpoint, std::string netns_path);

  struct KnownEndpoints {
    std::vector<StoredEndpoint> endpoints;
    bool all = false;  // there are no others: the driver may clear those away
  };
  // After a start: hands the driver what it had, now and whenever it was started anew, and makes
  // the network if it isn't there; a failure of that is logged, and attach() tries again. `known`
  // is asked until the driver's source is forgotten.
  boost::asio::awaitable<void> restore(std::function<KnownEndpoints()> known);
  // Tells the driver that these endpoints were all: it may clear away every other.
  boost::asio::awaitable<void> end_restore(std::vector<std::string> endpoints);
  // Books an endpoint whose interface is there already with this address, of which the driver knows
  // nothing any more. The interface itself is not touched.
  boost::asio::awaitable<Result<StoredEndpoint>> adopt(StoredEndpoint endpoint, std::string address,
                                                       std::string mac);
  // Removes endpoints of our network that are not in what `wanted` says once they are listed (a
  // task that begins meanwhile must be in it).
  boost::asio::awaitable<void> sweep(std::function<std::set<std::string>()> wanted);

  std::optional<Containers::LocalNetwork> description() const;
  ContainerNetwork container_network(const StoredEndpoint& endpoint) const;

 private:
  boost::asio::awaitable<Status> ensure();
  boost::asio::awaitable<Status> make();
  drivers::RestorePlan plan(KnownEndpoints known);

  drivers::NetworkDriver& driver_;
  AgentDb& db_;
  const AgentOptions& options_;
  std::string id_;
  std::optional<StoredNetwork> network_;  // known to be there
  bool making_ = false;
  Signal made_;
};

}  // namespace skep::agent
