// @name@: a load balancer that balances nothing, and is right about everything else.
//
// It keeps in memory what a real one puts into the kernel, so it shows the whole of skep/lb.h
// without a kernel: generations, full states that replace, changes that leave the rest alone,
// entries that fail while the others are in force (a service with more than max_backends backends),
// endpoints, release. To make a real balancer of it, put what stands in `Scope` where it acts, and
// read it back there in in_force(), check() and stats().
//
// Calls for one scope never overlap, but those for two do, and reads come at any moment: hence the
// lock.
// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <mutex>

#include "skep/cpp/lb.hpp"

namespace {

using namespace skep::sdk;

constexpr const char* config_schema = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "max_backends": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 1024,
                     "description": "how many backends a service may have"}
  }
})";

struct Scope {
  int64_t generation = 0;
  std::map<std::string, LbService> services;
  std::map<std::string, LbEndpoint> endpoints;
};

class NullBalancer final : public BalancerDriver {
 public:
  void configure(const Members& config, const Place&) override {
    max_backends_ = config.integer_within("max_backends", 1024, 1, 65536);
  }

  // A real one tries the kernel's feature here, and says Health::broken with the name of what is
  // missing.
  Health probe() override { return {}; }

  BalancerCapabilities capabilities() override {
    BalancerCapabilities has;
    has.ingress = has.east_west = has.ipv6 = has.draining = true;
    has.protocols = {"tcp", "udp", "sctp"};
    has.max_backends = max_backends_;
    return has;
  }

  void endpoint_attach(const LbEndpoint& endpoint) override {
    const std::scoped_lock lock(lock_);
    const auto [there, added] =
        scopes_[endpoint.scope].endpoints.try_emplace(endpoint.endpoint, endpoint);
    if (!added && there->second != endpoint) {
      throw Failure(SKEP_E_EXISTS, "endpoint " + endpoint.endpoint + " is attached otherwise");
    }
  }
  void endpoint_detach(const std::string& scope, const std::string& endpoint) override {
    const std::scoped_lock lock(lock_);
    const auto found = scopes_.find(scope);
    if (found == scopes_.end()) return;
    found->second.endpoints.erase(endpoint);
    if (found->second.endpoints.empty() && found->second.generation == 0) scopes_.erase(found);
  }

  int64_t apply(const LbApply& request) override {
    const std::scoped_lock lock(lock_);
    const auto found = scopes_.find(request.scope);
    const int64_t present = found == scopes_.end() ? 0 : found->second.generation;
    const LbApply::Step step = request.step(present);
    if (step == LbApply::Step::nothing) return present;

    Scope& scope = scopes_[request.scope];
    std::map<std::string, LbService> kept;
    std::vector<LbFailedService> failed;
    for (const LbService& service : request.upsert) {
      if (static_cast<int64_t>(service.backends.size()) > max_backends_) {
        failed.push_back(
            {service.service, "more than " + std::to_string(max_backends_) + " backends"});
      } else {
        scope.services[service.service] = service;  // a service that did not change keeps its flows
      }
      // What failed keeps its old entry, also in a full state.
      if (const auto entry = scope.services.find(service.service); entry != scope.services.end()) {
        kept[service.service] = entry->second;
      }
    }
    // What goes, goes last: nobody sees a moment without an entry that stays.
    if (step == LbApply::Step::replace) scope.services = std::move(kept);
    for (const std::string& id : request.remove) scope.services.erase(id);
    if (!failed.empty()) throw some_services_failed(failed);
    scope.generation = request.generation;
    return scope.generation;
  }

  int64_t cut(const std::string&, const std::string&) override { return 0; }  // there are no flows

  LbState in_force(const std::string& scope) override {
    const std::scoped_lock lock(lock_);
    const auto found = scopes_.find(scope);
    if (found == scopes_.end() ||
        (found->second.generation == 0 && found->second.services.empty())) {
      throw Failure(SKEP_E_NOTFOUND, "nothing was ever applied to scope " + scope);
    }
    LbState state = {.generation = found->second.generation};
    for (const auto& [id, service] : found->second.services) state.services.push_back(service);
    return state;
  }
  // Memory is where it acts and what was applied at once, so they can't differ.
  std::vector<std::string> check(const std::string&) override { return {}; }

  std::vector<LbServiceStats> stats(const std::string& scope) override {
    const std::scoped_lock lock(lock_);
    std::vector<LbServiceStats> all;
    const auto found = scopes_.find(scope);
    if (found == scopes_.end()) return all;
    for (const auto& [id, service] : found->second.services) {
      all.push_back({.service = id, .packets = 0, .bytes = 0});
    }
    return all;
  }

  void release(const std::string& scope) override {
    const std::scoped_lock lock(lock_);
    scopes_.erase(scope);
  }

  json dump() override {
    const std::scoped_lock lock(lock_);
    json document = json::object();
    for (const auto& [id, scope] : scopes_) {
      document[id] = {{"generation", scope.generation},
                      {"services", scope.services.size()},
                      {"endpoints", scope.endpoints.size()}};
    }
    return document;
  }

 private:
  int64_t max_backends_ = 0;
  std::mutex lock_;
  std::map<std::string, Scope> scopes_;
};

}  // namespace

SKEP_PLUGIN(NullBalancer, "@name@", "0.1.0", .config_schema = config_schema);
