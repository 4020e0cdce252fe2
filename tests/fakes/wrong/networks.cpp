// A network driver that is right, and the mistakes one can make in it.
//
// The right one is the SDK's own example, net-ip, as it stands: its file is included here without
// its entry point, and each mistake is made in a method around one of its own. What is wrong in the
// kernel is really made there, by the example's `ip`.
// SPDX-License-Identifier: Apache-2.0
#include "skep/cpp/network.hpp"

#include <algorithm>
#include <mutex>

#undef SKEP_PLUGIN
#define SKEP_PLUGIN(...) static_assert(true)
#include "sdk/examples/net-ip/driver.cpp"
#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {

const char* const interfaces = SKEP_BASE_1 " " SKEP_NETWORK_1;
const char* const config_schema = ::config_schema;

namespace {

class Networks final : public Bridges {
 public:
  void configure(const Members& config, const Place& place) override {
    Bridges::configure(config, place);
    if (wrong("sweeps-before-restore-done")) Bridges::restore_done({});
  }

  void remove(const std::string& network) override {
    if (wrong("removes-only-what-it-remembers") && !knows(network)) return;
    const NetworkList before = list();
    if (wrong("removes-with-endpoints")) {
      for (const ListedEndpoint& one : before.endpoints) {
        if (one.network == network) Bridges::endpoint_remove(network, one.endpoint);
      }
    }
    if (wrong("remove-of-unknown-fails") &&
        std::ranges::find(before.networks, network, &ListedNetwork::network) ==
            before.networks.end()) {
      throw Failure(SKEP_E_INVALID, "there is no network " + network);
    }
    Bridges::remove(network);
    if (!wrong("remove-keeps-the-bridge")) return;
    ip_({"link", "add", interface_name(bridge_mark, network), "group", group, "type", "bridge"});
  }

  CreatedNetwork create(const CreateNetwork& request) override {
    remember(request.network);
    return Bridges::create(request);
  }
  CreatedEndpoint endpoint_create(const CreateEndpoint& request) override;
  void endpoint_remove(const std::string& network, const std::string& endpoint) override {
    if (wrong("removes-only-what-it-remembers") && !knows(endpoint)) return;
    Bridges::endpoint_remove(network, endpoint);
  }

  std::string join(const JoinEndpoint& request) override;

  void leave(const LeaveEndpoint& request) override {
    if (wrong("leave-wants-the-namespace") && !request.netns.empty()) {
      const Inside inside(request.netns);
    }
    if (wrong("removes-only-what-it-remembers") && !knows(request.endpoint)) return;
    Bridges::leave(request);
  }

  std::vector<std::string> check(const std::string& network, const std::string& endpoint) override {
    if (wrong("check-knows-everybody") && !listed(endpoint)) return {};
    std::vector<std::string> drift = Bridges::check(network, endpoint);
    if (wrong("check-sees-nothing")) drift.clear();
    if (wrong("check-always-drifts")) drift.emplace_back("something is otherwise");
    return drift;
  }

  void restore(const RestoreNetworkObject& request) override {
    if (!request.handle.is_null()) remember(request.id);
    const bool endpoint = request.handle.is_object() && request.handle.contains("endpoint");
    if (wrong("restored-addresses-are-free") && endpoint) return;
    Bridges::restore(request);
  }

  void restore_done(const std::vector<std::string>& ids) override {
    if (wrong("never-sweeps")) return;
    Bridges::restore_done(wrong("sweeps-what-was-named") ? std::vector<std::string>() : ids);
  }

 private:
  std::optional<ListedEndpoint> listed(const std::string& endpoint) {
    for (const ListedEndpoint& one : list().endpoints) {
      if (one.endpoint == endpoint) return one;
    }
    return std::nullopt;
  }
  // The endpoint gets the address of another one of its network, if there is one.
  CreatedEndpoint given_twice(const CreateEndpoint& request, CreatedEndpoint reply) {
    for (const ListedEndpoint& other : list().endpoints) {
      if (other.network != request.network || other.endpoint == request.endpoint) continue;
      reply.address = other.address;
      reply.handle["address"] = other.address.substr(0, other.address.find('/'));
      Bridges::restore({request.endpoint, reply.handle});
      break;
    }
    return reply;
  }

