// Scopes: independent, checked, released, and adopted after a restart.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/lb/balancer.hpp"

namespace skep::conformance {
namespace {

constexpr Rule scope_rule{"lb.h scope",
                          "scopes are independent, each with a generation of its own"};
constexpr Rule release_rule{"lb.h release",
                            "release takes all state of a scope, and nothing else does; unknown is "
                            "success"};
constexpr Rule restart_rule{"lb.h restart",
                            "after a restart the host sends the full state and the driver adopts "
                            "what stands"};
constexpr Rule unknown_rule{"lb.h unknown",
                            "cutting, detaching and releasing what isn't there is success; dump of "
                            "it is NOTFOUND"};

json two() {
  return json::array({lb_service(0, 2), lb_service(1, 2)});
}

Status scopes_are_independent(Run& run) {
  SKEP_TRY_ASSIGN(Balancer one, Balancer::start(run, "0"));
  SKEP_TRY_ASSIGN(Balancer other, Balancer::start(run, "1"));
  SKEP_TRY(run.ok(one.apply(0, 7, two())));
  SKEP_TRY(run.ok(other.apply(0, 2, json::array({lb_service(5, 1)}))));
  SKEP_TRY(one.check_in_force(7, two()));
  SKEP_TRY(run.ok(other.driver().call(lb("release"), {{"scope", other.scope()}})));
  SKEP_TRY(run.fails(other.dump(), {SKEP_E_NOTFOUND}));
  return one.check_in_force(7, two());
}

Status release_leaves_nothing(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  SKEP_TRY(run.ok(balancer.apply(0, 5, two())));
  for (int i = 0; i < 2; ++i) {
    SKEP_TRY(run.ok(balancer.driver().call(lb("release"), {{"scope", balancer.scope()}})));
    SKEP_TRY(run.fails(balancer.dump(), {SKEP_E_NOTFOUND}));
  }
  run.when("the scope begins anew");
  SKEP_TRY(run.fails(balancer.apply(5, 6, two()), {SKEP_E_PRECONDITION}));
  SKEP_TRY(run.ok(balancer.apply(0, 1, two())));
  return balancer.check_in_force(1, two());
}

Status unknown_things(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  Driver& driver = balancer.driver();
  const std::string& scope = balancer.scope();
  SKEP_TRY(run.ok(driver.call(lb("endpoint_detach"), {{"scope", scope}, {"endpoint", "e1"}})));
  const Outcome cut = driver.call(lb("cut"), {{"scope", scope}, {"task", "t1"}});
  SKEP_TRY(run.ok(cut));
  SKEP_TRY(run.that(cut.member("cut") == 0, "no flow cut", described(cut), cut));
  SKEP_TRY(run.ok(driver.call(lb("release"), {{"scope", scope}})));
  return run.fails(balancer.dump(), {SKEP_E_NOTFOUND});
}

Status no_drift(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  SKEP_TRY(run.ok(balancer.apply(0, 1, two())));
  const Outcome checked = balancer.driver().call(lb("check"), {{"scope", balancer.scope()}});
  SKEP_TRY(run.ok(checked));
  SKEP_TRY(run.that(checked.member("drift") == json::array(), "no drift after an apply",
                    described(checked), checked));
  const Outcome counted = balancer.driver().call(
      lb("connections"), {{"scope", balancer.scope()}, {"service", "service-0"}});
  const Outcome told = balancer.driver().call(base("capabilities"), json::object());
  SKEP_TRY(run.ok(told));
  if (!told.reply.value("connection_count", false)) {
    return run.that(counted.ok() || counted.status == SKEP_E_UNIMPLEMENTED,
                    "UNIMPLEMENTED without the capability connection_count", described(counted),
                    counted);
  }
  SKEP_TRY(run.ok(counted));
  return run.that(counted.member("connections") == 0, "no connection without traffic",
                  described(counted), counted);
}

// Whether the kernel kept it or not, the full state is taken, and a change upon it then.
Status adopted(Run& run, bool kill) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  SKEP_TRY(run.ok(balancer.apply(0, 5, two())));
  Driver& driver = balancer.driver();
  if (kill) {
    driver.kill();
  } else {
    driver.drop();
  }
  SKEP_TRY(driver.load());
  SKEP_TRY(run.ok(driver.configure()));
  SKEP_TRY(run.ok(driver.restore_done({balancer.scope()})));
  SKEP_TRY(driver.until_ready());
  const Outcome kept = balancer.dump();
  SKEP_TRY(run.that(kept.ok() || kept.status == SKEP_E_NOTFOUND,
                    "what stands, or NOTFOUND when nothing outlived the driver", described(kept),
                    kept));
  if (kept.ok()) SKEP_TRY(balancer.check_in_force(5, two()));
  SKEP_TRY(run.ok(balancer.apply(0, 6, two())));
  SKEP_TRY(balancer.check_in_force(6, two()));
  SKEP_TRY(run.ok(balancer.apply(6, 7, json::array({lb_service(2, 1)}))));
  SKEP_TRY(run.ok(driver.call(lb("release"), {{"scope", balancer.scope()}})));
  return run.fails(balancer.dump(), {SKEP_E_NOTFOUND});
}

}  // namespace

std::vector<Case> lb_scope_cases() {
  constexpr bool kills = true;
  return {
      {"lb.scope.independent",
       "scopes do not touch each other",
       {scope_rule},
       scopes_are_independent},
      {"lb.scope.release",
       "release leaves nothing, and the scope can begin anew",
       {release_rule},
       release_leaves_nothing},
      {"lb.scope.unknown",
       "what isn't there is cut, detached and released",
       {unknown_rule},
       unknown_things},
      {"lb.scope.check", "check finds no drift and no connection", {scope_rule}, no_drift},
      {"lb.scope.adopted",
       "the full state is adopted after a restart",
       {restart_rule, rule(35)},
       [](Run& run) { return adopted(run, !kills); }},
      {"lb.scope.adopted-killed",
       "the full state is adopted after a kill",
       {restart_rule, rule(35)},
       [](Run& run) { return adopted(run, kills); },
       kills},
  };
}

}  // namespace skep::conformance
