// net-bridge, driven as skepd drives it, in namespaces of its own.
//
// The test's thread enters the node's namespace before it opens the plugin, because the driver
// works in the namespace of whoever loaded it. Without root everything is skipped, and says so.
// SPDX-License-Identifier: Apache-2.0
#define CATCH_CONFIG_RUNNER
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/drivers/network_driver.hpp"
#include "daemon/drivers/plugin.hpp"
#include "sdk/schema/documents.hpp"
#include "tests/integration/net_bridge/namespaces.hpp"

namespace {

namespace asio = boost::asio;
using nlohmann::json;
using skep::ErrorKind;
using skep::Result;
using skep::Status;
using skep::drivers::NetworkDriver;
using skep::drivers::Plugin;
using skep::test::Inside;
using skep::test::NamedNamespace;

// A plugin, its loop, and coroutines run to their end one at a time.
class Host {
 public:
  explicit Host(const std::string& config, const std::string& name = "net-bridge") {
    char folder[] = "/tmp/net-bridge-test-XXXXXX";
    REQUIRE(mkdtemp(folder) != nullptr);
    folder_ = folder;
    skep::drivers::PluginConfig plugin;
    plugin.name = name;
    plugin.path = SKEP_TEST_NET_BRIDGE;
    plugin.config = config;
    plugin.isolation = skep::drivers::Isolation::in_process;
    plugin.shipped = true;
    skep::drivers::PluginPlace place;
    place.run_dir = folder_ + "/run";
    place.data_dir = folder_ + "/data";
    place.node = "node";
    auto opened = run(Plugin::open(plugin, place));
    if (!opened) FAIL(opened.error().message);
    plugin_ = std::move(*opened);
    driver_ = std::make_unique<NetworkDriver>(*plugin_);
  }
  ~Host() {
    driver_.reset();
    plugin_.reset();
    if (std::system(("rm -r " + folder_).c_str()) != 0) std::cerr << folder_ << " stays\n";
  }

  template <class T>
  T run(asio::awaitable<T> work) {
    std::optional<T> result;
    asio::co_spawn(loop_, std::move(work), [&](std::exception_ptr error, T value) {
      if (error) std::rethrow_exception(error);
      result = std::move(value);
    });
    loop_.restart();
    loop_.run();
    return std::move(*result);
  }

  NetworkDriver& driver() { return *driver_; }
  asio::io_context& loop() { return loop_; }

  // One operation by its documents; both must fit the published schemas. The reply.
  json ask(const skep::host::Operation& operation, const std::string& request) {
    const std::string name = std::string(operation.interface) + " " + std::string(operation.name);
    hold_against_schema(operation, skep::schema::Part::request, request);
    const auto reply = run(plugin_->call(operation, std::string(), request, {}));
    if (!reply) FAIL(name << ": " << reply.error().message);
    hold_against_schema(operation, skep::schema::Part::reply, *reply);
    return json::parse(*reply);
  }
  void hold_against_schema(const skep::host::Operation& operation, skep::schema::Part part,
                           const std::string& document) {
    static const auto documents = skep::schema::Documents::load();
    REQUIRE(documents);
    const Status fits = documents->check(operation.interface, operation.name, part, document);
    INFO(document);
    CHECK((fits ? std::string() : fits.error().message) == "");
  }

  void create() {
    const auto made = run(driver().create({"net1", "bridge", "", "", 0, {}}));
    if (!made) FAIL(made.error().message);
  }
  // What is known of the network and one endpoint, which are to be all.
  void restore(const std::string& network_handle, const std::string& endpoint_handle) {
    const skep::drivers::RestoreSource source = [&] {
      skep::drivers::RestorePlan plan;
      plan.objects = {{"net1", network_handle}, {"e1", endpoint_handle}};
      plan.ids = {"net1", "e1"};
      plan.told = [](const std::string& id, const Status& outcome) {
        if (!outcome) FAIL(id << ": " << outcome.error().message);
      };
      return plan;
    };
    REQUIRE(run(driver().restore_from(source)).has_value());
    driver().forget_source();
  }
  // Endpoint and interface, as the agent does it.
  std::string attach(const std::string& endpoint, const NamedNamespace& container) {
    const auto made = run(driver().endpoint_create({"net1", endpoint, "", ""}));
    if (!made) FAIL(made.error().message);
    const auto joined = run(driver().join({"net1", endpoint, container.path()}));
    if (!joined) FAIL(joined.error().message);
    return made->address.substr(0, made->address.find('/'));
  }

