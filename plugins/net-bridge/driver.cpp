// net-bridge: the node-local network of a node, with a Linux bridge.
//
// Every container gets a veth pair: one end is a port of the bridge, the other is made, named and
// up inside the container's namespace by the same kernel request. The bridge has the gateway's
// address; what leaves the node takes the node's address (firewall.hpp). Namespace, links, rules
// and forwarding all belong to the network namespace of the process that loaded the driver.
//
// State: the book in networks.hpp, rebuilt from handles by restore(); and the kernel, which
// outlives us. The near end's name is computed from the endpoint's id, and a link that we made is
// marked (a bridge has its network's id as alias too); so leave() and remove() work without any
// memory, and restore_done() can tell what nobody owns. Mark and firewall table are made of the
// name of the plugin's folder: a node may have several plugins of this driver.
//
// Order: `shape_` serialises what makes and ends networks; endpoints need only the book's lock.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>

#include "address_pool.hpp"
#include "firewall.hpp"
#include "netlink.hpp"
#include "networks.hpp"
#include "rollback.hpp"
#include "skep/abi.h"
#include "skep/cpp/driver.hpp"
#include "skep/network.h"

namespace skep::net_bridge {
namespace {

using sdk::Failure;
using sdk::json;

constexpr int handle_version = 1;
constexpr uint32_t mtu_min = 576;  // every IPv4 host takes that
constexpr uint32_t mtu_max = 65535;
constexpr size_t interface_name_max = 15;  // bytes; IFNAMSIZ less the end
constexpr const char* forward_switch = "/proc/sys/net/ipv4/ip_forward";

constexpr const char* config_schema = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "subnet": {"type": "string", "default": "172.30.0.0/16",
               "description": "IPv4 subnet of the network for which none is asked"},
    "bridge": {"type": "string", "default": "skep0", "maxLength": 15,
               "description": "name of that network's bridge"},
    "mtu": {"type": "integer", "default": 1500, "minimum": 576, "maximum": 65535,
            "description": "bytes, of bridge and containers"}
  }
})";

struct Config {
  Subnet subnet;
  std::string bridge;
  uint32_t mtu = 0;
  std::string plugin;  // the name that the plugin has on this node
  bool operator==(const Config&) const = default;
};

// A short name for an id: prefix and 48 bits of FNV-1a. 300 endpoints collide with a chance of
// 1e-10.
std::string short_name(const char* prefix, const std::string& id) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::array<char, interface_name_max + 1> name{};
  std::snprintf(name.data(), name.size(), "%s%012llx", prefix,
                static_cast<unsigned long long>(hash >> 16));
  return name.data();
}

std::string port_name(const std::string& endpoint) {
  return short_name("skv", endpoint);
}

// The alias of a network's bridge.
std::string alias_of(const std::string& network) {
  return "skep:" + network;
}

// A member that names an object.
std::string id_of(const json& request, const char* member) {
  const auto found = request.find(member);
  if (found == request.end()) throw Failure(SKEP_E_INVALID, std::string(member) + ": missing");
  if (!found->is_string()) throw Failure(SKEP_E_INVALID, std::string(member) + ": not a text");
  std::string id = found->get<std::string>();
  if (id.empty() || id.size() > SKEP_ID_MAX) {
    throw Failure(SKEP_E_INVALID, std::string(member) + " must have 1 to 128 bytes");
  }
  return id;
}

// A member that may be absent; empty then.
std::string text_of(const json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end()) return {};
  if (!found->is_string()) throw Failure(SKEP_E_INVALID, std::string(member) + ": not a text");
  return found->get<std::string>();
}

void check_interface_name(const std::string& name, const char* member) {
  if (name.empty() || name.size() > interface_name_max ||
      name.find_first_of("/ \t\n\"") != std::string::npos) {
    throw Failure(SKEP_E_INVALID, std::string(member) + ": \"" + name +
                                      "\" is no name for an interface (1 to 15 bytes)");
  }
}

uint32_t checked_mtu(int64_t mtu) {
  if (mtu < mtu_min || mtu > mtu_max) {
    throw Failure(SKEP_E_INVALID, "mtu must be from 576 to 65535");
  }
  return static_cast<uint32_t>(mtu);
}

