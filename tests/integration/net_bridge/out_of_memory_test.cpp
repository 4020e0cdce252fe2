// net-bridge when memory runs out, at every place where it asks for some.
//
// The test's own operator new, which the driver uses too, refuses once: first the first request for
// memory of a call, then the second, .. until the call comes through. After each refusal book and
// kernel must agree: all of it is there (the reply alone could not be written) or nothing. The
// driver is called on the test's thread, without a host's machinery, so that nobody else's memory
// is refused.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>
#include <new>
#include <nlohmann/json.hpp>
#include <string>

#include "skep/network.h"
#include "tests/integration/net_bridge/namespaces.hpp"

namespace {

thread_local int requests_left = -1;  // until the one that is refused; below 0: none is

}  // namespace

void* operator new(size_t size) {
  if (requests_left >= 0 && requests_left-- == 0) throw std::bad_alloc();
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

namespace {

using nlohmann::json;
using skep::test::Inside;
using skep::test::NamedNamespace;

constexpr int requests_max = 10'000;  // of one call; it makes some hundred

struct Outcome {
  skep_status status = SKEP_E_INTERNAL;
  std::string reply;
  bool over = false;
};

// An instance and nothing around it; its operations end before they return.
class Bare {
 public:
  Bare() {
    host_.struct_size = sizeof host_;
    host_.abi_major = SKEP_ABI_MAJOR;
    host_.abi_minor = SKEP_ABI_MINOR;
    host_.get_extension = [](const skep_host*, const char*) -> const void* { return nullptr; };
    host_.log = [](const skep_host*, skep_op*, int32_t, skep_str) {};
    host_.complete = [](const skep_host*, skep_op* op, skep_status status, skep_str reply,
                        skep_str) {
      requests_left = -1;
      *reinterpret_cast<Outcome*>(op) = {status, std::string(reply.ptr, reply.len), true};
    };
    host_.emit = [](const skep_host*, skep_op*, skep_str) -> int32_t { return 0; };
    host_.cancelled = [](const skep_host*, skep_op*) -> int32_t { return 0; };
    host_.deadline_ms = [](const skep_host*, skep_op*) -> int64_t { return -1; };
    void* const library = dlopen(SKEP_TEST_NET_BRIDGE, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(library != nullptr);
    const auto query =
        reinterpret_cast<const skep_plugin* (*)()>(dlsym(library, "skep_plugin_query"));
    instance_ = query()->create(&host_);
    REQUIRE(instance_ != nullptr);
    base = static_cast<const skep_base_1*>(table(SKEP_BASE_1));
    network = static_cast<const skep_network_1*>(table(SKEP_NETWORK_1));
    const json config{{"config", {{"subnet", "172.31.5.0/29"}, {"bridge", "skep0"}}},
                      {"data_dir", "/var/empty/net-bridge"}};
    REQUIRE(call(base->configure, config).status == SKEP_OK);
  }
  ~Bare() { instance_->destroy(instance_->self); }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;

  // With `refused` 0 or more, that request for memory (from 0) is refused.
  Outcome call(skep_call function, const json& request, int refused = -1) {
    const std::string document = request.dump();
    Outcome outcome;
    requests_left = refused;
    function(instance_->self, reinterpret_cast<skep_op*>(&outcome),
             {document.data(), document.size()});
    requests_left = -1;
    REQUIRE(outcome.over);
    return outcome;
  }
  // The call with each of its requests for memory refused, `afterwards` after each, until it comes
  // through.
  void in_want(skep_call function, const json& request, const std::function<void()>& afterwards) {
    for (int refused = 0; refused < requests_max; ++refused) {
      INFO("request for memory number " << refused);
      const Outcome outcome = call(function, request, refused);
      if (outcome.status == SKEP_OK) {
        CHECK(refused > 0);
        return;
      }
      CHECK(outcome.status == SKEP_E_EXHAUSTED);
      afterwards();
    }
    FAIL("the call asks for memory without end");
  }
  json list() { return json::parse(call(network->list, json::object()).reply); }

  const skep_base_1* base = nullptr;
  const skep_network_1* network = nullptr;

 private:
  const void* table(const char* id) { return instance_->get_interface(instance_->self, id); }
  skep_host host_{};
  const skep_instance* instance_ = nullptr;
};

}  // namespace

TEST_CASE("when memory runs out in the middle of a call, book and kernel still agree") {
  NamedNamespace node("node"), one("one");
  const Inside inside(node);
  Bare driver;
  const json named{{"network", "net1"}};
  const json endpoint{{"network", "net1"}, {"endpoint", "e1"}};
  const auto listed = [&](const char* kind) { return !driver.list().at(kind).empty(); };
  const auto bridge = [&] { return node.run("ip link show skep0 > /dev/null 2>&1"); };
  const auto rules = [&] { return node.run("nft list ruleset | grep -q 172.31.5.0/29"); };
  const auto complete = [&] {
    return one.run("ip -4 addr show eth0 | grep -q 172.31.5. && ip route | grep -q ^default");
  };
  driver.in_want(driver.network->create, {{"network", "net1"}, {"name", "bridge"}}, [&] {
    CHECK(listed("networks") == bridge());
    CHECK(listed("networks") == rules());
  });
  // An address that each refusal took along would be the end of a /29.
  driver.in_want(driver.network->endpoint_create, endpoint, [&] {});
  json join = endpoint;
  join["netns"] = one.path();
  driver.in_want(driver.network->join, join, [&] {
    const bool inside_one = one.run("ip link show eth0 > /dev/null 2>&1");
    CHECK(inside_one == node.run("ip -o link show master skep0 | grep -q skv"));
    CHECK(inside_one == (inside_one && complete()));
  });
  CHECK(complete());
  REQUIRE(driver.call(driver.network->leave, endpoint).status == SKEP_OK);
  REQUIRE(driver.call(driver.network->endpoint_remove, endpoint).status == SKEP_OK);
  // What is not in the book any more is nowhere.
  driver.in_want(driver.network->remove, named, [&] {
    if (listed("networks")) return;
    CHECK_FALSE(bridge());
    CHECK_FALSE(rules());
  });
  CHECK(driver.list().at("networks").empty());
  CHECK_FALSE(node.run("ip link show skep0 2> /dev/null"));
}
