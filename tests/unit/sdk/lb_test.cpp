// Load balancers: what the wrapper reads and refuses, and lb-null, the example that keeps the whole
// of the contract about generations.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/examples/lb-null/driver.cpp"
#include "tests/unit/sdk/fake_host.hpp"

namespace skep::sdk::test {
namespace {

struct Balancer : HostOf<NullBalancer> {
  Balancer() { REQUIRE(configure({{"max_backends", 2}}).status == SKEP_OK); }

  static json service(const std::string& id, int backends = 1) {
    json list = json::array();
    for (int i = 0; i < backends; ++i) {
      list.push_back(
          {{"task", "t" + std::to_string(i)}, {"address", "10.0.0." + std::to_string(i)}});
    }
    return {{"service", id},
            {"ports", {{{"protocol", "tcp"}, {"published", 80}, {"target", 8080}}}},
            {"backends", list}};
  }
  Outcome apply(int64_t base, int64_t generation, const json& upsert,
                const std::vector<std::string>& remove = {}) {
    return lb(&skep_lb_1::apply, {{"scope", "ingress"},
                                  {"base_generation", base},
                                  {"generation", generation},
                                  {"upsert", upsert},
                                  {"remove", remove}});
  }
  std::vector<std::string> in_force() {
    std::vector<std::string> ids;
    const Outcome dumped = lb(&skep_lb_1::dump, {{"scope", "ingress"}});
    for (const json& one : dumped.reply.at("services")) {
      ids.push_back(one.at("service"));
    }
    return ids;
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("an apply moves a scope from its generation to the next, and only from there") {
  Balancer host;
  CHECK(host.lb(&skep_lb_1::dump, {{"scope", "ingress"}}).status == SKEP_E_NOTFOUND);
  CHECK(host.apply(0, 5, json::array({Balancer::service("a"), Balancer::service("b")}))
            .reply.at("generation") == 5);
  CHECK(host.in_force() == Names{"a", "b"});

  SECTION("a change leaves the rest alone") {
    CHECK(host.apply(5, 6, json::array({Balancer::service("c")}), {"a", "unknown"}).status ==
          SKEP_OK);
    CHECK(host.in_force() == Names{"b", "c"});
  }
  SECTION("a change of another base is refused, and changes nothing") {
    CHECK(host.apply(4, 7, json::array({Balancer::service("c")})).status == SKEP_E_PRECONDITION);
    CHECK(host.in_force() == Names{"a", "b"});
  }
  SECTION("what is not newer succeeds, changes nothing, and tells what is in force") {
    CHECK(host.apply(0, 5, json::array({Balancer::service("c")})).reply.at("generation") == 5);
    CHECK(host.apply(3, 4, json::array({Balancer::service("c")})).reply.at("generation") == 5);
    CHECK(host.in_force() == Names{"a", "b"});
  }
  SECTION("a full state replaces") {
    CHECK(host.apply(0, 9, json::array({Balancer::service("c")})).status == SKEP_OK);
    CHECK(host.in_force() == Names{"c"});
  }
  SECTION("some fail: they are named, the others are in force, the generation is not") {
    const auto outcome =
        host.apply(5, 6, json::array({Balancer::service("c"), Balancer::service("d", 3)}));
    CHECK(outcome.status == SKEP_E_INTERNAL);
    CHECK(outcome.reply.at("failed").at(0).at("service") == "d");
    CHECK(host.in_force() == Names{"a", "b", "c"});
    CHECK(host.apply(5, 7, json::array({Balancer::service("d", 2)})).reply.at("generation") == 7);
  }
  SECTION("release takes all away, once and again") {
    CHECK(host.lb(&skep_lb_1::release, {{"scope", "ingress"}}).status == SKEP_OK);
    CHECK(host.lb(&skep_lb_1::release, {{"scope", "ingress"}}).status == SKEP_OK);
    CHECK(host.lb(&skep_lb_1::dump, {{"scope", "ingress"}}).status == SKEP_E_NOTFOUND);
    CHECK(host.apply(0, 1, json::array({Balancer::service("a")})).status == SKEP_OK);
  }
}

TEST_CASE("an endpoint is attached once, and otherwise is refused") {
  Balancer host;
  json request = {{"scope", "net"}, {"endpoint", "e"}, {"addresses", {"10.0.0.2/24"}}};
  CHECK(host.lb(&skep_lb_1::endpoint_attach, request).status == SKEP_OK);
  CHECK(host.lb(&skep_lb_1::endpoint_attach, request).status == SKEP_OK);
  request["ifindex"] = 7;
  CHECK(host.lb(&skep_lb_1::endpoint_attach, request).status == SKEP_E_EXISTS);
  CHECK(host.lb(&skep_lb_1::endpoint_detach, request).status == SKEP_OK);
  CHECK(host.lb(&skep_lb_1::endpoint_detach, request).status == SKEP_OK);
  CHECK(host.lb(&skep_lb_1::endpoint_attach, request).status == SKEP_OK);
}

TEST_CASE("an entry that is wrong is named by its place, and nothing is applied") {
  Balancer host;
  const auto refusal = [&](const char* pointer, const json& value) {
    json service = Balancer::service("a", 2);
    service[json::json_pointer(pointer)] = value;
    const auto outcome = host.apply(0, 1, json::array({Balancer::service("b"), service}));
    CHECK(outcome.status == SKEP_E_INVALID);
    return outcome.error;
  };
  CHECK(refusal("/ports/0/published", 0) ==
        "\"upsert[1].ports[0].published\" must be from 1 to 65535");
  CHECK(refusal("/ports/0/protocol", "icmp") ==
        "\"upsert[1].ports[0].protocol\" must be one of \"tcp\", \"udp\", \"sctp\"");
  CHECK(refusal("/backends/1/address", "localhost") ==
        "\"upsert[1].backends[1].address\" must be an IP address");
  CHECK(refusal("/backends/1/task", nullptr) == "\"upsert[1].backends[1].task\" is missing");
  CHECK(refusal("/backends", nullptr) == "\"upsert[1].backends\" is missing");
  CHECK(refusal("/vips", {"10.0.0.1/24"}) == "\"upsert[1].vips\" must be an IP address");
  CHECK(host.lb(&skep_lb_1::dump, {{"scope", "ingress"}}).status == SKEP_E_NOTFOUND);
  json endpoint = {{"scope", "net"}, {"endpoint", "e"}, {"addresses", {"10.0.0.2/33"}}};
  CHECK(host.lb(&skep_lb_1::endpoint_attach, endpoint).error ==
        "\"addresses\" must be an IP address with a prefix");
}

}  // namespace skep::sdk::test