 private:
  std::string folder_;
  asio::io_context loop_;
  std::unique_ptr<Plugin> plugin_;
  std::unique_ptr<NetworkDriver> driver_;
};

#define NETWORK(field) SKEP_OPERATION(SKEP_NETWORK_1, skep_network_1, field)
#define BASE(field) SKEP_OPERATION(SKEP_BASE_1, skep_base_1, field)

constexpr const char* usual_config =
    R"({"subnet": "172.31.5.0/24", "bridge": "skep0", "mtu": 1400})";

bool reaches(const NamedNamespace& from, const std::string& address) {
  return from.run("busybox ping -c 1 -W 3 " + address);
}

// Sends one datagram and tells from which address it arrived; empty when none did within 3 s.
std::string datagram_source(const NamedNamespace& from, const NamedNamespace& to,
                            const std::string& address) {
  sockaddr_in target{};
  target.sin_family = AF_INET;
  inet_pton(AF_INET, address.c_str(), &target.sin_addr);
  int receiver = -1;
  {
    const Inside there(to);
    receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(receiver, reinterpret_cast<sockaddr*>(&target), sizeof target) == 0);
    socklen_t length = sizeof target;
    REQUIRE(getsockname(receiver, reinterpret_cast<sockaddr*>(&target), &length) == 0);
  }
  const timeval patience{3, 0};
  REQUIRE(setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  {
    const Inside there(from);
    const int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(sendto(sender, "x", 1, 0, reinterpret_cast<sockaddr*>(&target), sizeof target) == 1);
    close(sender);
  }
  sockaddr_in source{};
  socklen_t length = sizeof source;
  char byte = 0;
  const ssize_t count =
      recvfrom(receiver, &byte, 1, 0, reinterpret_cast<sockaddr*>(&source), &length);
  close(receiver);
  char text[INET_ADDRSTRLEN] = "";
  if (count == 1) inet_ntop(AF_INET, &source.sin_addr, text, sizeof text);
  return text;
}

}  // namespace

TEST_CASE("containers reach each other and the gateway") {
  NamedNamespace node("node"), one("one"), two("two");
  const Inside inside(node);
  Host host(usual_config);
  host.create();
  const std::string first = host.attach("e1", one);
  const std::string second = host.attach("e2", two);
  CHECK(first == "172.31.5.2");
  CHECK(second == "172.31.5.3");
  CHECK(reaches(one, second));
  CHECK(reaches(two, first));
  CHECK(reaches(one, "172.31.5.1"));
  CHECK(reaches(one, "127.0.0.1"));
  std::string link;
  CHECK(one.run("ip link show eth0", &link));
  CHECK(link.find("02:42:ac:1f:05:02") != std::string::npos);
  CHECK(link.find("mtu 1400") != std::string::npos);
  CHECK(host.run(host.driver().check("net1", "e1")).value().empty());
  // Taking the port down is drift, and it is named.
  CHECK(node.run("ip link set skep0 down"));
  CHECK(host.run(host.driver().check("net1", "e1")).value().size() == 1);
}

