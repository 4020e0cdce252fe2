// A network driver in C++: derive from NetworkDriver, override what it does, close with
// SKEP_PLUGIN.
//
// skep/network.h says what each operation must do; the structs here carry the same members, and
// Ipv4Subnet is the arithmetic that every driver for IPv4 needs. What remains the driver's own:
// that create and endpoint_create with the same arguments give the same answer and with others
// SKEP_E_EXISTS, and that its links outlive it: it finds them by names made of the host's ids, so
// that what it no longer remembers can still be taken away.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>

#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "skep/cpp/base.hpp"
#include "skep/network.h"

namespace skep::sdk {

struct NetworkCapabilities {
  std::string scope = "local";
};

struct CreateNetwork {
  std::string network = {};
  std::string name = {};
  std::string subnet = {};  // empty: the driver chooses; so with gateway
  std::string gateway = {};
  std::optional<int64_t> mtu = std::nullopt;
  TextMap options = {};

  bool operator==(const CreateNetwork&) const = default;
};

struct CreatedNetwork {
  json handle = json::object();  // what restore gets back; put a version number into it
  std::string subnet = {};
  std::string gateway = {};
  int64_t mtu = 0;
  std::string device = {};
};

struct CreateEndpoint {
  std::string network = {};
  std::string endpoint = {};
  std::string address = {};  // with a prefix; empty: the driver chooses; so with mac
  std::string mac = {};
};

struct CreatedEndpoint {
  json handle = json::object();
  std::string address = {};
  std::string mac = {};
  std::string gateway = {};
};

struct JoinEndpoint {
  std::string network = {};
  std::string endpoint = {};
  std::string netns = {};
  std::string interface = {};
};

struct LeaveEndpoint {
  std::string network = {};
  std::string endpoint = {};
  std::string netns = {};  // empty: that of join
};

struct ListedNetwork {
  std::string network = {};
  std::string subnet = {};
  std::string gateway = {};
  std::string device = {};
};

struct ListedEndpoint {
  std::string network = {};
  std::string endpoint = {};
  std::string address = {};
  std::string mac = {};
};

struct NetworkList {
  std::vector<ListedNetwork> networks = {};
  std::vector<ListedEndpoint> endpoints = {};
};

struct RestoreNetworkObject {
  std::string id = {};  // a network's or an endpoint's: the handle tells
  json handle = {};     // null when the answer that carried it was lost
};

// The addresses of an IPv4 subnet, as numbers in the machine's order.
struct Ipv4Subnet {
  uint32_t first = 0;  // the subnet's own
  int prefix = 0;

  // "10.1.2.0/24", with a prefix from 8 to 30 and nothing set behind it. Throws SKEP_E_INVALID that
  // names `member`.
  static Ipv4Subnet read(const std::string& text, const std::string& member) {
    const size_t slash = text.find('/');
    const std::string length = slash == std::string::npos ? "" : text.substr(slash + 1);
    const std::optional<uint32_t> address = number_of(text.substr(0, slash));
    Ipv4Subnet subnet;
    if ((length.size() == 1 || length.size() == 2) &&
        length.find_first_not_of("0123456789") == std::string::npos) {
      subnet.prefix = std::stoi(length);
    }
    if (!address || subnet.prefix < 8 || subnet.prefix > 30 ||
        (*address & (subnet.size() - 1)) != 0) {
      throw Failure(SKEP_E_INVALID,
                    "\"" + member + "\" must be an IPv4 subnet with a prefix from 8 to 30");
    }
    subnet.first = *address;
    return subnet;
  }
  static std::optional<uint32_t> number_of(const std::string& address) {
    in_addr number = {};
    if (inet_pton(AF_INET, address.c_str(), &number) != 1) return std::nullopt;
    return ntohl(number.s_addr);
  }
  static std::string text_of(uint32_t address) {
    return std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 255) + "." +
           std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255);
  }

  uint32_t size() const { return uint32_t{1} << (32 - prefix); }
  uint32_t last() const { return first + (size() - 1); }  // the broadcast address
  // Whether a machine may have it.
  bool is_host(uint32_t address) const { return address > first && address < last(); }
  bool overlaps(const Ipv4Subnet& other) const {
    return first <= other.last() && other.first <= last();
  }
  std::string text() const { return text_of(first) + "/" + std::to_string(prefix); }
  // "10.1.2.3/24"
  std::string text_of_host(uint32_t address) const {
    return text_of(address) + "/" + std::to_string(prefix);
  }
};

// A name for an interface, made of an object's id: at most 15 bytes, the same at every start. 300
// ids share one with a chance of 1e-10. `mark` has three letters.
inline std::string interface_name(const char* mark, const std::string& id) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "%.3s%012llx", mark,
                static_cast<unsigned long long>(hash >> 16));
  return name.data();
}

class NetworkDriver : public BaseDriver {
 public:
  static constexpr const char* plugin_interfaces = SKEP_BASE_1 " " SKEP_NETWORK_1;

