// net-ip: networks of one node, each a bridge, with the `ip` command doing what touches the kernel.
//
// Every container gets a pair of interfaces: one end is a port of the network's bridge, the other
// is made inside the container's namespace. The bridge has the gateway's address. There is no way
// out of the node: that wants forwarding and a firewall's rule.
//
// The kernel's state outlives the driver. Names of bridges and ports are made of the host's ids, so
// what this process no longer remembers can still be found and taken away; and all of them are in a
// group of interfaces that is the driver's own, so that nobody else's is. What it must remember
// (addresses) comes back with the handles that the host keeps and gives to restore().
// skep/network.h is the contract.
//
// One lock for everything keeps it simple: each operation takes some milliseconds.
// SPDX-License-Identifier: Apache-2.0
#include "skep/cpp/network.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

extern char** environ;

namespace {

using namespace skep::sdk;

constexpr const char* config_schema = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "subnet": {"type": "string", "default": "172.31.0.0/24",
               "description": "IPv4 subnet of a network that asks for none"},
    "mtu": {"type": "integer", "minimum": 576, "maximum": 65535, "default": 1500}
  }
})";

constexpr const char* bridge_mark = "bri";
constexpr const char* port_mark = "prt";

// The group of interfaces that are this driver's; another made from the same template has another.
constexpr uint32_t group_of(std::string_view driver) {
  uint32_t hash = 0x811c9dc5u;
  for (const char c : driver) hash = (hash ^ static_cast<unsigned char>(c)) * 0x1000193u;
  return hash >> 1 | 1;  // the kernel's 0 is everybody's, and `ip` takes no more than 31 bits
}
const std::string group = std::to_string(group_of("net-ip"));

// ---- the kernel, through `ip` ----

// The `ip` command. One that a killed driver left at work would meet the next driver's in the
// kernel, so each has a copy of the descriptor of a lock, which is free when the last of them has
// ended.
class Ip {
 public:
  Ip() = default;
  ~Ip() {
    if (lock_ >= 0) close(lock_);
  }
  Ip(const Ip&) = delete;
  Ip& operator=(const Ip&) = delete;