TEST_CASE("every document of the driver is what the schemas say") {
  NamedNamespace node("node"), container("one");
  const Inside inside(node);
  Host host(usual_config);
  const json made = host.ask(NETWORK(create), R"({"network":"net1","name":"bridge"})");
  CHECK(made.at("subnet") == "172.31.5.0/24");
  const std::string endpoint = R"({"network":"net1","endpoint":"e1"})";
  host.ask(NETWORK(endpoint_create), endpoint);
  host.ask(NETWORK(join), R"({"network":"net1","endpoint":"e1","interface":"eth0","netns":")" +
                              container.path() + "\"}");
  CHECK(host.ask(NETWORK(check), endpoint).at("drift").empty());
  CHECK(host.ask(NETWORK(list), "{}").at("endpoints").size() == 1);
  host.ask(BASE(capabilities), "{}");
  CHECK(host.ask(BASE(probe), "{}").at("state") == "ready");
  host.ask(BASE(dump), "{}");
  host.ask(NETWORK(leave), endpoint);
  host.ask(NETWORK(endpoint_remove), endpoint);
  host.ask(NETWORK(remove), R"({"network":"net1"})");
  host.ask(BASE(restore_done), R"({"ids":[]})");
  host.ask(BASE(drain), "{}");
  host.ask(BASE(shutdown), "{}");
}

TEST_CASE("joining again changes nothing, and joining elsewhere moves the interface") {
  NamedNamespace node("node"), one("one"), two("two");
  const Inside inside(node);
  Host host(usual_config);
  host.create();
  host.create();
  CHECK(host.attach("e1", one) == "172.31.5.2");
  CHECK(host.attach("e1", one) == "172.31.5.2");
  CHECK(reaches(one, "172.31.5.1"));
  CHECK(host.attach("e1", two) == "172.31.5.2");
  CHECK(reaches(two, "172.31.5.1"));
  CHECK_FALSE(one.run("ip link show eth0"));
  // An interface that is not ours is in the way: an error, and nothing of ours is left.
  NamedNamespace taken("taken");
  CHECK(taken.run("ip link add eth0 type veth peer name other"));
  CHECK(host.run(host.driver().endpoint_create({"net1", "e2", "", ""})).has_value());
  CHECK_FALSE(host.run(host.driver().join({"net1", "e2", taken.path()})).has_value());
  std::string ports;
  CHECK(node.run("ip -o link show master skep0", &ports));
  CHECK(std::count(ports.begin(), ports.end(), '\n') == 1);
}

TEST_CASE("a packet that leaves the node carries the node's address") {
  NamedNamespace node("node"), one("one"), world("world");
  CHECK(node.run("ip link set lo up; ip link add up0 type veth peer name eth9 netns " +
                 world.name() + "; ip addr add 10.9.0.1/24 dev up0; ip link set up0 up"));
  CHECK(world.run("ip addr add 10.9.0.2/24 dev eth9; ip link set eth9 up"));
  const Inside inside(node);
  Host host(usual_config);
  host.create();
  host.attach("e1", one);
  // The world has no route back to the containers: an answer proves the translation.
  CHECK(reaches(one, "10.9.0.2"));
  // And this is who the other end saw.
  CHECK(datagram_source(one, world, "10.9.0.2") == "10.9.0.1");
}

TEST_CASE("leaving works when the namespace is gone, and twice") {
  NamedNamespace node("node");
  const Inside inside(node);
  Host host(usual_config);
  host.create();
  {
    NamedNamespace one("one");
    host.attach("e1", one);
    one.remove();
    CHECK(host.run(host.driver().leave("net1", "e1", "/run/netns/gone")).has_value());
    CHECK(host.run(host.driver().leave("net1", "e1", "")).has_value());
  }
  CHECK(host.run(host.driver().endpoint_remove("net1", "e1")).has_value());
  CHECK(host.run(host.driver().endpoint_remove("net1", "e1")).has_value());
  CHECK_FALSE(node.run("ip -o link show master skep0 | grep -q skv"));
  const auto joined = host.run(host.driver().join({"net1", "e1", node.path()}));
  REQUIRE_FALSE(joined.has_value());
  CHECK(joined.error().kind == ErrorKind::not_found);
}

