// Networks and endpoints: made once, refused otherwise, and gone when they are gone.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <set>

#include "sdk/conformance/namespaces.hpp"
#include "sdk/conformance/network/network_kind.hpp"

namespace skep::conformance {
namespace {

constexpr int small_prefix = 29;  // six host addresses, one of them the gateway's
constexpr size_t small_pool = 5;

Status untouched(Run& run, const Endpoint& endpoint) {
  const std::vector<std::string> faults = interface_faults(endpoint);
  return run.that(faults.empty(), "eth0 is up with its address, MAC and route",
                  fmt::format("{}", fmt::join(faults, "; ")));
}

Status other_endpoint_arguments(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, make_endpoint(run, *driver, net, "one"));
  json other = one.create;
  other["mac"] = "02:00:00:00:00:77";
  SKEP_TRY(run.fails(driver->call(network("endpoint_create"), other), {SKEP_E_EXISTS}));
  const Outcome again = driver->call(network("endpoint_create"), one.create);
  SKEP_TRY(run.ok(again));
  SKEP_TRY(run.that(again.member("handle") == one.handle, "the first endpoint, unchanged",
                    described(again), again));
  return take_away(run, *driver, net, {one});
}

// A namespace that never had anything gets an interface that is up, with address and route.
Status joins(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  SKEP_TRY(untouched(run, one));
  SKEP_TRY(run.ok(driver->call(network("leave"), join_request(net, one))));
  SKEP_TRY(run.that(!interface_faults(one).empty(), "no eth0 after leave", "it is still there"));
  SKEP_TRY(run.ok(driver->call(network("join"), join_request(net, one))));
  SKEP_TRY(untouched(run, one));
  return take_away(run, *driver, net, {one});
}

Status leaves_a_gone_namespace(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  remove_netns(one.netns);
  SKEP_TRY(run.ok(driver->call(network("leave"), join_request(net, one))));
  SKEP_TRY(run.ok(driver->call(network("leave"), named(net, one))));
  SKEP_TRY(run.fails(driver->call(network("join"), join_request(net, one)),
                     {SKEP_E_NOTFOUND, SKEP_E_INVALID, SKEP_E_PRECONDITION}));
  return take_away(run, *driver, net, {one});
}

Status removes_with_endpoints(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  SKEP_TRY(
      run.fails(driver->call(network("remove"), {{"network", net.id}}), {SKEP_E_PRECONDITION}));
  SKEP_TRY(untouched(run, one));
  SKEP_TRY(take_away(run, *driver, net, {one}));
  return run.ok(driver->call(network("remove"), {{"network", net.id}}));
}

Status exhausts(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0, small_prefix));
  std::vector<Endpoint> all;
  std::set<std::string> addresses;
  for (size_t i = 0; i < small_pool; ++i) {
    SKEP_TRY_ASSIGN(Endpoint one, make_endpoint(run, *driver, net, fmt::format("e{}", i)));
    SKEP_TRY(run.that(addresses.insert(one.address).second && one.address != one.gateway,
                      "an address that nobody has", one.address));
    all.push_back(std::move(one));
  }
  const json more{{"network", net.id}, {"endpoint", net.id + "-more"}};
  const std::string subnet = net.create.at("subnet");
  SKEP_TRY(
      run.fails_naming(driver->call(network("endpoint_create"), more), {SKEP_E_EXHAUSTED}, subnet));
  SKEP_TRY(run.ok(driver->call(network("endpoint_remove"), named(net, all.front()))));
  SKEP_TRY(run.ok(driver->call(network("endpoint_create"), more)));
  SKEP_TRY(run.ok(driver->call(network("endpoint_remove"), more)));
  return take_away(run, *driver, net, all);
}

Status nulls(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  json request = net.create;
  for (const char* const name : {"gateway", "mtu", "options"}) {
    if (!request.contains(name)) request[name] = nullptr;
  }
  const Outcome again = driver->call(network("create"), request);
  SKEP_TRY(run.ok(again));
  SKEP_TRY(run.that(again.member("handle") == net.handle, "the network as it was made",
                    described(again), again));
  json wanted{{"network", net.id}, {"endpoint", net.id + "-one"}};
  const json plain = wanted;
  wanted["address"] = nullptr;
  wanted["mac"] = nullptr;
  SKEP_TRY(run.ok(driver->call(network("endpoint_create"), wanted)));
  json left = plain;
  left["netns"] = nullptr;
  SKEP_TRY(run.ok(driver->call(network("leave"), left)));
  SKEP_TRY(run.ok(driver->call(network("endpoint_remove"), plain)));
  return take_away(run, *driver, net, {});
}

Status unknown(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const json nobody{{"network", "kit-none"}, {"endpoint", "kit-nobody"}};
  for (const char* const name : {"endpoint_create", "check"}) {
    SKEP_TRY(run.fails(driver->call(network(name), nobody), {SKEP_E_NOTFOUND}));
  }
  for (const char* const name : {"leave", "endpoint_remove", "remove"}) {
    SKEP_TRY(run.ok(driver->call(network(name), nobody)));
  }
  return {};
}

}  // namespace

std::vector<Case> network_endpoint_cases() {
  const Rule create{"network.h endpoint_create",
                    "the same again is the same; EXHAUSTED names the subnet"};
  const Rule join{"network.h join", "up, with its address, and the default route to the gateway"};
  const Rule leave{"network.h leave", "a namespace that is gone is success"};
  const Rule remove{"network.h remove", "PRECONDITION with endpoints left; nothing remains"};
  return {
      {"network.endpoint.other-arguments",
       "an endpoint's id with other arguments is refused",
       {create, rule(34)},
       other_endpoint_arguments},
      {"network.endpoint.exhausted",
       "a subnet that is used up is named, and a freed address comes back",
       {create},
       exhausts},
      {"network.join.fresh",
       "a fresh namespace gets its interface, and again after leave",
       {join},
       joins},
      {"network.leave.gone",
       "leaving works when the namespace is gone",
       {leave},
       leaves_a_gone_namespace},
      {"network.remove.endpoints",
       "a network with endpoints stays",
       {remove},
       removes_with_endpoints},
      {"network.null-members",
       "a member that is null is absent",
       {{"abi.h", "a member that is null is absent"}},
       nulls},
      {"network.unknown",
       "what isn't there is NOTFOUND to ask for and done to take away",
       {rule(34)},
       unknown},
  };
}

}  // namespace skep::conformance
