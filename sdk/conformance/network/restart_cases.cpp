// Traffic, addresses and leavings over the death of a driver.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sdk/conformance/network/network_kind.hpp"
#include "sdk/conformance/network/probe.hpp"

namespace skep::conformance {
namespace {

constexpr int lost_max = 1;
constexpr int deaths = 5;

Status untouched(Run& run, const Endpoint& endpoint) {
  const std::vector<std::string> faults = interface_faults(endpoint);
  return run.that(faults.empty(), "what the host named keeps its interface",
                  fmt::format("{}", fmt::join(faults, "; ")));
}

Status flows_on(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  SKEP_TRY_ASSIGN(const Endpoint two, attach(run, *driver, net, "two"));
  SKEP_TRY(run.that(reaches(one, two), "the endpoints reach each other", "they do not"));
  SKEP_TRY_ASSIGN(const std::unique_ptr<Flow> flow, Flow::begin(one.netns, two.netns, two.address));
  for (int i = 0; i < deaths; ++i) SKEP_TRY(restart(run, *driver, {net}, {one, two}));
  const Flow::Count count = flow->end();
  SKEP_TRY(run.that(count.sent > 0 && count.sent - count.arrived <= lost_max,
                    "at most one packet is lost",
                    fmt::format("{} of {} arrived", count.arrived, count.sent)));
  return take_away(run, *driver, net, {one, two});
}

// A restored address is nobody else's, and the endpoint's again.
Status keeps_addresses(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  SKEP_TRY(restart(run, *driver, {net}, {one}));
  SKEP_TRY_ASSIGN(const Endpoint two, attach(run, *driver, net, "two"));
  SKEP_TRY(
      run.that(one.address != two.address, "another address for another endpoint", two.address));
  const Outcome again = driver->call(network("endpoint_create"), one.create);
  SKEP_TRY(run.that(again.ok() && again.member("handle") == one.handle, "the endpoint as it was",
                    described(again), again));
  SKEP_TRY(run.that(reaches(two, one), "the endpoints reach each other", "they do not"));
  return take_away(run, *driver, net, {one, two});
}

// An endpoint that the host does not name is there as a whole or gone; the others keep theirs.
Status forgotten_endpoint(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  SKEP_TRY_ASSIGN(const Endpoint two, attach(run, *driver, net, "two"));
  SKEP_TRY(restart(run, *driver, {net}, {one}));
  const Outcome listed = driver->call(network("list"), json::object());
  SKEP_TRY(run.ok(listed));
  const json endpoints = listed.member("endpoints");
  const bool kept = std::ranges::any_of(
      endpoints, [&](const json& each) { return each.at("endpoint") == two.id; });
  const bool there = interface_faults(two).empty();
  SKEP_TRY(run.that(kept == there, "a forgotten endpoint is listed and there, or neither",
                    fmt::format("listed: {}, there: {}", kept, there), listed));
  SKEP_TRY(untouched(run, one));
  return take_away(run, *driver, net, {one, two});
}

// A network that the host does not name is listed, or its links are gone.
Status forgotten_network(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net kept, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Net gone, make_network(run, *driver, 1));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, kept, "one"));
  const size_t before = interfaces_here().size();
  SKEP_TRY(restart(run, *driver, {kept}, {one}));
  SKEP_TRY_ASSIGN(const std::vector<std::string> ids, run.kind().existing(run, *driver));
  const bool listed = std::ranges::find(ids, gone.id) != ids.end();
  const bool fewer = interfaces_here().size() < before;
  SKEP_TRY(run.that(listed != fewer, "a forgotten network is listed, or its links are gone",
                    fmt::format("listed: {}, links gone: {}", listed, fewer)));
  SKEP_TRY(untouched(run, one));
  SKEP_TRY(run.ok(driver->call(network("remove"), {{"network", gone.id}})));
  return take_away(run, *driver, kept, {one});
}

// The handles were lost with the answers: the host knows that it asked, and no more.
Status removes_unrestored(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  driver->kill();
  SKEP_TRY(driver->load());
  SKEP_TRY(run.ok(driver->configure()));
  for (const std::string& id : {net.id, one.id}) {
    const Outcome restored = driver->restore({{"id", id}, {"handle", nullptr}});
    SKEP_TRY(run.that(restored.ok() || restored.status == SKEP_E_NOTFOUND, "success or NOTFOUND",
                      described(restored), restored));
  }
  SKEP_TRY(run.ok(driver->restore_done({net.id, one.id})));
  SKEP_TRY(driver->until_ready());
  return take_away(run, *driver, net, {one});
}

}  // namespace

std::vector<Case> network_restart_cases() {
  constexpr bool kills = true;
  return {
      {"network.restart.traffic",
       "packets pass while the driver dies and comes back",
       {rule(35)},
       flows_on,
       kills},
      {"network.restart.addresses",
       "a restored endpoint keeps its address",
       {rule(35)},
       keeps_addresses,
       kills},
      {"network.restart.forgotten-endpoint",
       "an endpoint that the host forgot is there as a whole or gone",
       {rule(35)},
       forgotten_endpoint,
       kills},
      {"network.restart.forgotten-network",
       "a network that the host forgot is listed or gone",
       {rule(35)},
       forgotten_network,
       kills},
      {"network.restart.unrestored",
       "what was never restored is removed by its id",
       {rule(35)},
       removes_unrestored,
       kills},
  };
}

}  // namespace skep::conformance