  virtual NetworkCapabilities capabilities() { return {}; }
  virtual CreatedNetwork create(const CreateNetwork& request) = 0;
  // SKEP_E_NOTFOUND counts as done, here, in endpoint_remove and in leave.
  virtual void remove(const std::string& network) = 0;
  virtual CreatedEndpoint endpoint_create(const CreateEndpoint& request) = 0;
  virtual void endpoint_remove(const std::string& network, const std::string& endpoint) = 0;
  // The name of the interface in the namespace.
  virtual std::string join(const JoinEndpoint& request) = 0;
  virtual void leave(const LeaveEndpoint& request) = 0;
  // What in the kernel is not as it should be, as sentences.
  virtual std::vector<std::string> check(const std::string& network,
                                         const std::string& endpoint) = 0;
  virtual NetworkList list() = 0;
  // After a start, for each object that the host knows, networks before their endpoints.
  // SKEP_E_NOTFOUND if it is gone.
  virtual void restore(const RestoreNetworkObject& request) = 0;

  template <class D>
  static const void* table_of(std::string_view id) {
    if (id == SKEP_BASE_1) return base_table<D>();
    return id == SKEP_NETWORK_1 ? &network_table : nullptr;
  }

 private:
  using Me = NetworkDriver;
  static const skep_network_1 network_table;

  json capabilities_document() override { return {{"scope", capabilities().scope}}; }
  void restore_object(const Members& object) override {
    restore({object.id("id"), object.any("handle")});
  }

  json call_create(const json& document) {
    check_in_service();
    const Members members(document);
    CreateNetwork request = {members.id("network"), members.text("name"),
                             members.text("subnet", ""), members.text("gateway", "")};
    if (members.has("mtu")) request.mtu = members.integer_within("mtu", 68, 65535);
    request.options = members.text_map("options");
    const CreatedNetwork created = create(request);
    return {{"handle", created.handle},
            {"subnet", created.subnet},
            {"gateway", created.gateway},
            {"mtu", created.mtu},
            {"device", created.device}};
  }
  json call_remove(const json& document) {
    check_in_service();
    const std::string network = Members(document).id("network");
    absent_is_done([&] { remove(network); });
    return json::object();
  }
  json call_endpoint_create(const json& document) {
    check_in_service();
    const Members members(document);
    const CreatedEndpoint created =
        endpoint_create({members.id("network"), members.id("endpoint"), members.text("address", ""),
                         members.text("mac", "")});
    return {{"handle", created.handle},
            {"address", created.address},
            {"mac", created.mac},
            {"gateway", created.gateway}};
  }
  json call_endpoint_remove(const json& document) {
    check_in_service();
    const Members members(document);
    const std::string network = members.id("network");
    const std::string endpoint = members.id("endpoint");
    absent_is_done([&] { endpoint_remove(network, endpoint); });
    return json::object();
  }
  json call_join(const json& document) {
    check_in_service();
    const Members members(document);
    const JoinEndpoint request = {members.id("network"), members.id("endpoint"),
                                  members.text("netns"), members.text("interface")};
    if (!request.netns.starts_with('/')) {
      throw Failure(SKEP_E_INVALID, "\"netns\" must be an absolute path");
    }
    if (request.interface.empty() || request.interface.size() > 15 || request.interface == "." ||
        request.interface == ".." ||
        request.interface.find_first_of("/: \t\n") != std::string::npos) {
      throw Failure(SKEP_E_INVALID,
                    "\"interface\" must be a name of 1 to 15 bytes for an interface");
    }
    return {{"interface", join(request)}};
  }
  json call_leave(const json& document) {
    check_in_service();
    const Members members(document);
    const LeaveEndpoint request = {members.id("network"), members.id("endpoint"),
                                   members.text("netns", "")};
    absent_is_done([&] { leave(request); });
    return json::object();
  }
  json call_check(const json& document) {
    check_in_service();
    const Members members(document);
    const std::string network = members.id("network");
    return {{"drift", check(network, members.id("endpoint"))}};
  }
  json call_list(const json&) {
    check_in_service();
    const NetworkList all = list();
    json reply = {{"networks", json::array()}, {"endpoints", json::array()}};
    for (const ListedNetwork& one : all.networks) {
      reply["networks"].push_back({{"network", one.network},
                                   {"subnet", one.subnet},
                                   {"gateway", one.gateway},
                                   {"device", one.device}});
    }
    for (const ListedEndpoint& one : all.endpoints) {
      reply["endpoints"].push_back({{"network", one.network},
                                    {"endpoint", one.endpoint},
                                    {"address", one.address},
                                    {"mac", one.mac}});
    }
    return reply;
  }
};

inline const skep_network_1 NetworkDriver::network_table = {sizeof(skep_network_1),
                                                            0,
                                                            op<&Me::call_create>,
                                                            op<&Me::call_remove>,
                                                            op<&Me::call_endpoint_create>,
                                                            op<&Me::call_endpoint_remove>,
                                                            op<&Me::call_join>,
                                                            op<&Me::call_leave>,
                                                            op<&Me::call_check>,
                                                            op<&Me::call_list>};

}  // namespace skep::sdk
