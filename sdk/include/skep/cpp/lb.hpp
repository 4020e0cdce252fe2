// A load balancer driver in C++: derive from BalancerDriver, override what it does, close with
// SKEP_PLUGIN.
//
// skep/lb.h says what each operation must do; the structs here carry the same members. What is done
// for the driver: the requests are checked entry by entry (a port from 1 to 65535, a protocol, a
// policy), and Apply::step() decides by the generations what an apply means, so that no driver
// decides it otherwise. What remains its own: that entries which did not change are not touched,
// add before remove, and that its state in the kernel is adopted after a restart.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/cpp/base.hpp"
#include "skep/lb.h"

namespace skep::sdk {

struct BalancerCapabilities {
  bool ingress = false;
  bool east_west = false;
  std::vector<std::string> protocols = {"tcp"};
  bool ipv6 = false;
  bool weights = false;
  bool affinity = false;
  bool keep_source = false;
  bool draining = false;
  bool connection_count = false;
  bool needs_fabric = false;
  std::optional<int64_t> max_backends = std::nullopt;
};

struct LbEndpoint {
  std::string scope = {};
  std::string endpoint = {};
  std::string netns = {};  // empty when not told, as cgroup and mac
  std::string cgroup = {};
  std::optional<int64_t> ifindex = std::nullopt;
  std::vector<std::string> addresses = {};
  std::string mac = {};

  bool operator==(const LbEndpoint&) const = default;
};

struct LbPort {
  std::string protocol = {};
  int64_t published = 0;
  int64_t target = 0;
  std::string mode = "ingress";

  bool operator==(const LbPort&) const = default;
};

struct LbBackend {
  std::string task = {};
  std::string address = {};
  std::optional<int64_t> port = std::nullopt;  // the target port when not told
  std::string node = {};
  int64_t weight = 1;
  bool draining = false;

  bool operator==(const LbBackend&) const = default;
};

struct LbService {
  std::string service = {};
  std::vector<std::string> vips = {};
  std::vector<LbPort> ports = {};
  std::string policy = "maglev";
  int64_t affinity_s = 0;
  std::vector<LbBackend> backends = {};

  bool operator==(const LbService&) const = default;
};

struct LbApply {
  std::string scope = {};
  int64_t base_generation = 0;
  int64_t generation = 0;
  std::vector<LbService> upsert = {};
  std::vector<std::string> remove = {};

  enum class Step {
    nothing,  // it is old, or there already
    replace,  // what is in force and not in upsert goes
    change,   // upsert and remove, the rest stays
  };
  // What this apply means where `present` is in force (0: nothing ever was). Throws
  // SKEP_E_PRECONDITION when it builds on a state that is not there; the host then sends the full
  // one.
  Step step(int64_t present) const {
    if (generation <= present) return Step::nothing;
    if (base_generation == 0) return Step::replace;
    if (base_generation == present) return Step::change;
    throw Failure(SKEP_E_PRECONDITION, "scope " + scope + " is at generation " +
                                           std::to_string(present) + ", not " +
                                           std::to_string(base_generation));
  }
};

struct LbFailedService {
  std::string service = {};
  std::string reason = {};
};

// What apply throws when some services are not in force and the others are.
inline Failure some_services_failed(const std::vector<LbFailedService>& services) {
  json failed = json::array();
  for (const LbFailedService& one : services) {
    failed.push_back({{"service", one.service}, {"reason", one.reason}});
  }
  const std::string first = services.empty() ? "" : ": " + services.front().reason;
  return Failure(SKEP_E_INTERNAL, std::to_string(services.size()) + " services failed" + first,
                 {{"failed", std::move(failed)}});
}

struct LbState {
  int64_t generation = 0;
  std::vector<LbService> services = {};
};

struct LbServiceStats {
  std::string service = {};
  std::optional<int64_t> packets = std::nullopt;
  std::optional<int64_t> bytes = std::nullopt;
  std::optional<int64_t> connections = std::nullopt;
};

struct LbConnections {
  std::string scope = {};
  std::string service = {};
  std::string task = {};  // empty: all of the service
};

class BalancerDriver : public BaseDriver {
 public:
  static constexpr const char* plugin_interfaces = SKEP_BASE_1 " " SKEP_LB_1;

