// Networks as the generic cases see them: a network with one endpoint that joins a namespace; and
// what the cases of network.h share.
//
// A driver works in the network namespace of the process it lives in. So the cases want to be run
// in one of their own (`unshare -n`, `ip netns exec`), and refuse the machine's. The profile's
// "network" member may have {"subnets": "10.213", "create": {..}}: the first two bytes of the
// subnets that the cases ask for, and further members of create.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

const Kind& network_kind();

// The cases of network.h, by part of the contract.
std::vector<Case> network_endpoint_cases();
std::vector<Case> network_traffic_cases();
std::vector<Case> network_restart_cases();

// An operation of skep.network/1 by name.
const host::Operation& network(std::string_view name);

// Skips the case unless it runs as root and outside the machine's own namespace.
Status network_possible(Run& run);

// A network of a case, with what its host would remember.
struct Net {
  std::string id;
  json create;  // the request
  json handle;
};

// What a host remembers of an endpoint.
struct Endpoint {
  std::string id;
  json create;  // the request
  json handle;
  std::string address;  // without prefix
  std::string mac;
  std::string gateway;
  std::string netns;  // path; made
};

// The request for network number `number`, on a subnet of its own: 10.213.NUMBER.0/PREFIX.
json network_request(const Run& run, int number, int prefix = 24);
Result<Net> make_network(Run& run, Driver& driver, int number, int prefix = 24);
// endpoint_create; `name` is unique within the case.
Result<Endpoint> make_endpoint(Run& run, Driver& driver, const Net& net, const std::string& name);
// The same, a namespace, and join.
Result<Endpoint> attach(Run& run, Driver& driver, const Net& net, const std::string& name);
json join_request(const Net& net, const Endpoint& endpoint);
json named(const Net& net, const Endpoint& endpoint);
// leave and endpoint_remove for each, then remove.
Status take_away(Run& run, Driver& driver, const Net& net, const std::vector<Endpoint>& endpoints);

// SIGKILL, and the driver again, with a host that knows these.
Status restart(Run& run, Driver& driver, const std::vector<Net>& nets,
               const std::vector<Endpoint>& endpoints);

// What is wrong with the interface in the endpoint's namespace; empty: it is up, has the address
// and MAC, and the default route leads to the gateway.
std::vector<std::string> interface_faults(const Endpoint& endpoint);
// The names of all interfaces in this process's namespace.
std::vector<std::string> interfaces_here();

// Whether a byte gets from one endpoint's namespace to the other's address and back, by TCP.
bool reaches(const Endpoint& from, const Endpoint& to);

}  // namespace skep::conformance
