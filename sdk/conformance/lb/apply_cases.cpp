// apply: how a scope moves from one generation to the next, and what it refuses.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sdk/conformance/lb/balancer.hpp"

namespace skep::conformance {
namespace {

constexpr Rule apply_rule{
    "lb.h apply",
    "apply moves a scope from base_generation to generation; base 0 is the full state and "
    "replaces, "
    "another base than the present generation is PRECONDITION, and a generation that is not newer "
    "changes nothing and succeeds"};
constexpr Rule partial_rule{
    "lb.h apply, failures",
    "entries that failed are named in the detail of INTERNAL; the others are in force, the "
    "generation is not"};
constexpr Rule order_rule{"lb.h apply, order",
                          "add comes before remove, so that readers never see a hole"};
constexpr Rule time_rule{"lb.h apply, time", "2 s for 1 000 services"};

constexpr int many = 1'000;
constexpr int64_t many_ms = 2'000;

json services(int from, int to, int backends = 2) {
  json list = json::array();
  for (int i = from; i < to; ++i) list.push_back(lb_service(i, backends));
  return list;
}

Status told(Run& run, const Outcome& outcome, int64_t generation) {
  SKEP_TRY(run.ok(outcome));
  return run.that(outcome.member("generation") == generation,
                  fmt::format("generation {}", generation), described(outcome), outcome);
}

Status full_then_changes(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  SKEP_TRY(told(run, balancer.apply(0, 1, services(0, 3)), 1));
  SKEP_TRY(balancer.check_in_force(1, services(0, 3)));
  // One more, one changed, one gone.
  json change = json::array({lb_service(3, 1), lb_service(1, 5)});
  SKEP_TRY(told(run, balancer.apply(1, 2, change, json::array({"service-0"})), 2));
  SKEP_TRY(balancer.check_in_force(
      2, json::array({lb_service(1, 5), lb_service(2, 2), lb_service(3, 1)})));
  // Removing what isn't there has done its work.
  SKEP_TRY(told(run, balancer.apply(2, 3, json::array(), json::array({"service-77"})), 3));
  return told(run, balancer.apply(3, 9, json::array()), 9);
}

Status full_replaces(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  SKEP_TRY(run.ok(balancer.apply(0, 1, services(0, 5))));
  SKEP_TRY(told(run, balancer.apply(0, 4, services(4, 6)), 4));
  SKEP_TRY(balancer.check_in_force(4, services(4, 6)));
  SKEP_TRY(told(run, balancer.apply(0, 5, json::array()), 5));
  return balancer.check_in_force(5, json::array());
}

Status not_newer_is_ignored(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  SKEP_TRY(run.ok(balancer.apply(0, 4, services(0, 2))));
  SKEP_TRY(run.ok(balancer.apply(4, 5, services(2, 3))));
  run.when("an older generation came late");
  SKEP_TRY(told(run, balancer.apply(2, 3, services(7, 9), json::array({"service-0"})), 5));
  SKEP_TRY(balancer.check_in_force(5, services(0, 3)));
  run.when("the last change came twice");
  SKEP_TRY(told(run, balancer.apply(4, 5, services(2, 3)), 5));
  SKEP_TRY(balancer.check_in_force(5, services(0, 3)));
  run.when("the present generation came with another content");
  SKEP_TRY(told(run, balancer.apply(4, 5, services(7, 9)), 5));
  return balancer.check_in_force(5, services(0, 3));
}

Status other_base_is_refused(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  run.when("nothing was applied yet");
  SKEP_TRY(run.fails(balancer.apply(3, 4, services(0, 1)), {SKEP_E_PRECONDITION}));
  SKEP_TRY(run.fails(balancer.dump(), {SKEP_E_NOTFOUND}));
  run.when("");
  SKEP_TRY(run.ok(balancer.apply(0, 5, services(0, 2))));
  for (const int64_t base : {4, 6, 7}) {
    SKEP_TRY(run.fails(balancer.apply(base, 8, services(7, 9)), {SKEP_E_PRECONDITION}));
    SKEP_TRY(balancer.check_in_force(5, services(0, 2)));
  }
  SKEP_TRY(told(run, balancer.apply(0, 8, services(7, 9)), 8));
  return balancer.check_in_force(8, services(7, 9));
}

// A service that can't be: no port has that number. Its neighbours are in force all the same, or
// the whole request was refused as wrong and nothing is.
Status partial_failure(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  SKEP_TRY(run.ok(balancer.apply(0, 1, services(0, 1))));
  SKEP_TRY_ASSIGN(json bad, [&]() -> Result<json> {
    const Outcome told = balancer.driver().call(base("capabilities"), json::object());
    SKEP_TRY(run.ok(told));
    // Over the driver's own limit, if it has one; else an address that is none.
    const int most = told.reply.value("max_backends", 0);
    json service = lb_service(8, 1);
    if (most <= 0 || most > 2'000) {
      service["backends"][0]["address"] = "not-an-address";
      return service;
    }
    for (int i = 1; i <= most; ++i) {
      json backend = service["backends"][0];
      backend["task"] = fmt::format("task-8-{}", i);
      backend["address"] = fmt::format("10.99.{}.{}", i / 250, i % 250 + 1);
      service["backends"].push_back(std::move(backend));
    }
    return service;
  }());
  const Outcome applied =
      balancer.apply(1, 2, json::array({lb_service(7, 1), bad, lb_service(9, 1)}));
  if (applied.status == SKEP_E_INVALID) return balancer.check_in_force(1, services(0, 1));
  SKEP_TRY(run.fails(applied, {SKEP_E_INTERNAL}));
  const json failed = applied.member("failed");
  SKEP_TRY(run.that(
      failed.is_array() && failed.size() == 1 && failed[0].value("service", "") == "service-8",
      "service-8 alone in the detail's \"failed\"", shortened(applied.reply_text), applied));
  return balancer.check_in_force(
      1, json::array({lb_service(0, 2), lb_service(7, 1), lb_service(9, 1)}));
}

// While a state is replaced by another on the same addresses, each address has a service at every
// moment: a reader looks all the time.
Status no_hole(Run& run) {
  constexpr int count = 200;
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  SKEP_TRY(run.ok(balancer.apply(0, 1, services(0, count))));
  json other = json::array();
  json gone = json::array();
  for (int i = 0; i < count; ++i) {
    json service = lb_service(i, 1);
    service["service"] = fmt::format("next-{}", i);
    other.push_back(std::move(service));
    gone.push_back(fmt::format("service-{}", i));
  }
  Driver& driver = balancer.driver();
  const uint64_t change = driver.begin(lb("apply"), {{"scope", balancer.scope()},
                                                     {"base_generation", 1},
                                                     {"generation", 2},
                                                     {"upsert", other},
                                                     {"remove", gone}});
  for (bool ended = false; !ended;) {
    ended = driver.ended(change);
    const Outcome dumped = balancer.dump();
    SKEP_TRY(run.ok(dumped));
    const json seen = dumped.member("services");
    SKEP_TRY(run.that(seen.size() >= count,
                      fmt::format("at least {} services at any moment", count),
                      fmt::format("{} in the middle of an apply", seen.size())));
  }
  SKEP_TRY(told(run, driver.wait(change), 2));
  return balancer.check_in_force(2, other);
}

Status a_thousand(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  const json all = services(0, many, 3);
  const auto in_time = [&](const Outcome& outcome) -> Status {
    SKEP_TRY(run.ok(outcome));
    return run.that(outcome.took_ms <= many_ms, fmt::format("an answer within {} ms", many_ms),
                    fmt::format("it took {} ms", outcome.took_ms));
  };
  SKEP_TRY(in_time(balancer.apply(0, 1, all)));
  SKEP_TRY(balancer.check_in_force(1, all));
  run.when("the same again as a full state");
  SKEP_TRY(in_time(balancer.apply(0, 2, all)));
  SKEP_TRY(balancer.check_in_force(2, all));
  run.when("one change among a thousand");
  SKEP_TRY(in_time(balancer.apply(2, 3, json::array({lb_service(500, 1)}))));
  return in_time(balancer.apply(0, 4, json::array()));
}

Status draining_and_weights(Run& run) {
  SKEP_TRY_ASSIGN(Balancer balancer, Balancer::start(run));
  const Outcome told_of = balancer.driver().call(base("capabilities"), json::object());
  SKEP_TRY(run.ok(told_of));
  json service = lb_service(0, 3);
  if (told_of.reply.value("draining", false)) service["backends"][1]["state"] = "draining";
  if (told_of.reply.value("weights", false)) service["backends"][2]["weight"] = 7;
  if (told_of.reply.value("affinity", false)) service["affinity_s"] = 30;
  SKEP_TRY(run.ok(balancer.apply(0, 1, json::array({service}))));
  return balancer.check_in_force(1, json::array({service}));
}

}  // namespace

std::vector<Case> lb_apply_cases() {
  return {
      {"lb.apply.changes",
       "a full state and changes to it are in force",
       {apply_rule},
       full_then_changes},
      {"lb.apply.full", "a full state replaces what was there", {apply_rule}, full_replaces},
      {"lb.apply.not-newer",
       "a generation that is not newer changes nothing",
       {apply_rule, rule(34)},
       not_newer_is_ignored},
      {"lb.apply.other-base",
       "a change to another generation is refused",
       {apply_rule},
       other_base_is_refused},
      {"lb.apply.partial",
       "what failed is named and the rest is in force",
       {partial_rule},
       partial_failure},
      {"lb.apply.no-hole", "add comes before remove", {order_rule}, no_hole},
      {"lb.apply.thousand", "a thousand services in their time", {time_rule}, a_thousand},
      {"lb.apply.members",
       "what the capabilities promise is in force",
       {apply_rule},
       draining_and_weights},
  };
}

}  // namespace skep::conformance
