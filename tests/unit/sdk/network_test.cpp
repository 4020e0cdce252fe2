// What network.hpp gives every network driver: the arithmetic of subnets, names for interfaces,
// requests that are checked, and absence that is done.
// SPDX-License-Identifier: Apache-2.0
#include "skep/cpp/network.hpp"

#include <set>

#include "tests/unit/sdk/fake_host.hpp"

namespace skep::sdk::test {
namespace {

class Nowhere final : public NetworkDriver {
 public:
  CreatedNetwork create(const CreateNetwork& request) override {
    CreatedNetwork created;
    created.mtu = request.mtu.value_or(1500);
    return created;
  }
  void remove(const std::string& id) override { gone(id); }
  CreatedEndpoint endpoint_create(const CreateEndpoint& request) override { gone(request.network); }
  void endpoint_remove(const std::string&, const std::string& id) override { gone(id); }
  std::string join(const JoinEndpoint& request) override { return request.interface; }
  void leave(const LeaveEndpoint& request) override { gone(request.endpoint); }
  std::vector<std::string> check(const std::string&, const std::string& id) override { gone(id); }
  NetworkList list() override { return {}; }
  void restore(const RestoreNetworkObject& request) override { gone(request.id); }

 private:
  [[noreturn]] static void gone(const std::string& id) {
    throw Failure(SKEP_E_NOTFOUND, "there is no " + id);
  }
};

struct Networks : HostOf<Nowhere> {
  Networks() { REQUIRE(configure().status == SKEP_OK); }
  Outcome network(skep_call skep_network_1::*member, const json& request) {
    return call(table<skep_network_1>(SKEP_NETWORK_1).*member, request.dump());
  }
};

}  // namespace

TEST_CASE("a subnet is read, or refused by its member's name") {
  const Ipv4Subnet subnet = Ipv4Subnet::read("10.1.2.0/29", "subnet");
  CHECK(subnet.text() == "10.1.2.0/29");
  CHECK(subnet.size() == 8);
  CHECK(Ipv4Subnet::text_of(subnet.last()) == "10.1.2.7");
  CHECK(subnet.text_of_host(subnet.first + 3) == "10.1.2.3/29");
  CHECK(subnet.is_host(subnet.first + 1));
  CHECK_FALSE(subnet.is_host(subnet.first));
  CHECK_FALSE(subnet.is_host(subnet.last()));
  CHECK(subnet.overlaps(Ipv4Subnet::read("10.1.0.0/16", "s")));
  CHECK(Ipv4Subnet::read("10.1.0.0/16", "s").overlaps(subnet));
  CHECK_FALSE(subnet.overlaps(Ipv4Subnet::read("10.1.2.8/29", "s")));
  for (const char* wrong : {"", "10.1.2.0", "10.1.2.0/", "10.1.2.1/29", "10.1.2.0/31", "10.0.0.0/7",
                            "10.1.2.0/2x", "10.1.2/24", "fd00::/64", "10.1.2.0/029"}) {
    CHECK_THROWS_WITH(Ipv4Subnet::read(wrong, "subnet"), Catch::StartsWith("\"subnet\" must be"));
  }
}

TEST_CASE("an interface's name fits the kernel, and is the same for the same id only") {
  std::set<std::string> names;
  for (int i = 0; i < 1000; ++i)
    names.insert(interface_name("prt", "endpoint-" + std::to_string(i)));
  CHECK(names.size() == 1000);
  for (const std::string& name : names) REQUIRE(name.size() == 15);
  CHECK(interface_name("prt", "a") == interface_name("prt", "a"));
  CHECK(interface_name("bri", "a") != interface_name("prt", "a"));
}

TEST_CASE("a network's requests are checked before the driver, and absence is done") {
  Networks host;
  const json create = {{"network", "n"}, {"name", "mine"}, {"mtu", 1400}};
  CHECK(host.network(&skep_network_1::create, create).reply.at("mtu") == 1400);
  CHECK(
      host.network(&skep_network_1::create, {{"network", "n"}, {"name", "m"}, {"mtu", 67}}).error ==
      "\"mtu\" must be from 68 to 65535");
  json join = {{"network", "n"}, {"endpoint", "e"}, {"netns", "/n"}, {"interface", "eth0"}};
  CHECK(host.network(&skep_network_1::join, join).reply == json{{"interface", "eth0"}});
  join["interface"] = "a/b";
  CHECK(host.network(&skep_network_1::join, join).status == SKEP_E_INVALID);
  join["netns"] = "n";
  CHECK(host.network(&skep_network_1::join, join).error == "\"netns\" must be an absolute path");
  const json endpoint = {{"network", "n"}, {"endpoint", "e"}};
  CHECK(host.network(&skep_network_1::remove, endpoint).status == SKEP_OK);
  CHECK(host.network(&skep_network_1::endpoint_remove, endpoint).status == SKEP_OK);
  CHECK(host.network(&skep_network_1::leave, endpoint).status == SKEP_OK);
  CHECK(host.network(&skep_network_1::check, endpoint).status == SKEP_E_NOTFOUND);
  CHECK(host.network(&skep_network_1::endpoint_create, endpoint).status == SKEP_E_NOTFOUND);
  CHECK(host.base(&skep_base_1::restore, {{"id", "n"}, {"handle", nullptr}}).status ==
        SKEP_E_NOTFOUND);
}

}  // namespace skep::sdk::test