TEST_CASE(
    "a driver that is started anew keeps addresses and traffic, and removes what nobody owns") {
  NamedNamespace node("node"), one("one"), two("two");
  const Inside inside(node);
  std::string network_handle, endpoint_handle;
  {
    Host host(usual_config);
    network_handle = host.run(host.driver().create({"net1", "bridge", "", "", 0, {}}))->handle;
    endpoint_handle = host.run(host.driver().endpoint_create({"net1", "e1", "", ""}))->handle;
    host.attach("e1", one);
    host.attach("e2", two);
  }
  CHECK(reaches(one, "172.31.5.1"));
  Host host(usual_config);
  host.restore(network_handle, endpoint_handle);
  CHECK(reaches(one, "172.31.5.1"));
  CHECK_FALSE(reaches(two, "172.31.5.1"));
  CHECK(host.run(host.driver().endpoint_create({"net1", "e1", "", ""}))->address ==
        "172.31.5.2/24");
  // The restored address is not given to the next one.
  CHECK(host.run(host.driver().endpoint_create({"net1", "e3", "", ""}))->address ==
        "172.31.5.3/24");
  CHECK(host.run(host.driver().list())->endpoints.size() == 2);
}

TEST_CASE("two plugins of the driver on one node leave each other's networks alone") {
  NamedNamespace node("node"), one("one");
  const Inside inside(node);
  Host first(usual_config, "first");
  first.create();
  first.attach("e1", one);
  const auto rules = [&] {
    std::string all;
    CHECK(node.run("nft list ruleset", &all));
    return all;
  };
  {
    Host second(R"({"subnet": "172.31.6.0/24", "bridge": "skep1"})", "second");
    second.create();
    CHECK(rules().find("172.31.5.0/24") != std::string::npos);
    CHECK(rules().find("172.31.6.0/24") != std::string::npos);
  }
  // After its restart the second's host knows nothing: what was its goes, and no more.
  Host second(R"({"subnet": "172.31.6.0/24", "bridge": "skep1"})", "second");
  second.ask(BASE(restore_done), R"({"ids":[]})");
  CHECK_FALSE(node.run("ip link show skep1"));
  CHECK(rules().find("172.31.6.0/24") == std::string::npos);
  CHECK(rules().find("172.31.5.0/24") != std::string::npos);
  CHECK(reaches(one, "172.31.5.1"));
  // And one that is told to use the first's bridge is told that it is taken.
  Host third(usual_config, "third");
  third.ask(BASE(restore_done), R"({"ids":[]})");
  const auto refused = third.run(third.driver().create({"net1", "bridge", "", "", 0, {}}));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == ErrorKind::precondition);
  CHECK(refused.error().message.find("config.bridge") != std::string::npos);
  CHECK(third.run(third.driver().list())->networks.empty());
  CHECK(reaches(one, "172.31.5.1"));
}

TEST_CASE("a bridge that somebody removed is made anew with the ports it had") {
  NamedNamespace node("node"), one("one");
  const Inside inside(node);
  std::string network_handle, endpoint_handle;
  {
    Host host(usual_config);
    network_handle = host.run(host.driver().create({"net1", "bridge", "", "", 0, {}}))->handle;
    endpoint_handle = host.run(host.driver().endpoint_create({"net1", "e1", "", ""}))->handle;
    host.attach("e1", one);
  }
  REQUIRE(node.run("ip link del skep0"));
  Host host(usual_config);
  host.restore(network_handle, endpoint_handle);
  CHECK(reaches(one, "172.31.5.1"));
  CHECK(host.run(host.driver().check("net1", "e1")).value().empty());
}

TEST_CASE("a /29 has five addresses, a freed one comes back last, and the sixth is refused") {
  NamedNamespace node("node");
  const Inside inside(node);
  Host host(R"({"subnet": "10.77.0.0/29"})");
  host.create();
  const auto take = [&](const std::string& id) {
    return host.run(host.driver().endpoint_create({"net1", id, "", ""}));
  };
  CHECK(take("a")->address == "10.77.0.2/29");
  CHECK(take("b")->address == "10.77.0.3/29");
  CHECK(host.run(host.driver().endpoint_remove("net1", "a")).has_value());
  CHECK(take("c")->address == "10.77.0.4/29");
  CHECK(take("d")->address == "10.77.0.5/29");
  CHECK(take("e")->address == "10.77.0.6/29");
  CHECK(take("f")->address == "10.77.0.2/29");
  const auto refused = take("g");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == ErrorKind::exhausted);
  CHECK(refused.error().message.find("10.77.0.0/29") != std::string::npos);
}

