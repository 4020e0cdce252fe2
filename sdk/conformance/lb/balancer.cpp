// Services with their defaults filled in.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/lb/balancer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace skep::conformance {
namespace {

json with_defaults(json service) {
  service.emplace("policy", "maglev");
  service.emplace("affinity_s", 0);
  service.emplace("vips", json::array());
  int64_t target = 0;
  for (json& port : service["ports"]) {
    port.emplace("mode", "ingress");
    target = port.value("target", int64_t{0});
  }
  for (json& backend : service["backends"]) {
    backend.emplace("port", target);
    backend.emplace("node", "");
    backend.emplace("weight", 1);
    backend.emplace("state", "active");
  }
  for (const char* const list : {"vips", "ports", "backends"}) {
    std::sort(service[list].begin(), service[list].end());
  }
  return service;
}

}  // namespace

json lb_service(int number, int backends) {
  json service{{"service", fmt::format("service-{}", number)},
               {"vips", {fmt::format("10.255.{}.{}", number / 250, number % 250 + 1)}},
               {"ports",
                {{{"protocol", "tcp"},
                  {"published", 20'000 + number},
                  {"target", 8'000},
                  {"mode", "ingress"}}}},
               {"backends", json::array()}};
  for (int i = 0; i < backends; ++i) {
    service["backends"].push_back(
        {{"task", fmt::format("task-{}-{}", number, i)},
         {"address", fmt::format("10.{}.{}.{}", 100 + i, number / 250, number % 250 + 1)},
         {"port", 8'000}});
  }
  return service;
}

std::string lb_difference(const json& wanted, const json& found) {
  if (!found.is_array()) return "there is no list of services";
  std::map<std::string, json> left;
  for (const json& service : found) {
    const std::string id = service.value("service", "");
    if (!left.emplace(id, with_defaults(service)).second) return id + " is there twice";
  }
  for (const json& service : wanted) {
    const std::string id = service.at("service").get<std::string>();
    const auto other = left.find(id);
    if (other == left.end()) return id + " is missing";
    if (other->second != with_defaults(service)) {
      return fmt::format("{} is {}", id, shortened(other->second.dump()));
    }
    left.erase(other);
  }
  return left.empty() ? std::string() : left.begin()->first + " is there too";
}

Result<Balancer> Balancer::start(Run& run, const std::string& suffix) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  return Balancer(run, *driver, fmt::format("kit-{}-{}", run.unique(), suffix));
}

Outcome Balancer::apply(int64_t base, int64_t generation, const json& upsert, const json& remove) {
  return driver_->call(lb("apply"), {{"scope", scope_},
                                     {"base_generation", base},
                                     {"generation", generation},
                                     {"upsert", upsert},
                                     {"remove", remove}});
}

Outcome Balancer::dump() {
  return driver_->call(lb("dump"), {{"scope", scope_}});
}

Status Balancer::check_in_force(int64_t generation, const json& services) {
  const Outcome dumped = dump();
  SKEP_TRY(run_->ok(dumped));
  const int64_t told = dumped.reply.value("generation", int64_t{-1});
  SKEP_TRY(run_->that(told == generation, fmt::format("generation {} in force", generation),
                      fmt::format("it is {}", told), dumped));
  const std::string difference = lb_difference(services, dumped.member("services"));
  return run_->that(difference.empty(), "what was applied is in force", difference, dumped);
}

}  // namespace skep::conformance