Subnet checked_subnet(const std::string& text) {
  const std::optional<Subnet> subnet = parse_subnet(text);
  if (!subnet) {
    throw Failure(SKEP_E_INVALID,
                  "subnet: \"" + text + "\" is no IPv4 subnet with a prefix of 8 to 30");
  }
  return *subnet;
}

uint32_t checked_address(const std::string& text, const char* member) {
  const std::optional<uint32_t> address = parse_address(text.substr(0, text.find('/')));
  if (!address) {
    throw Failure(SKEP_E_INVALID, std::string(member) + ": \"" + text + "\" is no IPv4 address");
  }
  return *address;
}

bool forwarding() {
  std::ifstream file(forward_switch);
  int value = 0;
  return file >> value && value != 0;
}

void switch_forwarding_on() {
  if (forwarding()) return;
  std::ofstream file(forward_switch);
  file << "1" << std::flush;
  if (!file || !forwarding()) {
    throw Failure(SKEP_E_DENIED, std::string(forward_switch) + " can't be set to 1");
  }
}

// An open network namespace; NOTFOUND when its path is gone.
class NamespaceFile {
 public:
  explicit NamespaceFile(const std::string& path)
      : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) {
      throw Failure(errno == ENOENT ? SKEP_E_NOTFOUND : SKEP_E_INVALID,
                    "network namespace " + path + ": " + std::strerror(errno));
    }
  }
  ~NamespaceFile() { close(descriptor_); }
  NamespaceFile(const NamespaceFile&) = delete;
  NamespaceFile& operator=(const NamespaceFile&) = delete;

  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

class BridgeDriver : public sdk::Driver {
 public:
  using Driver::Driver;

  const void* interface(std::string_view id) noexcept override;

  json capabilities(const json&) { return {{"scope", "local"}}; }
  json configure(const json& request);
  json probe(const json&);
  json restore(const json& request);
  json restore_done(const json& request);
  json drain(const json&) {
    draining_ = true;
    return json::object();
  }
  json shutdown(const json&) { return json::object(); }
  json dump(const json&);

  json create(const json& request) {
    refuse_when_draining();
    return make_network(request);
  }
  json remove(const json& request);
  json endpoint_create(const json& request);
  json endpoint_remove(const json& request);
  json join(const json& request);
  json leave(const json& request);
  json check(const json& request);
  json list(const json&);

 private:
  // Everything that exists from configure on.
  struct Node {
    explicit Node(const Config& settings)
        : config(settings),
          netlink(link_group(settings.plugin)),
          firewall("skep_bridge_" + std::to_string(link_group(settings.plugin).number)) {}
    Config config;
    Netlink netlink;
    Firewall firewall;
  };

  Node& node();
  void refuse_when_draining() const {
    if (draining_) throw Failure(SKEP_E_UNAVAILABLE, "net-bridge takes no new operations");
  }
  json make_network(const json& request);
  NetworkEntry network_entry(const json& request);
  void raise(const NetworkEntry& network);  // under shape_
  static json network_reply(const NetworkEntry& entry);
  void apply_firewall();                       // under shape_
  void remove_bridge(const LinkInfo& bridge);  // under shape_
  json endpoint_reply(const EndpointEntry& endpoint);
  void plug_in(const EndpointEntry& endpoint);
  bool joined(const EndpointEntry& endpoint, const std::string& interface, Netlink& inside);

  std::unique_ptr<Node> node_;  // set once, by configure
  std::atomic<bool> draining_ = false;
  std::mutex shape_;
  Networks networks_;
};

BridgeDriver::Node& BridgeDriver::node() {
  if (!node_) throw Failure(SKEP_E_PRECONDITION, "net-bridge is not configured");
  return *node_;
}