  void wait_for_older(const std::string& folder) {
    if (lock_ >= 0) return;  // waited already: configured again
    const std::string path = folder + "/ip.lock";
    lock_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0 || flock(lock_, LOCK_EX) != 0) {
      throw std::system_error(errno, std::generic_category(), path);
    }
  }

  // Runs `ip` with these words. Throws SKEP_E_INTERNAL with what it said when it fails.
  std::string operator()(std::vector<std::string> words) const {
    words.insert(words.begin(), "ip");
    std::vector<char*> arguments;
    std::string command;
    for (std::string& word : words) {
      arguments.push_back(word.data());
      command += (command.empty() ? "" : " ") + word;
    }
    arguments.push_back(nullptr);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      throw std::system_error(errno, std::generic_category(), "pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    if (lock_ >= 0) posix_spawn_file_actions_adddup2(&actions, lock_, STDERR_FILENO + 1);
    pid_t child = 0;
    const int error = posix_spawnp(&child, "ip", &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    std::string said;
    char part[4096];
    for (ssize_t size; error == 0 && (size = read(ends[0], part, sizeof part)) > 0;) {
      said.append(part, static_cast<size_t>(size));
    }
    close(ends[0]);
    if (error != 0) throw Failure(SKEP_E_UNAVAILABLE, "ip: " + std::string(std::strerror(error)));
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return said;
    throw Failure(SKEP_E_INTERNAL, command + ": " + said.substr(0, said.find('\n')));
  }

 private:
  int lock_ = -1;
};

// While it lives, this thread, and what it starts, is in another network namespace.
class Inside {
 public:
  explicit Inside(const std::string& netns)
      : home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    const int target = open(netns.c_str(), O_RDONLY | O_CLOEXEC);
    const bool entered = home_ >= 0 && target >= 0 && setns(target, CLONE_NEWNET) == 0;
    const int number = errno;
    if (target >= 0) close(target);
    if (entered) return;
    if (home_ >= 0) close(home_);
    throw Failure(number == ENOENT ? SKEP_E_PRECONDITION : SKEP_E_INTERNAL,
                  "network namespace " + netns + ": " + std::strerror(number));
  }
  ~Inside() {
    if (setns(home_, CLONE_NEWNET) != 0)
      std::abort();  // the thread is the host's, and must be home
    close(home_);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  int home_;
};

bool exists(const std::string& interface) {
  return if_nametoindex(interface.c_str()) != 0;
}

bool is_up(const std::string& interface) {
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  const bool answered = ioctl(any, SIOCGIFFLAGS, &request) == 0;
  close(any);
  return answered && (request.ifr_flags & IFF_UP) != 0;
}

// ---- what is remembered ----

struct Endpoint {
  uint32_t address = 0;
  std::string mac;
};

struct Network {
  std::string id;
  Ipv4Subnet subnet = {};
  uint32_t gateway = 0;
  int64_t mtu = 0;
  std::map<std::string, Endpoint> endpoints = {};

  std::string device() const { return interface_name(bridge_mark, id); }
};

std::string mac_of(uint32_t address) {
  char text[18];
  std::snprintf(text, sizeof text, "02:42:%02x:%02x:%02x:%02x", address >> 24, address >> 16 & 255,
                address >> 8 & 255, address & 255);
  return text;
}

class Bridges : public NetworkDriver {
 public:
  void configure(const Members& config, const Place& place) override {
    ip_.wait_for_older(place.run_dir);
    subnet_ = Ipv4Subnet::read(config.text("subnet", "172.31.0.0/24"), "config.subnet").text();
    mtu_ = config.integer_within("mtu", 1500, 576, 65535);
  }

  Health probe() override {
    try {
      ip_({"-V"});
    } catch (const Failure& failure) {
      return Health::broken(failure.what());
    }
    return {};
  }

  CreatedNetwork create(const CreateNetwork& request) override {
    only_known_options(request.options, {});
    const std::scoped_lock lock(lock_);
    Network network = {.id = request.network};
    network.subnet = Ipv4Subnet::read(request.subnet.empty() ? subnet_ : request.subnet, "subnet");
    network.gateway = network.subnet.first + 1;
    if (!request.gateway.empty()) {
      network.gateway = Ipv4Subnet::number_of(request.gateway).value_or(0);
      if (!network.subnet.is_host(network.gateway)) {
        throw Failure(SKEP_E_INVALID, "\"gateway\" must be an address of a host in the subnet");
      }
    }
    network.mtu = request.mtu.value_or(mtu_);
    for (const auto& [id, other] : networks_) {
      if (id != request.network && other.subnet.overlaps(network.subnet)) {
        throw Failure(SKEP_E_INVALID,
                      "\"subnet\": " + network.subnet.text() + " overlaps that of network " + id);
      }
    }
    const auto present = networks_.find(request.network);
    if (present != networks_.end() && !same(present->second, network)) {
      throw Failure(SKEP_E_EXISTS, "network " + request.network + " exists with other arguments");
    }
    if (present == networks_.end()) {
      raise(network);
      networks_[request.network] = network;
    }
    return reply_of(network);
  }

  void remove(const std::string& id) override {
    const std::scoped_lock lock(lock_);
    const auto found = networks_.find(id);
    if (found != networks_.end() && !found->second.endpoints.empty()) {
      throw Failure(SKEP_E_PRECONDITION,
                    "network " + id + " has endpoint " + found->second.endpoints.begin()->first);
    }
    delete_link(interface_name(bridge_mark, id));  // also of one that is not remembered
    networks_.erase(id);
  }

  CreatedEndpoint endpoint_create(const CreateEndpoint& request) override {
    const std::scoped_lock lock(lock_);
    Network& network = needed(request.network);
    const std::string wanted = request.address.substr(0, request.address.find('/'));
    const std::optional<uint32_t> address = Ipv4Subnet::number_of(wanted);
    if (!request.address.empty() && (!address || !network.subnet.is_host(*address))) {
      throw Failure(SKEP_E_INVALID,
                    "\"address\" must be one of a host in " + network.subnet.text());
    }
    auto found = network.endpoints.find(request.endpoint);
    if (found == network.endpoints.end()) {
      Endpoint endpoint = {address ? *address : free_address(network), request.mac};
      if (is_taken(network, endpoint.address)) {
        throw Failure(SKEP_E_PRECONDITION, "address " + wanted + " is taken");
      }
      if (endpoint.mac.empty()) endpoint.mac = mac_of(endpoint.address);
      found = network.endpoints.emplace(request.endpoint, endpoint).first;
    } else if ((address && *address != found->second.address) ||
               (!request.mac.empty() && request.mac != found->second.mac)) {
      throw Failure(SKEP_E_EXISTS, "endpoint " + request.endpoint + " exists with other arguments");
    }
    return reply_of(network, request.endpoint, found->second);
  }

  void endpoint_remove(const std::string& network, const std::string& endpoint) override {
    const std::scoped_lock lock(lock_);
    delete_link(interface_name(port_mark, endpoint));
    if (const auto found = networks_.find(network); found != networks_.end()) {
      found->second.endpoints.erase(endpoint);
    }
  }

  std::string join(const JoinEndpoint& request) override {
    const std::scoped_lock lock(lock_);
    const Network& network = needed(request.network);
    const Endpoint& endpoint = needed(network, request.endpoint);
    const std::string port = interface_name(port_mark, request.endpoint);
    const bool plugged = exists(port);
    std::string present;
    {
      const Inside inside(request.netns);
      present = ip_({"-o", "link", "show"});
    }
    if (plugged && present.find(endpoint.mac) == std::string::npos) {
      throw Failure(SKEP_E_PRECONDITION,
                    "endpoint " + request.endpoint + " is in another namespace");
    }
    const std::string mtu = std::to_string(network.mtu);
    if (!plugged) {
      ip_({"link", "add", port, "group", group, "mtu", mtu, "type", "veth", "peer", "name",
           request.interface, "address", endpoint.mac, "mtu", mtu, "netns", request.netns});
    }
    // Each of these may be repeated, so a join that was cut off is completed by the next one.
    ip_({"link", "set", port, "master", network.device(), "up"});
    const Inside inside(request.netns);
    ip_({"link", "set", "lo", "up"});
    ip_({"address", "replace", network.subnet.text_of_host(endpoint.address), "dev",
         request.interface});
    ip_({"link", "set", request.interface, "up"});
    ip_({"route", "replace", "default", "via", Ipv4Subnet::text_of(network.gateway)});
    return request.interface;
  }

  void leave(const LeaveEndpoint& request) override {
    const std::scoped_lock lock(lock_);
    delete_link(interface_name(port_mark, request.endpoint));  // the other end goes with it
  }

  std::vector<std::string> check(const std::string& id, const std::string& endpoint) override {
    const std::scoped_lock lock(lock_);
    const Network& network = needed(id);
    (void)needed(network, endpoint);
    std::vector<std::string> drift;
    const std::string port = interface_name(port_mark, endpoint);
    for (const std::string& link : {network.device(), port}) {
      if (!exists(link)) {
        drift.push_back("there is no interface " + link);
      } else if (!is_up(link)) {
        drift.push_back("interface " + link + " is down");
      }
    }
    return drift;
  }

  NetworkList list() override {
    const std::scoped_lock lock(lock_);
    NetworkList all;
    for (const auto& [id, network] : networks_) {
      all.networks.push_back(
          {id, network.subnet.text(), Ipv4Subnet::text_of(network.gateway), network.device()});
      for (const auto& [name, endpoint] : network.endpoints) {
        all.endpoints.push_back(
            {id, name, network.subnet.text_of_host(endpoint.address), endpoint.mac});
      }
    }
    return all;
  }

  // A network whose bridge a reboot took is made again; an endpoint joins again when the host says
  // so.
  void restore(const RestoreNetworkObject& request) override {
    if (!request.handle.is_object()) throw Failure(SKEP_E_NOTFOUND, "there is no " + request.id);
    const Members handle(request.handle, "handle");
    if (handle.integer("version") != 1) {
      throw Failure(SKEP_E_PRECONDITION, "the handle is of another version of this driver");
    }
    const std::scoped_lock lock(lock_);
    if (handle.has("endpoint")) {
      const uint32_t address = Ipv4Subnet::number_of(handle.text("address")).value_or(0);
      needed(handle.text("network")).endpoints[request.id] = {address, handle.text("mac")};
      return;
    }
    Network network = {.id = request.id};
    network.subnet = Ipv4Subnet::read(handle.text("subnet"), "handle.subnet");
    network.gateway = Ipv4Subnet::number_of(handle.text("gateway")).value_or(0);
    network.mtu = handle.integer("mtu");
    raise(network);
    networks_[request.id] = network;
  }

  void restore_done(const std::vector<std::string>& ids) override {
    const std::scoped_lock lock(lock_);
    std::set<std::string> named;
    for (const std::string& id : ids) {
      named.insert({interface_name(bridge_mark, id), interface_name(port_mark, id)});
    }
    for (const char* mark : {port_mark, bridge_mark}) {
      for (const std::string& link : links_with(mark)) {
        if (named.contains(link)) continue;
        log(SKEP_LOG_INFO, "interface " + link + " belongs to nobody and is removed");
        delete_link(link);
      }
    }
  }

 private:
  static bool same(const Network& a, const Network& b) {
    return a.subnet.first == b.subnet.first && a.subnet.prefix == b.subnet.prefix &&
           a.gateway == b.gateway && a.mtu == b.mtu;
  }
  static bool is_taken(const Network& network, uint32_t address) {
    for (const auto& [id, endpoint] : network.endpoints) {
      if (endpoint.address == address) return true;
    }
    return address == network.gateway;
  }
  static uint32_t free_address(const Network& network) {
    for (uint32_t address = network.subnet.first + 1; address < network.subnet.last(); ++address) {
      if (!is_taken(network, address)) return address;
    }
    throw Failure(SKEP_E_EXHAUSTED, "no address is left in subnet " + network.subnet.text());
  }

  // The bridge, its address, and up: each may be there already. On an error nothing new stays.
  void raise(const Network& network) {
    const std::string device = network.device();
    const bool there = exists(device);
    if (!there) ip_({"link", "add", device, "group", group, "type", "bridge"});
    try {
      ip_({"link", "set", device, "address", mac_of(network.gateway), "mtu",
           std::to_string(network.mtu), "up"});
      ip_({"address", "replace", network.subnet.text_of_host(network.gateway), "dev", device});
    } catch (const Failure&) {
      if (!there) delete_link(device);
      throw;
    }
  }

  static CreatedNetwork reply_of(const Network& network) {
    CreatedNetwork reply;
    reply.subnet = network.subnet.text();
    reply.gateway = Ipv4Subnet::text_of(network.gateway);
    reply.mtu = network.mtu;
    reply.device = network.device();
    reply.handle = {
        {"version", 1}, {"subnet", reply.subnet}, {"gateway", reply.gateway}, {"mtu", reply.mtu}};
    return reply;
  }
  static CreatedEndpoint reply_of(const Network& network, const std::string& id,
                                  const Endpoint& endpoint) {
    CreatedEndpoint reply;
    reply.address = network.subnet.text_of_host(endpoint.address);
    reply.mac = endpoint.mac;
    reply.gateway = Ipv4Subnet::text_of(network.gateway);
    reply.handle = {{"version", 1},
                    {"network", network.id},
                    {"endpoint", id},
                    {"address", Ipv4Subnet::text_of(endpoint.address)},
                    {"mac", endpoint.mac}};
    return reply;
  }

  Network& needed(const std::string& id) {
    const auto found = networks_.find(id);
    if (found == networks_.end()) throw Failure(SKEP_E_NOTFOUND, "there is no network " + id);
    return found->second;
  }
  static const Endpoint& needed(const Network& network, const std::string& id) {
    const auto found = network.endpoints.find(id);
    if (found == network.endpoints.end()) {
      throw Failure(SKEP_E_NOTFOUND, "there is no endpoint " + id);
    }
    return found->second;
  }

  void delete_link(const std::string& interface) {
    if (!exists(interface)) return;
    try {
      ip_({"link", "delete", interface});
    } catch (const Failure&) {
      if (exists(interface))
        throw;  // else the kernel was quicker: it takes a pair with its namespace
    }
  }

  // The driver's interfaces of this namespace whose names begin with `mark`.
  std::set<std::string> links_with(const std::string& mark) const {
    std::set<std::string> found;
    std::istringstream lines(ip_({"-o", "link", "show", "group", group}));
    // "5: bri0123456789ab: <UP> ...", with "@if4" behind the name of one of a pair.
    for (std::string index, name, rest; lines >> index >> name && std::getline(lines, rest);) {
      name = name.substr(0, name.find_first_of("@:"));
      if (name.starts_with(mark)) found.insert(name);
    }
    return found;
  }

  Ip ip_;
  std::string subnet_;
  int64_t mtu_ = 0;
  std::mutex lock_;
  std::map<std::string, Network> networks_;
};

}  // namespace

SKEP_PLUGIN(Bridges, "net-ip", "0.1.0", .config_schema = config_schema);
