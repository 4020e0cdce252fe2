// A network's life, and the tools of the network's cases.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/network/network_kind.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "sdk/conformance/namespaces.hpp"
#include "sdk/conformance/network/probe.hpp"

namespace skep::conformance {
namespace {

constexpr const char* interface = "eth0";

json profile(const Run& run) {
  return run.fact("network", json::object());
}

std::string network_id(const Run& run, int number) {
  return fmt::format("kit-{}-{}", run.unique(), number);
}

bool is_done(const std::vector<std::string>& done, std::string_view name) {
  return std::ranges::find(done, name) != done.end();
}

json handle_of(const Object& object, const std::string& operation) {
  const auto found = object.replies.find(operation);
  return found == object.replies.end() ? json() : found->second.value("handle", json());
}

class NetworkKind : public Kind {
 public:
  std::string_view name() const override { return "network"; }
  Status prepare(Run& run) const override { return network_possible(run); }

  Result<Object> object(Run& run, int number) const override {
    Object made;
    made.id = network_id(run, number);
    made.memory["create"] = network_request(run, number);
    made.memory["endpoint"] = made.id + "-endpoint";
    made.memory["netns"] = fmt::format("{}/netns-{}", run.scratch(), number);
    SKEP_TRY(make_netns(made.memory.at("netns")));
    return made;
  }

  void clean_up(Run&, const Object& object) const override {
    remove_netns(object.memory.at("netns"));
  }

  std::vector<Step> life(const Driver&) const override {
    const auto of_network = [](const Object& object) { return json{{"network", object.id}}; };
    const auto of_endpoint = [](const Object& object) {
      return json{{"network", object.id}, {"endpoint", object.memory.at("endpoint")}};
    };
    const auto of_interface = [of_endpoint](const Object& object) {
      json request = of_endpoint(object);
      request["netns"] = object.memory.at("netns");
      request["interface"] = interface;
      return request;
    };
    using Place = Step::Place;
    return {
        {Place::up, &network("create"), [](const Object& o) { return o.memory.at("create"); }, {}},
        {Place::up, &network("endpoint_create"), of_endpoint, {}},
        {Place::up, &network("join"), of_interface, {}},
        {Place::read, &network("check"), of_endpoint, {}},
        {Place::read, &network("list"), [](const Object&) { return json::object(); }, {}},
        {Place::down, &network("leave"), of_interface, {}},
        {Place::down, &network("endpoint_remove"), of_endpoint, {}},
        {Place::down, &network("remove"), of_network, {}},
    };
  }

  // First the network, then its endpoint, as far as the host has asked for them.
  std::vector<json> restore_requests(const Object& object,
                                     const std::vector<std::string>& done) const override {
    std::vector<json> all{{{"id", object.id}, {"handle", handle_of(object, "create")}}};
    if (is_done(done, "endpoint_create")) {
      all.push_back(
          {{"id", object.memory.at("endpoint")}, {"handle", handle_of(object, "endpoint_create")}});
    }
    return all;
  }

  json altered(const Object& object) const override {
    json other = object.memory.at("create");
    other["mtu"] = 1300;
    return other;
  }

  Result<std::vector<std::string>> existing(Run& run, Driver& driver) const override {
    const Outcome listed = driver.call(network("list"), json::object());
    SKEP_TRY(run.ok(listed));
    std::vector<std::string> ids;
    for (const json& one : listed.member("networks")) ids.push_back(one.at("network"));
    return ids;
  }

  std::vector<std::string> left_over(Run&, Driver& driver) const override {
    std::vector<std::string> found;
    for (const std::string& name : interfaces_here()) {
      if (name != "lo") found.push_back("the interface " + name);
    }
    const Outcome listed = driver.call(network("list"), json::object());
    for (const json& one : listed.member("endpoints")) {
      found.push_back("the endpoint " + one.dump());
    }
    return found;
  }

  std::vector<std::string> wrong_with(Run&, Driver& driver, const Object& object,
                                      const std::vector<std::string>& done) const override {
    if (!is_done(done, "endpoint_create")) return {};
    std::vector<std::string> wrong;
    const json made = object.replies.at("endpoint_create");
    const Outcome listed = driver.call(network("list"), json::object());
    const json endpoints = listed.member("endpoints");
    const auto here = std::ranges::count_if(endpoints, [&](const json& one) {
      return one.at("endpoint") == object.memory.at("endpoint") &&
             one.at("address") == made.at("address");
    });
    if (here != 1) wrong.push_back(fmt::format("its endpoint is listed {} times", here));
    if (!is_done(done, "join")) return wrong;
    Endpoint endpoint;
    endpoint.netns = object.memory.at("netns");
    endpoint.address = made.at("address");
    endpoint.address.resize(std::min(endpoint.address.find('/'), endpoint.address.size()));
    endpoint.mac = made.at("mac");
    endpoint.gateway = made.at("gateway");
    std::ranges::move(interface_faults(endpoint), std::back_inserter(wrong));
    const Outcome checked = driver.call(
        network("check"), {{"network", object.id}, {"endpoint", object.memory.at("endpoint")}});
    if (!checked.ok() || !checked.member("drift").empty()) {
      wrong.push_back("check says " + described(checked));
    }
    return wrong;
  }

  // A restored network is made again where the kernel has it no more, after a reboot for one.
  bool told_again() const override { return true; }
  bool separate(Run&, Driver&) const override { return false; }