TEST_CASE("removing the network leaves nothing") {
  NamedNamespace node("node"), one("one");
  const Inside inside(node);
  Host host(usual_config);
  host.create();
  host.attach("e1", one);
  std::string table;
  CHECK(node.run("nft list tables", &table));
  CHECK(table.find("skep_bridge") != std::string::npos);
  const Status early = host.run(host.driver().remove("net1"));
  REQUIRE_FALSE(early.has_value());
  CHECK(early.error().kind == ErrorKind::precondition);
  CHECK(host.run(host.driver().leave("net1", "e1", one.path())).has_value());
  CHECK(host.run(host.driver().endpoint_remove("net1", "e1")).has_value());
  CHECK(host.run(host.driver().remove("net1")).has_value());
  CHECK(host.run(host.driver().remove("net1")).has_value());
  std::string links;
  CHECK(node.run("ip -o link; nft list ruleset", &links));
  CHECK(std::count(links.begin(), links.end(), '\n') == 1);  // lo
}

TEST_CASE("twenty joins at once all work") {
  NamedNamespace node("node");
  const Inside inside(node);
  Host host(usual_config);
  host.create();
  std::vector<std::unique_ptr<NamedNamespace>> containers;
  for (int i = 0; i < 20; ++i) {
    containers.push_back(std::make_unique<NamedNamespace>("c" + std::to_string(i)));
  }
  std::vector<double> milliseconds;
  std::set<std::string> addresses;
  const auto one = [&](int i) -> asio::awaitable<void> {
    const std::string endpoint = "e" + std::to_string(i);
    const skep::drivers::EndpointRequest wanted{"net1", endpoint, "", ""};
    const auto made = co_await host.driver().endpoint_create(wanted);
    REQUIRE(made.has_value());
    addresses.insert(made->address);
    const skep::drivers::JoinRequest place{"net1", endpoint,
                                           containers[static_cast<size_t>(i)]->path()};
    const auto start = std::chrono::steady_clock::now();
    const auto joined = co_await host.driver().join(place);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (!joined) FAIL(joined.error().message);
    milliseconds.push_back(took.count());
  };
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    asio::co_spawn(host.loop(), one(i), [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
  }
  host.loop().restart();
  host.loop().run();
  const std::chrono::duration<double, std::milli> all = std::chrono::steady_clock::now() - start;
  CHECK(addresses.size() == 20);
  REQUIRE(milliseconds.size() == 20);
  CHECK(reaches(*containers[0], "172.31.5.21"));
  CHECK(reaches(*containers[19], "172.31.5.2"));
  std::sort(milliseconds.begin(), milliseconds.end());
  std::cout << "20 joins at once: " << all.count() << " ms in all, median " << milliseconds[10]
            << " ms, slowest " << milliseconds[19] << " ms\n";

  // One after the other, for the latency of a single start.
  NamedNamespace last("last");
  CHECK(host.run(host.driver().endpoint_create({"net1", "last", "", ""})).has_value());
  std::vector<double> single;
  for (int i = 0; i < 20; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(host.run(host.driver().join({"net1", "last", last.path()})).has_value());
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    single.push_back(took.count());
    CHECK(host.run(host.driver().leave("net1", "last", "")).has_value());
  }
  std::sort(single.begin(), single.end());
  std::cout << "join alone: median " << single[10] << " ms, slowest " << single[19] << " ms\n";
}

int main(int argc, char** argv) {
  if (geteuid() != 0) {
    std::cout << "SKIP: network namespaces need root\n";
    return 77;  // as CMakeLists.txt tells ctest
  }
  return Catch::Session().run(argc, argv);
}
