// What this driver has promised: networks, their endpoints, and which address is whose.
//
// Only the book, no kernel: so a join can look up what it needs and let go of the lock before it
// talks to the kernel. The host keeps the durable copy (the handles); this one is rebuilt by
// restore(). Throws sdk::Failure with the code of the contract. Thread-safe.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "address_pool.hpp"

namespace skep::net_bridge {

struct NetworkEntry {
  std::string id;
  Subnet subnet;
  uint32_t gateway = 0;
  uint32_t mtu = 0;
  std::string device;
  bool operator==(const NetworkEntry&) const = default;
};

struct EndpointEntry {
  std::string id;
  std::string network;
  uint32_t address = 0;
  std::string mac;
  bool operator==(const EndpointEntry&) const = default;
};

class Networks {
 public:
  // Adds a network; the same again is fine. EXISTS: same id, other values. PRECONDITION: its subnet
  // or device is taken by another network.
  void add(const NetworkEntry& entry);
  std::optional<NetworkEntry> network(const std::string& id);
  // NOTFOUND when there is none.
  NetworkEntry require_network(const std::string& id);
  // Forgets it; PRECONDITION while it has endpoints. Nothing when it was unknown.
  std::optional<NetworkEntry> remove(const std::string& id);
  std::vector<NetworkEntry> networks();

  // Reserves an address (the wanted one if it is given) for a new endpoint; a known one is returned
  // as it is, unless it was wanted otherwise (EXISTS). EXHAUSTED names the subnet.
  EndpointEntry add_endpoint(const std::string& network, const std::string& id,
                             std::optional<uint32_t> wanted, const std::string& mac);
  std::optional<EndpointEntry> endpoint(const std::string& network, const std::string& id);
  EndpointEntry require_endpoint(const std::string& network, const std::string& id);
  void remove_endpoint(const std::string& network, const std::string& id);
  std::vector<EndpointEntry> endpoints();

 private:
  struct Network {
    NetworkEntry entry;
    AddressPool pool;
    std::map<std::string, EndpointEntry> endpoints;
  };
  Network& find(const std::string& id);  // under mutex_

  std::mutex mutex_;
  std::map<std::string, Network> networks_;
};

}  // namespace skep::net_bridge