  virtual BalancerCapabilities capabilities() = 0;
  virtual void endpoint_attach(const LbEndpoint& endpoint) = 0;
  virtual void endpoint_detach(const std::string& scope, const std::string& endpoint) = 0;
  // Gives the generation in force now. See LbApply::step and some_services_failed.
  virtual int64_t apply(const LbApply& request) = 0;
  // How many flows to this backend were ended.
  virtual int64_t cut(const std::string& scope, const std::string& task) = 0;
  // Optional (capability connection_count).
  virtual int64_t connections(const LbConnections&) {
    throw Failure(SKEP_E_UNIMPLEMENTED, "this driver does not count connections");
  }
  // What is in force, read from where it acts. SKEP_E_NOTFOUND when nothing was ever applied.
  virtual LbState in_force(const std::string& scope) = 0;
  // Where what is in force differs from what was applied, as sentences.
  virtual std::vector<std::string> check(const std::string& scope) = 0;
  virtual std::vector<LbServiceStats> stats(const std::string& scope) = 0;
  // SKEP_E_NOTFOUND counts as done, here and in endpoint_detach.
  virtual void release(const std::string& scope) = 0;
  // After a start, for each scope that the host knows; the full state follows as an apply.
  virtual void restore(const std::string& scope) { (void)scope; }

  template <class D>
  static const void* table_of(std::string_view id) {
    if (id == SKEP_BASE_1) return base_table<D>();
    return id == SKEP_LB_1 ? &lb_table : nullptr;
  }

 private:
  using Me = BalancerDriver;
  static const skep_lb_1 lb_table;

  json capabilities_document() override {
    const BalancerCapabilities has = capabilities();
    json document = {{"ingress", has.ingress},
                     {"east_west", has.east_west},
                     {"protocols", has.protocols},
                     {"ipv6", has.ipv6},
                     {"weights", has.weights},
                     {"affinity", has.affinity},
                     {"keep_source", has.keep_source},
                     {"draining", has.draining},
                     {"connection_count", has.connection_count},
                     {"needs_fabric", has.needs_fabric}};
    if (has.max_backends) document["max_backends"] = *has.max_backends;
    return document;
  }
  void restore_object(const Members& object) override { restore(object.id("id")); }

  // ---- requests ----
  static std::string one_of(const Members& members, std::string_view name,
                            std::initializer_list<std::string_view> words,
                            std::string_view fallback) {
    std::string word = fallback.empty() ? members.text(name) : members.text(name, fallback);
    if (std::find(words.begin(), words.end(), word) != words.end()) return word;
    std::string known;
    for (const std::string_view one : words) {
      known += (known.empty() ? "\"" : ", \"") + std::string(one) + "\"";
    }
    throw Failure(SKEP_E_INVALID, "\"" + members.path_to(name) + "\" must be one of " + known);
  }
  // An IP address or, with_prefix, an address and the length of its network.
  static std::string checked_address(const std::string& text, const std::string& path,
                                     bool with_prefix) {
    const size_t slash = with_prefix ? text.find('/') : std::string::npos;
    const std::string address = text.substr(0, slash);
    in6_addr ignored = {};
    const bool v4 = inet_pton(AF_INET, address.c_str(), &ignored) == 1;
    bool fine = v4 || inet_pton(AF_INET6, address.c_str(), &ignored) == 1;
    if (with_prefix) {
      const std::string prefix = slash == std::string::npos ? "" : text.substr(slash + 1);
      fine = fine && !prefix.empty() && prefix.size() <= 3 &&
             prefix.find_first_not_of("0123456789") == std::string::npos &&
             std::stoi(prefix) <= (v4 ? 32 : 128);
    }
    if (fine) return text;
    throw Failure(SKEP_E_INVALID,
                  "\"" + path + "\" must be an IP address" + (with_prefix ? " with a prefix" : ""));
  }
  static std::vector<std::string> addresses(const Members& members, std::string_view name,
                                            bool with_prefix) {
    std::vector<std::string> list = members.texts(name);
    for (const std::string& one : list) checked_address(one, members.path_to(name), with_prefix);
    return list;
  }
  static LbPort read_port(const Members& members) {
    return {one_of(members, "protocol", {"tcp", "udp", "sctp"}, ""),
            members.integer_within("published", 1, 65535),
            members.integer_within("target", 1, 65535),
            one_of(members, "mode", {"ingress", "host"}, "ingress")};
  }
  static LbBackend read_backend(const Members& members) {
    LbBackend backend = {
        members.id("task"),
        checked_address(members.text("address"), members.path_to("address"), false), std::nullopt,
        members.text("node", "")};
    if (members.has("port")) backend.port = members.integer_within("port", 1, 65535);
    backend.weight = members.integer_within("weight", 1, 0, most);
    backend.draining = one_of(members, "state", {"active", "draining"}, "active") == "draining";
    return backend;
  }
  static LbService read_service(const Members& members) {
    members.with({"ports", "backends"});
    return {members.id("service"),
            addresses(members, "vips", false),
            members.objects("ports", read_port),
            one_of(members, "policy", {"maglev", "rr", "wrr"}, "maglev"),
            members.integer_within("affinity_s", 0, 0, most),
            members.objects("backends", read_backend)};
  }

