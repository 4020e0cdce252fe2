// Text forms, and the search for the next free address.
// SPDX-License-Identifier: Apache-2.0
#include "address_pool.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstdio>

namespace skep::net_bridge {

std::optional<uint32_t> parse_address(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string to_text(uint32_t address) {
  const in_addr network_order{htonl(address)};
  std::array<char, INET_ADDRSTRLEN> buffer{};
  return inet_ntop(AF_INET, &network_order, buffer.data(), buffer.size());
}

std::optional<Subnet> parse_subnet(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<uint32_t> address = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  uint32_t prefix = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (!address || error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  if (prefix < 8 || prefix > 30) return std::nullopt;
  return Subnet{*address & ~(UINT32_MAX >> prefix), prefix};
}

std::string to_text(const Subnet& subnet) {
  return to_text(subnet.first) + "/" + std::to_string(subnet.prefix);
}

std::string mac_of(uint32_t address) {
  std::array<char, 18> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "02:42:%02x:%02x:%02x:%02x", address >> 24,
                (address >> 16) & 0xff, (address >> 8) & 0xff, address & 0xff);
  return buffer.data();
}

bool AddressPool::usable(uint32_t address) const {
  return subnet_.contains(address) && address != subnet_.first && address != subnet_.last() &&
         address != gateway_ && !taken_.contains(address);
}

std::optional<uint32_t> AddressPool::take() {
  uint32_t candidate = last_given_;
  do {
    candidate = candidate == subnet_.last() ? subnet_.first : candidate + 1;
    if (usable(candidate)) {
      taken_.insert(candidate);
      last_given_ = candidate;
      return candidate;
    }
  } while (candidate != last_given_);
  return std::nullopt;
}

bool AddressPool::take(uint32_t address) {
  if (!usable(address)) return false;
  taken_.insert(address);
  // A restored address counts as given, so that the next one lies behind it.
  if (address > last_given_) last_given_ = address;
  return true;
}

}  // namespace skep::net_bridge
