// The book, line by line.
// SPDX-License-Identifier: Apache-2.0
#include "networks.hpp"

#include <string_view>
#include <utility>

#include "rollback.hpp"
#include "skep/cpp/driver.hpp"

namespace skep::net_bridge {

using sdk::Failure;

Networks::Network& Networks::find(const std::string& id) {
  const auto found = networks_.find(id);
  if (found == networks_.end()) throw Failure(SKEP_E_NOTFOUND, "no such network: " + id);
  return found->second;
}

void Networks::add(const NetworkEntry& entry) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, other] : networks_) {
    if (id == entry.id) {
      if (other.entry == entry) return;
      throw Failure(SKEP_E_EXISTS, "network " + id + " exists with other settings");
    }
    if (other.entry.subnet.overlaps(entry.subnet)) {
      throw Failure(SKEP_E_PRECONDITION, "subnet " + to_text(entry.subnet) +
                                             " overlaps that of network " + id + "; give another");
    }
    if (other.entry.device == entry.device) {
      throw Failure(SKEP_E_PRECONDITION, "bridge " + entry.device + " belongs to network " + id);
    }
  }
  networks_.emplace(entry.id, Network{entry, AddressPool(entry.subnet, entry.gateway), {}});
}

std::optional<NetworkEntry> Networks::network(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = networks_.find(id);
  if (found == networks_.end()) return std::nullopt;
  return found->second.entry;
}

NetworkEntry Networks::require_network(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return find(id).entry;
}

std::optional<NetworkEntry> Networks::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = networks_.find(id);
  if (found == networks_.end()) return std::nullopt;
  if (!found->second.endpoints.empty()) {
    throw Failure(SKEP_E_PRECONDITION, "network " + id + " still has " +
                                           std::to_string(found->second.endpoints.size()) +
                                           " endpoints");
  }
  NetworkEntry entry = std::move(found->second.entry);
  networks_.erase(found);
  return entry;
}

std::vector<NetworkEntry> Networks::networks() {
  const std::lock_guard lock(mutex_);
  std::vector<NetworkEntry> all;
  for (const auto& [id, network] : networks_) all.push_back(network.entry);
  return all;
}

EndpointEntry Networks::add_endpoint(const std::string& network_id, const std::string& id,
                                     std::optional<uint32_t> wanted, const std::string& mac) {
  const std::lock_guard lock(mutex_);
  Network& network = find(network_id);
  if (const auto known = network.endpoints.find(id); known != network.endpoints.end()) {
    const EndpointEntry& entry = known->second;
    if ((wanted && *wanted != entry.address) || (!mac.empty() && mac != entry.mac)) {
      throw Failure(SKEP_E_EXISTS, "endpoint " + id + " exists with address " +
                                       to_text(entry.address) + " and MAC " + entry.mac);
    }
    return entry;
  }
  EndpointEntry entry{id, network_id, 0, mac};
  if (wanted) {
    if (!network.pool.take(*wanted)) {
      throw Failure(SKEP_E_PRECONDITION, "address " + to_text(*wanted) + " is not free in subnet " +
                                             to_text(network.entry.subnet));
    }
    entry.address = *wanted;
  } else {
    const std::optional<uint32_t> given = network.pool.take();
    if (!given) {
      throw Failure(SKEP_E_EXHAUSTED,
                    "no address is left in subnet " + to_text(network.entry.subnet));
    }
    entry.address = *given;
  }
  Rollback rollback([&] { network.pool.give_back(entry.address); }, [](std::string_view) {});
  if (entry.mac.empty()) entry.mac = mac_of(entry.address);
  EndpointEntry made = entry;
  network.endpoints.emplace(id, std::move(entry));
  rollback.keep();
  return made;
}

std::optional<EndpointEntry> Networks::endpoint(const std::string& network, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = networks_.find(network);
  if (found == networks_.end()) return std::nullopt;
  const auto entry = found->second.endpoints.find(id);
  if (entry == found->second.endpoints.end()) return std::nullopt;
  return entry->second;
}

EndpointEntry Networks::require_endpoint(const std::string& network, const std::string& id) {
  std::optional<EndpointEntry> entry = endpoint(network, id);
  if (!entry) throw Failure(SKEP_E_NOTFOUND, "no such endpoint: " + id);
  return *entry;
}

void Networks::remove_endpoint(const std::string& network, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = networks_.find(network);
  if (found == networks_.end()) return;
  const auto entry = found->second.endpoints.find(id);
  if (entry == found->second.endpoints.end()) return;
  found->second.pool.give_back(entry->second.address);
  found->second.endpoints.erase(entry);
}

std::vector<EndpointEntry> Networks::endpoints() {
  const std::lock_guard lock(mutex_);
  std::vector<EndpointEntry> all;
  for (const auto& [id, network] : networks_) {
    for (const auto& [endpoint_id, entry] : network.endpoints) all.push_back(entry);
  }
  return all;
}

}  // namespace skep::net_bridge