  // ---- replies ----
  static json document_of(const LbService& service) {
    json ports = json::array();
    for (const LbPort& port : service.ports) {
      ports.push_back({{"protocol", port.protocol},
                       {"published", port.published},
                       {"target", port.target},
                       {"mode", port.mode}});
    }
    json backends = json::array();
    for (const LbBackend& backend : service.backends) {
      json entry = {{"task", backend.task},
                    {"address", backend.address},
                    {"weight", backend.weight},
                    {"state", backend.draining ? "draining" : "active"}};
      if (backend.port) entry["port"] = *backend.port;
      if (!backend.node.empty()) entry["node"] = backend.node;
      backends.push_back(std::move(entry));
    }
    return {{"service", service.service},       {"vips", service.vips},
            {"ports", std::move(ports)},        {"policy", service.policy},
            {"affinity_s", service.affinity_s}, {"backends", std::move(backends)}};
  }

  // ---- operations ----
  json call_attach(const json& document) {
    check_in_service();
    const Members members(document);
    LbEndpoint endpoint = {members.id("scope"), members.id("endpoint"), members.text("netns", ""),
                           members.text("cgroup", "")};
    if (members.has("ifindex")) endpoint.ifindex = members.integer_within("ifindex", 1, most);
    endpoint.addresses = addresses(members.with({"addresses"}), "addresses", true);
    endpoint.mac = members.text("mac", "");
    endpoint_attach(endpoint);
    return json::object();
  }
  json call_detach(const json& document) {
    check_in_service();
    const Members members(document);
    const std::string scope = members.id("scope");
    const std::string endpoint = members.id("endpoint");
    absent_is_done([&] { endpoint_detach(scope, endpoint); });
    return json::object();
  }
  json call_apply(const json& document) {
    check_in_service();
    const Members members(document);
    LbApply request = {members.id("scope"), members.integer_within("base_generation", 0, most),
                       members.integer_within("generation", 1, most),
                       members.objects("upsert", read_service), members.ids("remove")};
    return {{"generation", apply(request)}};
  }
  json call_cut(const json& document) {
    check_in_service();
    const Members members(document);
    const std::string scope = members.id("scope");
    return {{"cut", cut(scope, members.id("task"))}};
  }
  json call_connections(const json& document) {
    check_in_service();
    const Members members(document);
    return {{"connections",
             connections({members.id("scope"), members.id("service"), members.text("task", "")})}};
  }
  json call_dump(const json& document) {
    check_in_service();
    const LbState state = in_force(Members(document).id("scope"));
    json services = json::array();
    for (const LbService& service : state.services) services.push_back(document_of(service));
    return {{"generation", state.generation}, {"services", std::move(services)}};
  }
  json call_check(const json& document) {
    check_in_service();
    return {{"drift", check(Members(document).id("scope"))}};
  }
  json call_stats(const json& document) {
    check_in_service();
    json services = json::array();
    for (const LbServiceStats& one : stats(Members(document).id("scope"))) {
      json entry = {{"service", one.service}};
      if (one.packets) entry["packets"] = *one.packets;
      if (one.bytes) entry["bytes"] = *one.bytes;
      if (one.connections) entry["connections"] = *one.connections;
      services.push_back(std::move(entry));
    }
    return {{"services", std::move(services)}};
  }
  json call_release(const json& document) {
    check_in_service();
    const std::string scope = Members(document).id("scope");
    absent_is_done([&] { release(scope); });
    return json::object();
  }

  static constexpr int64_t most = std::numeric_limits<int64_t>::max();
};

inline const skep_lb_1 BalancerDriver::lb_table = {sizeof(skep_lb_1),         0,
                                                   op<&Me::call_attach>,      op<&Me::call_detach>,
                                                   op<&Me::call_apply>,       op<&Me::call_cut>,
                                                   op<&Me::call_connections>, op<&Me::call_dump>,
                                                   op<&Me::call_check>,       op<&Me::call_stats>,
                                                   op<&Me::call_release>};

}  // namespace skep::sdk
