// The order is always network, endpoint, interface; and back.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/local_network.hpp"

#include <spdlog/spdlog.h>

#include <charconv>
#include <utility>

#include "daemon/agent/identity_text.hpp"

namespace skep::agent {
namespace {

constexpr const char* kName = "bridge";

}  // namespace

LocalNetwork::LocalNetwork(boost::asio::any_io_executor loop, drivers::NetworkDriver& driver,
                           AgentDb& db, const AgentOptions& options)
    : driver_(driver),
      db_(db),
      options_(options),
      id_(sha256_hex("network " + std::string(kName) + " of " + options.node_name)),
      made_(std::move(loop)) {}

StoredEndpoint LocalNetwork::planned(model::TaskId task) const {
  StoredEndpoint endpoint;
  endpoint.network = id_;
  endpoint.endpoint = sha256_hex("endpoint " + std::string(kName) + " of " + task.str());
  return endpoint;
}

boost::asio::awaitable<Status> LocalNetwork::make() {
  drivers::NetworkRequest request;
  request.network = id_;
  request.name = kName;
  SKEP_CO_TRY_ASSIGN(const drivers::CreatedNetwork made, co_await driver_.create(request));
  StoredNetwork stored{id_, kName, made.handle, made.subnet, made.gateway, options_.clock()};
  SKEP_CO_TRY(db_.put(stored));
  network_ = std::move(stored);
  co_return Status();
}

boost::asio::awaitable<Status> LocalNetwork::ensure() {
  while (making_) co_await made_.changed();
  if (network_) co_return Status();
  making_ = true;
  Status done = co_await make();
  making_ = false;
  made_.notify();
  co_return done;
}

boost::asio::awaitable<Result<StoredEndpoint>> LocalNetwork::attach(StoredEndpoint endpoint,
                                                                    std::string netns_path) {
  SKEP_CO_TRY(co_await ensure());
  drivers::EndpointRequest request;
  request.network = endpoint.network;
  request.endpoint = endpoint.endpoint;
  Result<drivers::CreatedEndpoint> made = co_await driver_.endpoint_create(request);
  if (!made && made.error().kind == ErrorKind::not_found) {
    // The network went away behind our back (a driver that was replaced): make it anew, once.
    network_.reset();
    SKEP_CO_TRY(co_await ensure());
    made = co_await driver_.endpoint_create(request);
  }
  if (!made) co_return fail(std::move(made).error());
  endpoint.handle = made->handle;
  endpoint.address = made->address;
  endpoint.mac = made->mac;
  endpoint.gateway = made->gateway;
  drivers::JoinRequest join;
  join.network = endpoint.network;
  join.endpoint = endpoint.endpoint;
  join.netns = std::move(netns_path);
  SKEP_CO_TRY(co_await driver_.join(join));
  co_return endpoint;
}

boost::asio::awaitable<Status> LocalNetwork::detach(StoredEndpoint endpoint,
                                                    std::string netns_path) {
  const Status left =
      co_await driver_.leave(endpoint.network, endpoint.endpoint, std::move(netns_path));
  if (!left && left.error().kind != ErrorKind::not_found) co_return left;
  const Status removed = co_await driver_.endpoint_remove(endpoint.network, endpoint.endpoint);
  if (!removed && removed.error().kind != ErrorKind::not_found) co_return removed;
  co_return Status();
}

// Ours is named whether it is there or not: it is made anew right after.
drivers::RestorePlan LocalNetwork::plan(KnownEndpoints known) {
  drivers::RestorePlan plan;
  std::vector<std::string> ids = {id_};
  std::optional<StoredNetwork> own;
  Result<std::vector<StoredNetwork>> networks = db_.networks();
  if (!networks) spdlog::error("agent: {}", networks.error().message);
  if (networks) {
    for (StoredNetwork& network : *networks) {
      if (network.id != id_) ids.push_back(network.id);
      plan.objects.push_back({network.id, network.handle});
      if (network.id == id_) own = std::move(network);
    }
  }
  for (const StoredEndpoint& endpoint : known.endpoints) {
    ids.push_back(endpoint.endpoint);
    if (!endpoint.handle.empty()) plan.objects.push_back({endpoint.endpoint, endpoint.handle});
  }
  if (known.all && networks) plan.ids = std::move(ids);
  plan.told = [this, own = std::move(own)](const std::string& id, const Status& back) {
    if (!back) spdlog::warn("agent: network object {}: {}", id, back.error().message);
    if (id != id_) return;
    network_ = back ? own : std::nullopt;
  };
  return plan;
}

boost::asio::awaitable<void> LocalNetwork::restore(std::function<KnownEndpoints()> known) {
  drivers::RestoreSource source = [this, known = std::move(known)] { return plan(known()); };
  const Status back = co_await driver_.restore_from(std::move(source));
  if (!back) spdlog::warn("agent: networks are not restored yet: {}", back.error().message);
  // A user expects to see it before the first task; and the first task need not wait for it.
  const Status made = co_await ensure();
  if (!made) spdlog::warn("agent: network {}: {}", kName, made.error().message);
}

boost::asio::awaitable<void> LocalNetwork::end_restore(std::vector<std::string> endpoints) {
  std::vector<std::string> ids = std::move(endpoints);
  if (const Result<std::vector<StoredNetwork>> networks = db_.networks()) {
    for (const StoredNetwork& network : *networks) ids.push_back(network.id);
  }
  ids.push_back(id_);  // made anew by now, if it wasn't restored
  const Status done = co_await driver_.restore_done(std::move(ids));
  if (!done && done.error().kind != ErrorKind::unimplemented) {
    spdlog::warn("agent: the network driver did not end its restore: {}", done.error().message);
  }
}

boost::asio::awaitable<Result<StoredEndpoint>> LocalNetwork::adopt(StoredEndpoint endpoint,
                                                                   std::string address,
                                                                   std::string mac) {
  SKEP_CO_TRY(co_await ensure());
  drivers::EndpointRequest request;
  request.network = endpoint.network;
  request.endpoint = endpoint.endpoint;
  request.address = std::move(address);
  request.mac = std::move(mac);
  SKEP_CO_TRY_ASSIGN(const drivers::CreatedEndpoint made,
                     co_await driver_.endpoint_create(request));
  endpoint.handle = made.handle;
  endpoint.address = made.address;
  endpoint.mac = made.mac;
  endpoint.gateway = made.gateway;
  co_return endpoint;
}

boost::asio::awaitable<void> LocalNetwork::sweep(std::function<std::set<std::string>()> wanted) {
  const Result<drivers::NetworkListing> all = co_await driver_.list();
  if (!all) co_return;
  const std::set<std::string> kept = wanted();
  for (const drivers::NetworkListing::Endpoint& endpoint : all->endpoints) {
    if (endpoint.network != id_ || kept.contains(endpoint.endpoint)) continue;
    spdlog::info("agent: endpoint {} belongs to no task and is removed", endpoint.endpoint);
    StoredEndpoint stale;
    stale.network = endpoint.network;
    stale.endpoint = endpoint.endpoint;
    const Status gone = co_await detach(stale, "");
    if (!gone) spdlog::warn("agent: {}", gone.error().message);
  }
}

std::optional<Containers::LocalNetwork> LocalNetwork::description() const {
  if (!network_) return std::nullopt;
  return Containers::LocalNetwork{network_->id,     network_->name,    "bridge",
                                  network_->subnet, network_->gateway, network_->created_at};
}

ContainerNetwork LocalNetwork::container_network(const StoredEndpoint& endpoint) const {
  ContainerNetwork network;
  network.name = kName;
  network.network_id = endpoint.network;
  network.endpoint_id = endpoint.endpoint;
  const size_t slash = endpoint.address.find('/');
  network.address = endpoint.address.substr(0, slash);
  if (slash != std::string::npos) {
    const char* end = endpoint.address.data() + endpoint.address.size();
    std::from_chars(endpoint.address.data() + slash + 1, end, network.prefix_length);
  }
  network.gateway = endpoint.gateway;
  network.mac = endpoint.mac;
  return network;
}

}  // namespace skep::agent
