// A balancer that is right (and keeps everything in memory), and the mistakes one can make in it.
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "skep/cpp/lb.hpp"
#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {

const char* const interfaces = "skep.base/1 skep.lb/1";
const char* const config_schema = R"({"type": "object"})";

namespace {

using skep::sdk::BalancerCapabilities;
using skep::sdk::BalancerDriver;
using skep::sdk::Failure;
using skep::sdk::LbApply;
using skep::sdk::LbEndpoint;
using skep::sdk::LbFailedService;
using skep::sdk::LbService;
using skep::sdk::LbServiceStats;
using skep::sdk::LbState;

constexpr size_t backends_max = 100;

struct Scope {
  int64_t generation = 0;
  std::map<std::string, LbService> services;
  std::map<std::string, LbEndpoint> endpoints;
};

class Balancer final : public BalancerDriver {
 public:
  void configure(const skep::sdk::Members&, const skep::sdk::Place& place) override {
    notes_ = place.data_dir + "/generations";
    std::ifstream notes(notes_);
    int64_t generation = 0;
    for (std::string scope;
         wrong("remembers-the-generation-alone") && notes >> scope >> generation;) {
      at(scope).generation = generation;
    }
  }
  BalancerCapabilities capabilities() override {
    BalancerCapabilities has;
    has.weights = true;
    has.draining = true;
    has.max_backends = backends_max;
    return has;
  }

  void endpoint_attach(const LbEndpoint& endpoint) override {
    const std::scoped_lock lock(lock_);
    const auto [there, added] =
        at(endpoint.scope).endpoints.try_emplace(endpoint.endpoint, endpoint);
    if (!added && there->second != endpoint && !wrong("attaches-otherwise")) {
      throw Failure(SKEP_E_EXISTS, endpoint.endpoint + " is attached otherwise");
    }
  }
  void endpoint_detach(const std::string& scope, const std::string& endpoint) override {
    const std::scoped_lock lock(lock_);
    const auto found = scopes_.find(key(scope));
    if (found == scopes_.end()) {
      if (wrong("detach-of-unknown-fails")) throw Failure(SKEP_E_INVALID, "no such endpoint");
      return;
    }
    found->second.endpoints.erase(endpoint);
  }

  int64_t apply(const LbApply& request) override;
  int64_t cut(const std::string&, const std::string&) override { return 0; }

  LbState in_force(const std::string& scope) override {
    const std::scoped_lock lock(lock_);
    const auto found = scopes_.find(key(scope));
    if (found == scopes_.end() || found->second.generation == 0) {
      throw Failure(SKEP_E_NOTFOUND, "nothing was applied to " + scope);
    }
    LbState state{found->second.generation, {}};
    for (const auto& [id, service] : found->second.services) state.services.push_back(service);
    return state;
  }
  std::vector<std::string> check(const std::string&) override {
    if (wrong("always-drifts")) return {"something is otherwise"};
    return {};
  }
  std::vector<LbServiceStats> stats(const std::string&) override { return {}; }

  void release(const std::string& scope) override {
    const std::scoped_lock lock(lock_);
    if (wrong("release-keeps")) {
      at(scope).endpoints.clear();
    } else {
      scopes_.erase(key(scope));
    }
  }

 private:
  static std::string key(const std::string& scope) {
    return wrong("one-scope-for-all") ? std::string("all") : scope;
  }
  Scope& at(const std::string& scope) { return scopes_[key(scope)]; }
  static LbApply::Step step(const LbApply& request, int64_t present);

  std::mutex lock_;
  std::string notes_;  // a mistake's memory
  std::map<std::string, Scope> scopes_;
};

LbApply::Step Balancer::step(const LbApply& request, int64_t present) {
  const bool newer = request.generation > present;
  if (!newer && wrong("applies-older")) return LbApply::Step::change;
  if (newer && request.base_generation != present && wrong("takes-any-base")) {
    return request.base_generation == 0 ? LbApply::Step::replace : LbApply::Step::change;
  }
  const LbApply::Step right = request.step(present);
  if (right == LbApply::Step::replace && wrong("full-state-adds")) return LbApply::Step::change;
  return right;
}

int64_t Balancer::apply(const LbApply& request) {
  std::unique_lock lock(lock_);
  Scope& scope = at(request.scope);
  const LbApply::Step meant = step(request, scope.generation);
  if (meant == LbApply::Step::nothing) return scope.generation;
  const auto take_away = [&] {
    for (const std::string& id : request.remove) {
      if (scope.services.erase(id) == 0 && wrong("removal-of-unknown-fails")) {
        throw Failure(SKEP_E_INVALID, "there is no service " + id);
      }
    }
  };
  if (wrong("removes-first")) {
    take_away();
    lock.unlock();
    // Long enough for a reader to see the hole; nothing waits for it.
    for (int i = 0; i < 50 && !request.remove.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    lock.lock();
  }
  std::map<std::string, LbService> next;
  std::vector<LbFailedService> failed;
  for (LbService service : request.upsert) {
    if (service.backends.size() > backends_max) {
      failed.push_back({service.service, "too many backends"});
      if (wrong("one-bad-entry-stops-all")) break;
      continue;
    }
    for (auto& backend : service.backends) {
      if (wrong("ignores-weights")) backend.weight = 1;
      if (wrong("ignores-draining")) backend.draining = false;
    }
    scope.services[service.service] = service;
    next[service.service] = service;
  }
  if (meant == LbApply::Step::replace) scope.services = std::move(next);
  take_away();
  if (!failed.empty()) {
    if (wrong("partial-takes-the-generation")) scope.generation = request.generation;
    throw skep::sdk::some_services_failed(failed);
  }
  if (wrong("slow-with-many") && request.upsert.size() > 500) {
    for (int i = 0; i < 2'500; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  scope.generation = request.generation;
  if (wrong("remembers-the-generation-alone")) {
    std::ofstream(notes_, std::ios::app) << request.scope << " " << request.generation << "\n";
  }
  return scope.generation;
}

}  // namespace

const skep_instance* make(const skep_host* host) {
  return skep::sdk::make_instance<Balancer>(host);
}

}  // namespace wrong_driver