json BridgeDriver::configure(const json& request) {
  const json settings = request.value("config", json());
  if (!settings.is_object()) throw Failure(SKEP_E_INVALID, "config: missing or not an object");
  for (const auto& [name, value] : settings.items()) {
    if (name != "subnet" && name != "bridge" && name != "mtu") {
      throw Failure(SKEP_E_INVALID, "config." + name + ": unknown member");
    }
    if (name == "mtu" && !value.is_number_integer()) {
      throw Failure(SKEP_E_INVALID, "config.mtu: not an integer");
    }
  }
  Config config;
  config.subnet =
      checked_subnet(settings.contains("subnet") ? text_of(settings, "subnet") : "172.30.0.0/16");
  config.bridge = settings.contains("bridge") ? text_of(settings, "bridge") : "skep0";
  check_interface_name(config.bridge, "bridge");
  config.mtu = checked_mtu(settings.value("mtu", int64_t{1500}));
  config.plugin = std::filesystem::path(text_of(request, "data_dir")).filename();
  if (node_) {
    if (node_->config == config) return json::object();
    throw Failure(SKEP_E_EXISTS, "net-bridge is configured already, and otherwise");
  }
  node_ = std::make_unique<Node>(config);
  return json::object();
}

json BridgeDriver::probe(const json&) {
  try {
    static_cast<void>(node().netlink.link("lo"));
  } catch (const Failure& failure) {
    return {{"state", "broken"}, {"reason", failure.what()}};
  }
  return {{"state", "ready"}, {"reason", ""}};
}

NetworkEntry BridgeDriver::network_entry(const json& request) {
  NetworkEntry entry;
  entry.id = id_of(request, "network");
  const Config& config = node().config;
  const std::string subnet = text_of(request, "subnet");
  entry.subnet = subnet.empty() ? config.subnet : checked_subnet(subnet);
  // The configured bridge is for the configured subnet; a further network gets a bridge of its own.
  entry.device = entry.subnet == config.subnet ? config.bridge : short_name("skb", entry.id);
  const std::string gateway = text_of(request, "gateway");
  entry.gateway = gateway.empty() ? entry.subnet.first + 1 : checked_address(gateway, "gateway");
  if (!entry.subnet.contains(entry.gateway) || entry.gateway == entry.subnet.first ||
      entry.gateway == entry.subnet.last()) {
    throw Failure(SKEP_E_INVALID, "gateway: " + to_text(entry.gateway) +
                                      " is no host address of subnet " + to_text(entry.subnet));
  }
  const int64_t mtu = request.value("mtu", int64_t{0});
  entry.mtu = mtu == 0 ? config.mtu : checked_mtu(mtu);
  return entry;
}

void BridgeDriver::raise(const NetworkEntry& network) {
  Netlink& netlink = node().netlink;
  const int bridge = netlink.make_bridge(network.device, mac_of(network.gateway), network.mtu,
                                         alias_of(network.id));
  netlink.add_address(bridge,
                      to_text(network.gateway) + "/" + std::to_string(network.subnet.prefix));
  switch_forwarding_on();
  apply_firewall();
}

void BridgeDriver::apply_firewall() {
  std::vector<Firewall::Rule> rules;
  for (const NetworkEntry& network : networks_.networks()) {
    rules.push_back({to_text(network.subnet), network.device});
  }
  node().firewall.apply(rules);
}

json BridgeDriver::make_network(const json& request) {
  const NetworkEntry entry = network_entry(request);
  const std::lock_guard lock(shape_);
  // Whatever is there already is not ours to take away when something fails.
  const bool known = node().netlink.link(entry.device).has_value();
  const bool noted = networks_.network(entry.id).has_value();
  networks_.add(entry);
  Rollback rollback(
      [&] {
        if (!noted) networks_.remove(entry.id);
        if (!known) node().netlink.remove_link(entry.device);
        if (!noted) apply_firewall();
      },
      [this](std::string_view worse) { log(SKEP_LOG_WARNING, worse); });
  raise(entry);
  json reply = network_reply(entry);
  rollback.keep();
  return reply;
}

// Replies are put together by assignment: the temporaries of a list in braces ask for memory in
// their destructors, and if there is none the process ends.
json BridgeDriver::network_reply(const NetworkEntry& entry) {
  json handle = json::object();
  handle["version"] = handle_version;
  handle["network"] = entry.id;
  handle["subnet"] = to_text(entry.subnet);
  handle["gateway"] = to_text(entry.gateway);
  handle["mtu"] = entry.mtu;
  json reply = json::object();
  reply["subnet"] = to_text(entry.subnet);
  reply["gateway"] = to_text(entry.gateway);
  reply["mtu"] = entry.mtu;
  reply["device"] = entry.device;
  reply["handle"] = std::move(handle);
  return reply;
}

