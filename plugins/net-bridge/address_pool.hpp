// Addresses of one IPv4 subnet, given out in turn.
//
// The next address is looked for behind the last one given, and the search wraps around; so an
// address that was freed comes back as late as possible, and a peer's stale neighbour entry has
// time to go. The first (network), the last (broadcast) and the gateway's address are never given.
//
// Pure: no I/O, no lock. Addresses are numbers in host byte order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace skep::net_bridge {

struct Subnet {
  uint32_t first = 0;  // the network's address
  uint32_t prefix = 0;

  uint32_t last() const { return first | (prefix == 32 ? 0 : UINT32_MAX >> prefix); }
  bool contains(uint32_t address) const { return address >= first && address <= last(); }
  bool overlaps(const Subnet& other) const {
    return contains(other.first) || other.contains(first);
  }
  bool operator==(const Subnet&) const = default;
};

// "10.1.2.3"; nothing when it is no IPv4 address.
std::optional<uint32_t> parse_address(std::string_view text);
std::string to_text(uint32_t address);

// "10.1.0.0/16"; host bits are cleared. Prefixes from 8 to 30.
std::optional<Subnet> parse_subnet(std::string_view text);
std::string to_text(const Subnet& subnet);

// 02:42 and the four bytes of the address, as Docker does: unique where the address is.
std::string mac_of(uint32_t address);

class AddressPool {
 public:
  AddressPool(Subnet subnet, uint32_t gateway) : subnet_(subnet), gateway_(gateway) {
    last_given_ = subnet.first;
  }

  // The next free address; nothing when all are taken.
  std::optional<uint32_t> take();
  // This one; false when it is taken, reserved, or outside.
  bool take(uint32_t address);
  void give_back(uint32_t address) { taken_.erase(address); }

 private:
  bool usable(uint32_t address) const;

  Subnet subnet_;
  uint32_t gateway_;
  uint32_t last_given_;
  std::set<uint32_t> taken_;
};

}  // namespace skep::net_bridge
