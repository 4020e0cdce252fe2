// One object: whole lives, repeated calls, other arguments, bad requests, ends in good order.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/generic/fuzz.hpp"
#include "sdk/conformance/life/life_cases.hpp"
#include "sdk/conformance/life/walk.hpp"

namespace skep::conformance {
namespace {

// Each step in turn succeeds, and nothing is left at the end.
Status whole_life(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  for (size_t i = 0; i < walk.steps().size(); ++i) {
    SKEP_TRY(run.ok(walk.take(*driver, i)));
    if (walk.exists()) SKEP_TRY(walk.check_there(*driver));
  }
  return walk.check_gone(*driver);
}

Status repeated(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  for (size_t i = 0; i < walk.steps().size(); ++i) {
    const Step& step = walk.steps()[i];
    // As it was the first time: a host that lost the answer has no handle of it yet.
    const json request = walk.request(i);
    const Outcome first = walk.take(*driver, i);
    SKEP_TRY(run.ok(first));
    for (int again = 0; again < 2; ++again) {
      const Outcome repeat = driver->call(*step.operation, request);
      SKEP_TRY(run.same(first, repeat, step.volatile_members));
    }
    if (walk.exists()) SKEP_TRY(walk.check_there(*driver));
  }
  return walk.check_gone(*driver);
}

Status other_arguments(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  const json other = run.kind().altered(walk.object());
  if (other.is_null()) return run.skip("this kind's first operation has no other arguments");
  SKEP_TRY(run.ok(walk.take(*driver, 0)));
  const Outcome refused = driver->call(*walk.steps()[0].operation, other);
  // The arguments may also be beyond what the driver does at all.
  SKEP_TRY(
      run.fails(refused, {SKEP_E_EXISTS, SKEP_E_INVALID, SKEP_E_UNIMPLEMENTED, SKEP_E_EXHAUSTED}));
  SKEP_TRY(run.ok(driver->call(*walk.steps()[0].operation, walk.request(0))));
  if (walk.exists()) SKEP_TRY(walk.check_there(*driver));
  return walk.finish(*driver, 1);
}

Status id_over_the_limit(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  json request = walk.request(0);
  request[std::string(walk.steps()[0].operation->key)] = std::string(SKEP_ID_MAX + 1, 'k');
  return run.fails(driver->call(*walk.steps()[0].operation, request), {SKEP_E_INVALID});
}

// Each operation at its place in the life, with what its request must not be.
Status bad_requests(Run& run, Mutation mutation) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  for (size_t i = 0; i < walk.steps().size(); ++i) {
    SKEP_TRY(fuzz(run, *driver, *walk.steps()[i].operation, walk.request(i), mutation));
    SKEP_TRY(run.ok(walk.take(*driver, i)));
  }
  return {};
}

// After drain a driver takes no new objects.
Status drained(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  const Outcome drain = driver->call(base("drain"), json::object());
  if (drain.status == SKEP_E_UNIMPLEMENTED) return run.skip("the driver has no drain");
  SKEP_TRY(run.ok(drain));
  return run.fails(driver->call(*walk.steps()[0].operation, walk.request(0)), {SKEP_E_UNAVAILABLE});
}

// A life in this process, the instance's end, and then silence. Late calls of a driver are heard,
// which a helper that has exited would hide.
Status silent_after_the_end(Run& run) {
  constexpr int64_t listen_ms = 300;
  SKEP_TRY(run.kind().prepare(run));
  Driver& driver = run.driver("here", Mode::in_process);
  SKEP_TRY(driver.load());
  if ((driver.flags() & SKEP_PLUGIN_PROCESS_ONLY) != 0) {
    return run.skip("the driver is never loaded into the host's process");
  }
  SKEP_TRY(driver.start());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, driver, 0));
  for (size_t i = 0; i < walk.steps().size(); ++i) SKEP_TRY(run.ok(walk.take(driver, i)));
  driver.drop();
  driver.listen(listen_ms);
  for (const Observation& one : driver.misdeeds()) {
    SKEP_TRY(run.that(one.rule != 11 && one.rule != 15, "one end of each operation, then silence",
                      one.text));
  }
  return {};
}

}  // namespace

std::vector<Case> repeat_cases(const Kind& kind) {
  const std::string name(kind.name());
  std::vector<Case> all{
      {name + ".life.whole",
       "an object is made, used and taken away, and nothing is left",
       {rule(9), rule(34)},
       whole_life},
      {name + ".life.repeated",
       "every operation repeated is the same success and reply",
       {rule(34)},
       repeated},
      {name + ".life.other-arguments",
       "the same id with other arguments is refused",
       {rule(34)},
       other_arguments},
      {name + ".life.long-id", "an id over the limit is refused", {rule(19)}, id_over_the_limit},
      {name + ".life.drained",
       "a drained driver takes no new object",
       {{"abi.h drain", "after drain a driver takes no new operation: UNAVAILABLE"}},
       drained},
      {name + ".life.silent-end",
       "nothing is completed twice or after the instance's end",
       {rule(11)},
       silent_after_the_end},
  };
  for (const Mutation mutation : mutations()) {
    all.push_back({fmt::format("{}.fuzz.{}", name, name_of(mutation)),
                   "operations of the kind with requests that " + std::string(told(mutation)),
                   {rule(30), rule(18)},
                   [mutation](Run& run) { return bad_requests(run, mutation); }});
  }
  return all;
}

}  // namespace skep::conformance