// With the ports that endpoints nobody remembers have left on it.
void BridgeDriver::remove_bridge(const LinkInfo& bridge) {
  Netlink& netlink = node().netlink;
  for (const LinkInfo& port : netlink.ports(bridge.index)) {
    if (port.ours) netlink.remove_link(port.name);
  }
  netlink.remove_link(bridge.name);
}

json BridgeDriver::remove(const json& request) {
  const std::lock_guard lock(shape_);
  const std::string id = id_of(request, "network");
  const std::optional<NetworkEntry> gone = networks_.remove(id);
  Rollback rollback(
      [&] {
        if (gone) networks_.add(*gone);  // so that a second try finds it
      },
      [this](std::string_view worse) { log(SKEP_LOG_WARNING, worse); });
  if (gone) {
    const std::optional<LinkInfo> bridge = node().netlink.link(gone->device);
    if (bridge) remove_bridge(*bridge);
  }
  // One that was never restored is known by its mark alone.
  for (const LinkInfo& bridge : node().netlink.own_bridges()) {
    if (bridge.alias == alias_of(id)) remove_bridge(bridge);
  }
  apply_firewall();
  rollback.keep();
  return json::object();
}

json BridgeDriver::endpoint_reply(const EndpointEntry& endpoint) {
  const NetworkEntry network = networks_.require_network(endpoint.network);
  const std::string address =
      to_text(endpoint.address) + "/" + std::to_string(network.subnet.prefix);
  json handle = json::object();
  handle["version"] = handle_version;
  handle["network"] = endpoint.network;
  handle["endpoint"] = endpoint.id;
  handle["address"] = address;
  handle["mac"] = endpoint.mac;
  json reply = json::object();
  reply["address"] = address;
  reply["mac"] = endpoint.mac;
  reply["gateway"] = to_text(network.gateway);
  reply["handle"] = std::move(handle);
  return reply;
}

json BridgeDriver::endpoint_create(const json& request) {
  refuse_when_draining();
  const std::string id = id_of(request, "endpoint");
  std::optional<uint32_t> wanted;
  if (const std::string address = text_of(request, "address"); !address.empty()) {
    wanted = checked_address(address, "address");
  }
  const std::string network = id_of(request, "network");
  const bool known = networks_.endpoint(network, id).has_value();
  const EndpointEntry made = networks_.add_endpoint(network, id, wanted, text_of(request, "mac"));
  Rollback rollback(
      [&] {
        if (!known) networks_.remove_endpoint(network, id);
      },
      [this](std::string_view worse) { log(SKEP_LOG_WARNING, worse); });
  json reply = endpoint_reply(made);
  rollback.keep();
  return reply;
}

json BridgeDriver::endpoint_remove(const json& request) {
  // A port that was never left would keep the address alive on the bridge.
  node().netlink.remove_link(port_name(id_of(request, "endpoint")));
  networks_.remove_endpoint(id_of(request, "network"), id_of(request, "endpoint"));
  return json::object();
}

// Whether the endpoint's interface is already in that namespace.
bool BridgeDriver::joined(const EndpointEntry& endpoint, const std::string& interface,
                          Netlink& inside) {
  const std::optional<LinkInfo> there = inside.link(interface);
  return there && there->mac == endpoint.mac && node().netlink.link(port_name(endpoint.id));
}

