// Bytes between namespaces, and what check says when the kernel's state was changed behind the
// driver's back.
// SPDX-License-Identifier: Apache-2.0
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "sdk/conformance/network/network_kind.hpp"

namespace skep::conformance {
namespace {

Status two_namespaces(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  SKEP_TRY_ASSIGN(const Endpoint two, attach(run, *driver, net, "two"));
  SKEP_TRY(run.that(reaches(one, two), one.address + " reaches " + two.address, "it does not"));
  SKEP_TRY(run.that(reaches(two, one), two.address + " reaches " + one.address, "it does not"));
  SKEP_TRY(run.ok(driver->call(network("leave"), named(net, two))));
  SKEP_TRY(run.that(!reaches(one, two), "nobody where an endpoint has left", "somebody"));
  return take_away(run, *driver, net, {one, two});
}

// Sets every interface of this process's namespace down but for loopback.
void set_all_down() {
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (const std::string& name : interfaces_here()) {
    if (name == "lo") continue;
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    ioctl(any, SIOCGIFFLAGS, &request);
    request.ifr_flags = static_cast<short>(request.ifr_flags & ~IFF_UP);
    ioctl(any, SIOCSIFFLAGS, &request);
  }
  close(any);
}

Status drift(Run& run) {
  SKEP_TRY(network_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Net net, make_network(run, *driver, 0));
  SKEP_TRY_ASSIGN(const Endpoint one, attach(run, *driver, net, "one"));
  const Outcome before = driver->call(network("check"), named(net, one));
  SKEP_TRY(run.ok(before));
  SKEP_TRY(run.that(before.member("drift").empty(), "no drift of what was just made",
                    described(before), before));
  set_all_down();
  const Outcome after = driver->call(network("check"), named(net, one));
  SKEP_TRY(run.ok(after));
  SKEP_TRY(run.that(!after.member("drift").empty(), "drift when the links were set down",
                    described(after), after));
  return take_away(run, *driver, net, {one});
}

}  // namespace

std::vector<Case> network_traffic_cases() {
  const Rule join{"network.h join", "endpoints of a network reach each other"};
  const Rule check{"network.h check", "tells what in the kernel is not as it should be"};
  return {
      {"network.traffic.node", "two namespaces on one node exchange bytes", {join}, two_namespaces},
      {"network.check.drift", "links that were set down are told", {check}, drift},
  };
}

}  // namespace skep::conformance
