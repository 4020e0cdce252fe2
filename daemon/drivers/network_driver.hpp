// Networks of this node, typed: the documents of skep/network.h as structs, its operations as
// coroutines.
//
// Translation only, as in runtime_driver.hpp. Operations on one network's endpoint are ordered by
// the endpoint's id, those on a network by the network's; the driver itself keeps a create ahead of
// the joins that need it, because the caller awaits it first. All calls: on the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/drivers/restore_plan.hpp"

namespace skep::drivers {

class Plugin;

struct NetworkRequest {
  std::string network;  // id
  std::string name;
  std::string subnet;                          // CIDR; empty: the driver's choice, also below
  std::string gateway;                         // IP
  int64_t mtu = 0;                             // bytes
  std::map<std::string, std::string> options;  // driver options of the user
};

struct CreatedNetwork {
  std::string handle;  // opaque JSON text, for its RestorePlan
  std::string subnet;
  std::string gateway;
  int64_t mtu = 0;
  std::string device;
};

struct EndpointRequest {
  std::string network;
  std::string endpoint;  // id
  std::string address;   // CIDR; empty: the driver gives one
  std::string mac;       // empty: the driver gives one
};

struct CreatedEndpoint {
  std::string handle;   // opaque JSON text, for its RestorePlan
  std::string address;  // CIDR
  std::string mac;
  std::string gateway;
};

struct JoinRequest {
  std::string network;
  std::string endpoint;
  std::string netns;               // path, made by the caller
  std::string interface = "eth0";  // wanted name
};

struct NetworkListing {
  struct Network {
    std::string network;
    std::string subnet;
    std::string gateway;
    std::string device;
  };
  struct Endpoint {
    std::string network;
    std::string endpoint;
    std::string address;
    std::string mac;
  };
  std::vector<Network> networks;
  std::vector<Endpoint> endpoints;
};

class NetworkDriver {
 public:
  template <class T>
  using Reply = boost::asio::awaitable<Result<T>>;

  // `plugin` must outlive this object.
  explicit NetworkDriver(Plugin& plugin);
  virtual ~NetworkDriver() = default;
  NetworkDriver(const NetworkDriver&) = delete;
  NetworkDriver& operator=(const NetworkDriver&) = delete;

  // The driver's capabilities as JSON text, e.g. {"scope":"local"}.
  virtual Reply<std::string> capabilities();

  virtual Reply<CreatedNetwork> create(NetworkRequest request);
  virtual Reply<void> remove(std::string network);
  virtual Reply<CreatedEndpoint> endpoint_create(EndpointRequest request);
  virtual Reply<void> endpoint_remove(std::string network, std::string endpoint);
  virtual Reply<std::string> join(JoinRequest request);  // -> name of the interface
  virtual Reply<void> leave(std::string network, std::string endpoint, std::string netns);
  virtual Reply<std::vector<std::string>> check(std::string network,
                                                std::string endpoint);  // -> drift
  virtual Reply<NetworkListing> list();

  // skep.base/1: adopts what existed before a restart (id and handle of a network, then of its
  // endpoints), and ends that phase.
  // Registers who knows the objects and restores them, now and whenever the driver was started
  // anew (daemon/drivers/restore_plan.hpp).
  virtual Reply<void> restore_from(RestoreSource source);
  virtual void forget_source();
  // skep.base/1 restore_done, when the plan did not know yet what there is.
  virtual Reply<void> restore_done(std::vector<std::string> ids);

 protected:
  // For a stand-in that overrides every operation (tests of the rooms above).
  NetworkDriver() = default;

 private:
  Plugin* plugin_ = nullptr;
};

}  // namespace skep::drivers
