// The playground's wires, made with iproute2.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/network.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "cli/playground/process.hpp"

namespace skep::cli::playground {
namespace {

constexpr milliseconds kIpLimit{10'000};

Result<std::string> ip(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "ip");
  return run(arguments, kIpLimit);
}

bool has_link(const std::string& netns, const std::string& name) {
  return ip({"-n", netns, "link", "show", "dev", name}).has_value();
}

Status ensure_netns(const std::string& name) {
  if (netns_exists(name)) {
    // `ip netns add` makes the file first and mounts on it second: killed in between, it leaves a
    // plain file, on which every later command fails.
    if (ip({"-n", name, "link", "set", "lo", "up"})) return {};
    SKEP_TRY(ip({"netns", "delete", name}));
  }
  SKEP_TRY(ip({"netns", "add", name}));
  SKEP_TRY(ip({"-n", name, "link", "set", "lo", "up"}));
  return {};
}

// A machine keeps its network card over a power cut: the same address always has the same MAC, or
// the neighbours would send to the old one until they doubt it. Requires: an IPv4 address.
std::string mac_of(const std::string& address) {
  std::string mac = "02:42";
  for (size_t from = 0; from < address.size();) {
    const size_t end = std::min(address.find('.', from), address.size());
    const int byte = std::stoi(address.substr(from, end - from));
    mac += {':', "0123456789abcdef"[byte >> 4 & 15], "0123456789abcdef"[byte & 15]};
    from = end + 1;
  }
  return mac;
}

}  // namespace

bool netns_exists(const std::string& name) {
  std::error_code error;
  return std::filesystem::exists("/run/netns/" + name, error);
}

Status ensure_bridge(const Layout& layout) {
  SKEP_TRY(ensure_netns(kNetworkNamespace));
  if (!has_link(kNetworkNamespace, kBridge)) {
    SKEP_TRY(ip({"-n", kNetworkNamespace, "link", "add", kBridge, "address",
                 mac_of(layout.gateway()), "type", "bridge"}));
  }
  SKEP_TRY(ip(
      {"-n", kNetworkNamespace, "address", "replace", layout.gateway() + "/24", "dev", kBridge}));
  SKEP_TRY(ip({"-n", kNetworkNamespace, "link", "set", kBridge, "up"}));
  return {};
}

Status ensure_node_network(const Node& node) {
  SKEP_TRY(ensure_netns(node.netns));
  // A port whose other end is gone belongs to a namespace that is still being taken apart.
  if (has_link(kNetworkNamespace, node.name) && !has_link(node.netns, "eth0")) {
    SKEP_TRY(ip({"-n", kNetworkNamespace, "link", "delete", node.name}));
  }
  if (!has_link(kNetworkNamespace, node.name)) {
    SKEP_TRY(ip({"-n", kNetworkNamespace, "link", "add", node.name, "type", "veth", "peer", "name",
                 "eth0", "address", mac_of(node.address), "netns", node.netns}));
  }
  SKEP_TRY(ip({"-n", kNetworkNamespace, "link", "set", node.name, "master", kBridge, "up"}));
  SKEP_TRY(ip({"-n", node.netns, "address", "replace", node.address + "/24", "dev", "eth0"}));
  SKEP_TRY(ip({"-n", node.netns, "link", "set", "eth0", "up"}));
  return {};
}

Status set_link(const Node& node, Link state) {
  const char* word = state == Link::up ? "up" : "down";
  SKEP_TRY(ip({"-n", kNetworkNamespace, "link", "set", node.name, word}));
  return {};
}

Link link_state(const Node& node) {
  const Result<std::string> shown =
      ip({"-o", "-n", kNetworkNamespace, "link", "show", "dev", node.name});
  if (!shown) return Link::missing;
  // The flags stand in angle brackets: <BROADCAST,MULTICAST,UP,LOWER_UP>.
  const std::string flags = shown->substr(0, shown->find('>'));
  return flags.find(",UP") != std::string::npos ? Link::up : Link::down;
}

Status remove_node_network(const Node& node) {
  if (netns_exists(kNetworkNamespace) && has_link(kNetworkNamespace, node.name)) {
    SKEP_TRY(ip({"-n", kNetworkNamespace, "link", "delete", node.name}));
  }
  if (netns_exists(node.netns)) SKEP_TRY(ip({"netns", "delete", node.netns}));
  return {};
}

Status remove_bridge() {
  if (netns_exists(kNetworkNamespace)) SKEP_TRY(ip({"netns", "delete", kNetworkNamespace}));
  return {};
}

}  // namespace skep::cli::playground