  std::vector<Case> cases() const override {
    std::vector<Case> all;
    for (std::vector<Case> part :
         {network_endpoint_cases(), network_traffic_cases(), network_restart_cases()}) {
      std::ranges::move(part, std::back_inserter(all));
    }
    return all;
  }
};

}  // namespace

const host::Operation& network(std::string_view name) {
  const host::Operation* const found = host::find_operation(SKEP_NETWORK_1, name);
  SKEP_ASSERT(found != nullptr, "an operation of skep.network/1");
  return *found;
}

Status network_possible(Run& run) {
  if (geteuid() != 0) return run.skip("network namespaces need root");
  if (in_machines_netns()) {
    return run.skip("this is the machine's network: run it in a namespace, by unshare -n");
  }
  return {};
}

json network_request(const Run& run, int number, int prefix) {
  json request = profile(run).value("create", json::object());
  request["network"] = network_id(run, number);
  request["name"] = fmt::format("kit{}", number);
  request["subnet"] =
      fmt::format("{}.{}.0/{}", profile(run).value("subnets", "10.213"), number, prefix);
  return request;
}

Result<Net> make_network(Run& run, Driver& driver, int number, int prefix) {
  Net net{network_id(run, number), network_request(run, number, prefix), {}};
  const Outcome made = driver.call(network("create"), net.create);
  SKEP_TRY(run.ok(made));
  net.handle = made.member("handle");
  return net;
}

Result<Endpoint> make_endpoint(Run& run, Driver& driver, const Net& net, const std::string& name) {
  Endpoint endpoint;
  endpoint.id = net.id + "-" + name;
  endpoint.create = {{"network", net.id}, {"endpoint", endpoint.id}};
  const Outcome made = driver.call(network("endpoint_create"), endpoint.create);
  SKEP_TRY(run.ok(made));
  endpoint.handle = made.member("handle");
  endpoint.address = made.text("address").substr(0, made.text("address").find('/'));
  endpoint.mac = made.text("mac");
  endpoint.gateway = made.text("gateway");
  endpoint.netns = fmt::format("{}/netns-{}", run.scratch(), name);
  return endpoint;
}

Result<Endpoint> attach(Run& run, Driver& driver, const Net& net, const std::string& name) {
  SKEP_TRY_ASSIGN(Endpoint endpoint, make_endpoint(run, driver, net, name));
  SKEP_TRY(make_netns(endpoint.netns));
  const Outcome joined = driver.call(network("join"), join_request(net, endpoint));
  SKEP_TRY(run.ok(joined));
  return endpoint;
}

json join_request(const Net& net, const Endpoint& endpoint) {
  return {{"network", net.id},
          {"endpoint", endpoint.id},
          {"netns", endpoint.netns},
          {"interface", interface}};
}

json named(const Net& net, const Endpoint& endpoint) {
  return {{"network", net.id}, {"endpoint", endpoint.id}};
}

Status take_away(Run& run, Driver& driver, const Net& net, const std::vector<Endpoint>& endpoints) {
  for (const Endpoint& endpoint : endpoints) {
    SKEP_TRY(run.ok(driver.call(network("leave"), named(net, endpoint))));
    SKEP_TRY(run.ok(driver.call(network("endpoint_remove"), named(net, endpoint))));
  }
  SKEP_TRY(run.ok(driver.call(network("remove"), {{"network", net.id}})));
  std::string left;
  for (const std::string& name : interfaces_here()) {
    if (name != "lo") left += " " + name;
  }
  return run.that(left.empty(), "no interface is left on the node", "there is" + left);
}

Status restart(Run& run, Driver& driver, const std::vector<Net>& nets,
               const std::vector<Endpoint>& endpoints) {
  driver.kill();
  SKEP_TRY(driver.load());
  SKEP_TRY(run.ok(driver.configure()));
  std::vector<std::string> ids;
  const auto restore = [&](const std::string& id, const json& handle) {
    ids.push_back(id);
    return run.ok(driver.restore({{"id", id}, {"handle", handle}}));
  };
  for (const Net& net : nets) SKEP_TRY(restore(net.id, net.handle));
  for (const Endpoint& endpoint : endpoints) SKEP_TRY(restore(endpoint.id, endpoint.handle));
  SKEP_TRY(run.ok(driver.restore_done(ids)));
  return driver.until_ready();
}

std::vector<std::string> interface_faults(const Endpoint& endpoint) {
  std::vector<std::string> faults;
  const Status looked = inside_netns(endpoint.netns, [&]() -> Status {
    const std::vector<InterfaceSeen> all = interfaces_seen();
    const auto found = std::ranges::find(all, interface, &InterfaceSeen::name);
    if (found == all.end()) {
      faults.push_back(fmt::format("there is no {}", interface));
      return {};
    }
    if (!found->up) faults.push_back(fmt::format("{} is down", interface));
    if (found->addresses != std::vector{endpoint.address}) {
      faults.push_back(fmt::format("its addresses are [{}], not {}",
                                   fmt::join(found->addresses, " "), endpoint.address));
    }
    if (found->mac != endpoint.mac) {
      faults.push_back(fmt::format("its MAC is {}, not {}", found->mac, endpoint.mac));
    }
    const std::string gateway = default_gateway(interface);
    if (gateway != endpoint.gateway) {
      faults.push_back(
          fmt::format("the default route leads to \"{}\", not to {}", gateway, endpoint.gateway));
    }
    return {};
  });
  if (!looked) faults.push_back(looked.error().message);
  return faults;
}

std::vector<std::string> interfaces_here() {
  std::vector<std::string> names;
  for (const InterfaceSeen& one : interfaces_seen()) names.push_back(one.name);
  return names;
}

bool reaches(const Endpoint& from, const Endpoint& to) {
  return tcp_echo(from.netns, to.netns, to.address);
}

const Kind& network_kind() {
  static const NetworkKind kind;
  return kind;
}

}  // namespace skep::conformance
