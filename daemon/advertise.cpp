// getifaddrs, and the sentence for a machine with many addresses.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/advertise.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/transport/address.hpp"

namespace skep {
namespace {

struct InterfaceAddress {
  std::string interface;
  std::string address;
};

Result<std::vector<InterfaceAddress>> global_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    return fail(ErrorKind::internal, std::string("reading interfaces: ") + std::strerror(errno));
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  std::vector<InterfaceAddress> found;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET) continue;
    if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_UP) == 0) continue;
    // The node-local bridge is ours and leads nowhere.
    if (std::string_view(entry->ifa_name).starts_with("skep")) continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    if (inet_ntop(AF_INET, &address->sin_addr, text, sizeof text)) {
      found.push_back({entry->ifa_name, text});
    }
  }
  return found;
}

}  // namespace

Result<std::string> choose_advertise_address(const std::string& asked) {
  SKEP_TRY_ASSIGN(const std::vector<InterfaceAddress> present, global_addresses());
  if (asked.empty()) {
    if (present.size() == 1) return present.front().address;
    std::string why = "could not choose an IP address to advertise since this system has ";
    if (present.empty()) {
      why += "no address";
    } else {
      why += "multiple addresses (" + present[0].address + " on " + present[0].interface + " and " +
             present[1].address + " on " + present[1].interface + ")";
    }
    return fail(ErrorKind::invalid, why + " - specify one with --advertise-addr");
  }
  for (const InterfaceAddress& candidate : present) {
    if (candidate.interface == asked) return candidate.address;
  }
  SKEP_TRY_ASSIGN(const transport::HostPort place, transport::parse_host_port(asked));
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(place.host, error);
  if (error || address.is_unspecified()) {
    return fail(ErrorKind::invalid, "the advertise address '" + asked +
                                        "' is neither an IP address nor an interface of this node");
  }
  return place.host;
}

}  // namespace skep
