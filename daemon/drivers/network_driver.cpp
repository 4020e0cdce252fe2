// The documents of skep/network.h, and which key each call takes: the network for what makes or
// ends it, the endpoint for the rest.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/network_driver.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/drivers/plugin.hpp"
#include "daemon/drivers/typed_call.hpp"
#include "skep/network.h"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;

constexpr int64_t network_deadline_ms = 10'000;

CallOptions usual() {
  CallOptions options;
  options.deadline_ms = network_deadline_ms;
  return options;
}

void put(json& document, const char* member, const std::string& value) {
  if (!value.empty()) document[member] = value;
}

json endpoint_document(const std::string& network, const std::string& endpoint) {
  json document = json::object();
  document["network"] = network;
  document["endpoint"] = endpoint;
  return document;
}

std::string handle_of(const json& document) {
  return document.contains("handle") ? document.at("handle").dump() : "null";
}

CreatedNetwork created_network(const json& document) {
  CreatedNetwork created;
  created.handle = handle_of(document);
  document.at("subnet").get_to(created.subnet);
  document.at("gateway").get_to(created.gateway);
  document.at("mtu").get_to(created.mtu);
  document.at("device").get_to(created.device);
  return created;
}

CreatedEndpoint created_endpoint(const json& document) {
  CreatedEndpoint created;
  created.handle = handle_of(document);
  document.at("address").get_to(created.address);
  document.at("mac").get_to(created.mac);
  document.at("gateway").get_to(created.gateway);
  return created;
}

NetworkListing listing(const json& document) {
  NetworkListing all;
  for (const json& entry : document.at("networks")) {
    all.networks.push_back(
        {entry.at("network").get<std::string>(), entry.at("subnet").get<std::string>(),
         entry.at("gateway").get<std::string>(), entry.at("device").get<std::string>()});
  }
  for (const json& entry : document.at("endpoints")) {
    all.endpoints.push_back(
        {entry.at("network").get<std::string>(), entry.at("endpoint").get<std::string>(),
         entry.at("address").get<std::string>(), entry.at("mac").get<std::string>()});
  }
  return all;
}

std::string read_interface(const json& document) {
  return document.at("interface").get<std::string>();
}
std::vector<std::string> read_drift(const json& document) {
  return document.at("drift").get<std::vector<std::string>>();
}

}  // namespace

#define NETWORK_CALL(field) SKEP_OPERATION(SKEP_NETWORK_1, skep_network_1, field)

NetworkDriver::NetworkDriver(Plugin& plugin) : plugin_(&plugin) {}

asio::awaitable<Result<std::string>> NetworkDriver::capabilities() {
  return plugin_->call(SKEP_OPERATION(SKEP_BASE_1, skep_base_1, capabilities), {}, "{}", usual());
}

asio::awaitable<Result<CreatedNetwork>> NetworkDriver::create(NetworkRequest request) {
  json document = json::object();
  document["network"] = request.network;
  document["name"] = request.name;
  put(document, "subnet", request.subnet);
  put(document, "gateway", request.gateway);
  if (request.mtu != 0) document["mtu"] = request.mtu;
  if (!request.options.empty()) document["options"] = request.options;
  return ask(*plugin_, NETWORK_CALL(create), request.network, to_text(document), usual(),
             &created_network);
}

asio::awaitable<Status> NetworkDriver::remove(std::string network) {
  json document = json::object();
  document["network"] = network;
  return tell(*plugin_, NETWORK_CALL(remove), network, to_text(document), usual());
}

asio::awaitable<Result<CreatedEndpoint>> NetworkDriver::endpoint_create(EndpointRequest request) {
  json document = endpoint_document(request.network, request.endpoint);
  put(document, "address", request.address);
  put(document, "mac", request.mac);
  return ask(*plugin_, NETWORK_CALL(endpoint_create), request.endpoint, to_text(document), usual(),
             &created_endpoint);
}

asio::awaitable<Status> NetworkDriver::endpoint_remove(std::string network, std::string endpoint) {
  return tell(*plugin_, NETWORK_CALL(endpoint_remove), endpoint,
              to_text(endpoint_document(network, endpoint)), usual());
}

asio::awaitable<Result<std::string>> NetworkDriver::join(JoinRequest request) {
  json document = endpoint_document(request.network, request.endpoint);
  document["netns"] = request.netns;
  document["interface"] = request.interface;
  return ask(*plugin_, NETWORK_CALL(join), request.endpoint, to_text(document), usual(),
             &read_interface);
}

asio::awaitable<Status> NetworkDriver::leave(std::string network, std::string endpoint,
                                             std::string netns) {
  json document = endpoint_document(network, endpoint);
  put(document, "netns", netns);
  return tell(*plugin_, NETWORK_CALL(leave), endpoint, to_text(document), usual());
}

asio::awaitable<Result<std::vector<std::string>>> NetworkDriver::check(std::string network,
                                                                       std::string endpoint) {
  return ask(*plugin_, NETWORK_CALL(check), endpoint, to_text(endpoint_document(network, endpoint)),
             usual(), &read_drift);
}

asio::awaitable<Result<NetworkListing>> NetworkDriver::list() {
  return ask(*plugin_, NETWORK_CALL(list), {}, "{}", usual(), &listing);
}

asio::awaitable<Status> NetworkDriver::restore_from(RestoreSource source) {
  return plugin_->restore_from(std::move(source));
}

void NetworkDriver::forget_source() {
  plugin_->forget_source();
}

asio::awaitable<Status> NetworkDriver::restore_done(std::vector<std::string> ids) {
  return end_restore(*plugin_, std::move(ids));
}

}  // namespace skep::drivers