json BridgeDriver::join(const json& request) {
  refuse_when_draining();
  const std::string network_id = id_of(request, "network");
  const std::string interface = request.value("interface", "eth0");
  check_interface_name(interface, "interface");
  const EndpointEntry endpoint = networks_.require_endpoint(network_id, id_of(request, "endpoint"));
  const NetworkEntry network = networks_.require_network(network_id);
  const std::string path = text_of(request, "netns");
  if (path.empty()) throw Failure(SKEP_E_INVALID, "netns: missing");
  const NamespaceFile netns(path);
  Netlink inside(netns.descriptor());
  Netlink& outside = node().netlink;

  const std::string port = port_name(endpoint.id);
  if (!joined(endpoint, interface, inside)) {
    const std::optional<LinkInfo> bridge = outside.link(network.device);
    if (!bridge) throw Failure(SKEP_E_UNAVAILABLE, "bridge " + network.device + " is gone");
    outside.remove_link(port);  // left over from another namespace
    VethRequest pair;
    pair.name = port;
    pair.bridge = bridge->index;
    pair.peer_name = interface;
    pair.peer_mac = endpoint.mac;
    pair.netns = netns.descriptor();
    pair.mtu = network.mtu;
    outside.make_veth(pair);
  }
  Rollback rollback([&] { outside.remove_link(port); },
                    [this](std::string_view worse) { log(SKEP_LOG_WARNING, worse); });
  const std::optional<LinkInfo> loopback = inside.link("lo");
  if (loopback && !loopback->up) inside.set_up(loopback->index);
  const std::optional<LinkInfo> there = inside.link(interface);
  if (!there) throw Failure(SKEP_E_INTERNAL, interface + " vanished from the namespace");
  if (!there->up) inside.set_up(there->index);
  inside.add_address(there->index,
                     to_text(endpoint.address) + "/" + std::to_string(network.subnet.prefix));
  inside.add_default_route(there->index, to_text(network.gateway));
  json reply = json::object();
  reply["interface"] = interface;
  rollback.keep();
  return reply;
}

json BridgeDriver::leave(const json& request) {
  node().netlink.remove_link(port_name(id_of(request, "endpoint")));
  return json::object();
}

json BridgeDriver::check(const json& request) {
  const std::string network_id = id_of(request, "network");
  const EndpointEntry endpoint = networks_.require_endpoint(network_id, id_of(request, "endpoint"));
  const NetworkEntry network = networks_.require_network(network_id);
  json drift = json::array();
  const std::optional<LinkInfo> bridge = node().netlink.link(network.device);
  if (!bridge) drift.push_back("bridge " + network.device + " is missing");
  if (bridge && !bridge->up) drift.push_back("bridge " + network.device + " is down");
  const std::optional<LinkInfo> port = node().netlink.link(port_name(endpoint.id));
  if (!port) drift.push_back("the endpoint has no link on the node");
  if (port && !port->up) drift.push_back("link " + port->name + " is down");
  if (port && bridge && port->master != bridge->index) {
    drift.push_back("link " + port->name + " is no port of bridge " + network.device);
  }
  if (!forwarding()) drift.push_back(std::string(forward_switch) + " is 0");
  if (node().firewall.dump().find(to_text(network.subnet)) == std::string::npos) {
    drift.push_back(node().firewall.table() + " does not translate " + to_text(network.subnet));
  }
  return {{"drift", drift}};
}

json BridgeDriver::list(const json&) {
  json networks = json::array();
  for (const NetworkEntry& network : networks_.networks()) {
    networks.push_back({{"network", network.id},
                        {"subnet", to_text(network.subnet)},
                        {"gateway", to_text(network.gateway)},
                        {"device", network.device}});
  }
  json endpoints = json::array();
  for (const EndpointEntry& endpoint : networks_.endpoints()) {
    endpoints.push_back({{"network", endpoint.network},
                         {"endpoint", endpoint.id},
                         {"address", endpoint_reply(endpoint).at("address")},
                         {"mac", endpoint.mac}});
  }
  return {{"networks", networks}, {"endpoints", endpoints}};
}

json BridgeDriver::dump(const json& request) {
  json all = list(request);
  all["firewall"] = node().firewall.dump();
  all["forwarding"] = forwarding();
  return all;
}

// Somebody may have removed the bridge meanwhile: it is made anew, and its ports hang loose.
void BridgeDriver::plug_in(const EndpointEntry& endpoint) {
  Netlink& netlink = node().netlink;
  const NetworkEntry network = networks_.require_network(endpoint.network);
  const std::optional<LinkInfo> bridge = netlink.link(network.device);
  const std::optional<LinkInfo> port = netlink.link(port_name(endpoint.id));
  if (!bridge || !port || port->master == bridge->index) return;
  log(SKEP_LOG_INFO, "link " + port->name + " is a port of bridge " + network.device + " again");
  netlink.make_port(port->index, bridge->index);
}

