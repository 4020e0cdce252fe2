// One scope in the hands of a case, and services compared as the contract means them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/conformance/lb/lb_kind.hpp"

namespace skep::conformance {

// Service number `number` with that many backends: an address and a port of its own.
json lb_service(int number, int backends);

// Where two lists of services differ, with every default of lb.h filled in and in any order; empty
// when they mean the same.
std::string lb_difference(const json& wanted, const json& found);

class Balancer {
 public:
  static Result<Balancer> start(Run& run, const std::string& suffix = "0");

  Driver& driver() { return *driver_; }
  const std::string& scope() const { return scope_; }
  Outcome apply(int64_t base, int64_t generation, const json& upsert,
                const json& remove = json::array());
  Outcome dump();
  // The dump has these services, and this generation.
  Status check_in_force(int64_t generation, const json& services);

 private:
  Balancer(Run& run, Driver& driver, std::string scope)
      : run_(&run), driver_(&driver), scope_(std::move(scope)) {}

  Run* run_;
  Driver* driver_;
  std::string scope_;
};

}  // namespace skep::conformance