  void remember(const std::string& id) {
    const std::lock_guard<std::mutex> guard(lock_);
    remembered_.insert(id);
  }
  bool knows(const std::string& id) {
    const std::lock_guard<std::mutex> guard(lock_);
    return remembered_.contains(id);
  }

  Ip ip_;
  std::mutex lock_;                   // guards what follows
  std::set<std::string> remembered_;  // made or restored, by this process
};

CreatedEndpoint Networks::endpoint_create(const CreateEndpoint& request) {
  if (wrong("endpoint-create-is-not-idempotent") && listed(request.endpoint)) {
    throw Failure(SKEP_E_EXISTS, "there is an endpoint " + request.endpoint);
  }
  const bool first = !listed(request.endpoint);
  remember(request.endpoint);
  try {
    CreatedEndpoint reply = Bridges::endpoint_create(request);
    if (first && wrong("gives-an-address-twice")) return given_twice(request, std::move(reply));
    return reply;
  } catch (const Failure& failure) {
    if (failure.code() == SKEP_E_EXISTS && wrong("endpoint-takes-other-arguments")) {
      return Bridges::endpoint_create({request.network, request.endpoint});
    }
    if (failure.code() == SKEP_E_EXHAUSTED && wrong("exhausted-names-nothing")) {
      throw Failure(SKEP_E_EXHAUSTED, "no address is left");
    }
    if (failure.code() == SKEP_E_EXHAUSTED && wrong("exhausted-is-internal")) {
      throw Failure(SKEP_E_INTERNAL, failure.what());
    }
    throw;
  }
}

std::string Networks::join(const JoinEndpoint& request) {
  if (wrong("join-is-not-idempotent") && exists(interface_name(port_mark, request.endpoint))) {
    throw Failure(SKEP_E_EXISTS, "endpoint " + request.endpoint + " has joined");
  }
  JoinEndpoint where = request;
  if (wrong("joins-the-wrong-namespace")) where.netns = "/proc/thread-self/ns/net";
  const std::string interface = Bridges::join(where);
  if (wrong("ports-are-isolated")) {
    ip_({"link", "set", interface_name(port_mark, request.endpoint), "type", "bridge_slave",
         "isolated", "on"});
  }
  const Inside inside(where.netns);
  if (wrong("join-leaves-it-down")) ip_({"link", "set", interface, "down"});
  if (wrong("join-without-a-route")) ip_({"route", "del", "default"});
  if (wrong("join-without-the-address")) ip_({"address", "flush", "dev", interface});
  return interface;
}

// The contract's null is taken away by the wrapper, so this mistake is made before it.
skep_call right_endpoint_create = nullptr;

skep_status null_is_a_value(void* self, skep_op* op, skep_str request) {
  std::string text(request.ptr == nullptr ? "" : request.ptr, request.len);
  for (size_t at = 0; (at = text.find(":null", at)) != std::string::npos;)
    text.replace(at, 5, ":0");
  return right_endpoint_create(self, op, {text.data(), text.size()});
}

const void* (*right_interface)(void*, const char*) = nullptr;

const void* wrong_interface(void* self, const char* id) {
  const void* const right = right_interface(self, id);
  if (right == nullptr || std::string_view(id) != SKEP_NETWORK_1) return right;
  static skep_network_1 table = *static_cast<const skep_network_1*>(right);
  right_endpoint_create = static_cast<const skep_network_1*>(right)->endpoint_create;
  table.endpoint_create = null_is_a_value;
  return &table;
}

}  // namespace

const skep_instance* make(const skep_host* host) {
  const skep_instance* const instance = skep::sdk::make_instance<Networks>(host);
  if (instance == nullptr || !wrong("null-is-a-value")) return instance;
  static skep_instance changed;
  changed = *instance;
  right_interface = instance->get_interface;
  changed.get_interface = wrong_interface;
  return &changed;
}

}  // namespace wrong_driver