json BridgeDriver::restore(const json& request) {
  const json handle = request.value("handle", json());
  const std::string id = id_of(request, "id");
  // Its answer never reached the host: whatever there is of it goes when it is asked for again, or
  // removed, by its id.
  if (handle.is_null()) throw Failure(SKEP_E_NOTFOUND, "nothing is known of " + id);
  if (!handle.is_object() || handle.value("version", 0) != handle_version) {
    throw Failure(SKEP_E_PRECONDITION,
                  "the handle of " + id + " is of a version that this driver does not know");
  }
  if (handle.contains("endpoint")) {
    const EndpointEntry endpoint = networks_.add_endpoint(
        handle.at("network").get<std::string>(), handle.at("endpoint").get<std::string>(),
        checked_address(handle.at("address").get<std::string>(), "address"),
        handle.at("mac").get<std::string>());
    plug_in(endpoint);
    return json::object();
  }
  // A network: bridge and rules are made again if the machine was restarted meanwhile.
  make_network(handle);
  return json::object();
}

json BridgeDriver::restore_done(const json& request) {
  const json named = request.value("ids", json());
  if (!named.is_array()) throw Failure(SKEP_E_INVALID, "ids: not a list");
  const auto ids = named.get<std::set<std::string>>();
  const std::lock_guard lock(shape_);
  std::set<std::string> ports;
  for (const EndpointEntry& endpoint : networks_.endpoints()) {
    if (ids.contains(endpoint.id)) ports.insert(port_name(endpoint.id));
    if (!ids.contains(endpoint.id)) networks_.remove_endpoint(endpoint.network, endpoint.id);
  }
  // Handles may have been lost between an endpoint's creation and its storing: a named id keeps its
  // port.
  for (const std::string& id : ids) ports.insert(port_name(id));
  std::set<std::string> known;
  for (const NetworkEntry& network : networks_.networks()) known.insert(network.device);
  std::set<std::string> devices = known;
  devices.insert(node().config.bridge);
  for (const std::string& device : devices) {
    const std::optional<LinkInfo> bridge = node().netlink.link(device);
    if (!bridge || bridge->kind != "bridge") continue;
    for (const LinkInfo& port : node().netlink.ports(bridge->index)) {
      if (port.ours && !ports.contains(port.name)) {
        log(SKEP_LOG_INFO, "link " + port.name + " belongs to no endpoint and is removed");
        node().netlink.remove_link(port.name);
      }
    }
  }
  std::set<std::string> aliases;
  for (const std::string& id : ids) aliases.insert(alias_of(id));
  for (const LinkInfo& bridge : node().netlink.own_bridges()) {
    if (known.contains(bridge.name)) continue;
    if (aliases.contains(bridge.alias)) continue;
    log(SKEP_LOG_INFO, "bridge " + bridge.name + " belongs to no network and is removed");
    remove_bridge(bridge);
  }
  apply_firewall();
  return json::object();
}

using Me = BridgeDriver;
using sdk::op;

const void* BridgeDriver::interface(std::string_view id) noexcept {
  static const skep_base_1 base = {sizeof base,           0,
                                   op<&Me::capabilities>, op<&Me::configure>,
                                   op<&Me::probe>,        op<&Me::restore>,
                                   op<&Me::restore_done>, op<&Me::drain>,
                                   op<&Me::shutdown>,     op<&Me::dump>};
  static const skep_network_1 network = {sizeof network,
                                         0,
                                         op<&Me::create>,
                                         op<&Me::remove>,
                                         op<&Me::endpoint_create>,
                                         op<&Me::endpoint_remove>,
                                         op<&Me::join>,
                                         op<&Me::leave>,
                                         op<&Me::check>,
                                         op<&Me::list>};
  if (id == SKEP_BASE_1) return &base;
  if (id == SKEP_NETWORK_1) return &network;
  return nullptr;
}

}  // namespace skep::net_bridge

SKEP_DECLARE_NOTE("net-bridge", "0.1.0", "skep.base/1 skep.network/1");

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      sizeof plugin,
      SKEP_ABI_MAJOR,
      SKEP_ABI_MINOR,
      0,
      "net-bridge",
      "0.1.0",
      "skep",
      "skep.base/1 skep.network/1",
      skep::net_bridge::config_schema,
      skep::sdk::make_instance<skep::net_bridge::BridgeDriver>,
  };
  return &plugin;
}
