// The driver's process is killed around every step of an object's life, and the host's memory and
// the driver's differ in every way they can.
//
// The host of these cases does what a host does: it knows an object from before its first step
// until its last one came through, restores what it knows, and repeats the step whose answer it
// lost. Then the object is there once and whole, its life goes on to the end, and nothing is left.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sdk/conformance/life/life_cases.hpp"
#include "sdk/conformance/life/walk.hpp"

namespace skep::conformance {
namespace {

constexpr int limit_s = 300;  // a runtime's lives take their time
constexpr std::array<int64_t, 3> kill_after_ms{0, 1, 5};

constexpr const char* told_again = "the host tells drivers of this kind everything again";

enum class Moment { before, during, after };

// One life in which the process dies around step `step`.
Status life_with_a_crash(Run& run, const std::string& folder, size_t step, int number,
                         Moment moment, int64_t delay_ms) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started(folder));
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, number));
  const host::Operation& operation = *walk.steps()[step].operation;
  SKEP_TRY(walk.take_changes(*driver, 0, step));
  if (walk.exists()) SKEP_TRY(walk.check_there(*driver));
  const json request = walk.request(step);
  Outcome first;
  switch (moment) {
    case Moment::before:
      run.when(fmt::format("killed before {}", operation.name));
      driver->kill();
      break;
    case Moment::during: {
      run.when(fmt::format("killed {} ms into {}", delay_ms, operation.name));
      const uint64_t begun = walk.begin_step(*driver, step);
      driver->listen(delay_ms);
      driver->kill();
      walk.remember(step, driver->wait(begun));
      break;
    }
    case Moment::after:
      run.when(fmt::format("killed after {}", operation.name));
      first = walk.take(*driver, step);
      SKEP_TRY(run.ok(first));
      driver->kill();
      break;
  }
  SKEP_TRY(walk.restart(*driver));
  // Of a step that was interrupted nobody knows how far it came, until it is asked again.
  if (moment != Moment::during && walk.exists()) SKEP_TRY(walk.check_there(*driver));
  const Outcome again = driver->call(operation, request);
  if (moment == Moment::after) {
    SKEP_TRY(run.same(first, again, walk.steps()[step].volatile_members));
  }
  SKEP_TRY(run.ok(again));
  if (moment != Moment::after) walk.remember(step, again);
  if (walk.exists()) SKEP_TRY(walk.check_there(*driver));
  SKEP_TRY(walk.finish(*driver, step + 1));
  run.kind().clean_up(run, walk.object());
  return {};
}

Status crashes(Run& run, Moment moment) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const Walk plan, Walk::begin(run, *driver, 0));
  int number = 1;
  for (const size_t step : plan.changes()) {
    for (const int64_t delay_ms : kill_after_ms) {
      SKEP_TRY(life_with_a_crash(run, "driver", step, number++, moment, delay_ms));
      if (moment != Moment::during) break;
    }
  }
  return {};
}

size_t first_down(const Walk& walk) {
  const auto down = std::ranges::find(walk.steps(), Step::Place::down, &Step::place);
  return static_cast<size_t>(down - walk.steps().begin());
}

// Ends the process: by a kill where there is one of its own.
void stop(Driver& driver) {
  if (driver.mode() == Mode::process) {
    driver.kill();
  } else {
    driver.drop();
  }
}

// The host's store is older than reality: it has never heard of the object.
Status host_forgot(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  SKEP_TRY(walk.take_changes(*driver, 0, first_down(walk)));
  SKEP_TRY(walk.check_there(*driver));
  stop(*driver);
  walk.forget();
  run.when("the host forgot the object, and restore_done named none");
  SKEP_TRY(walk.restart(*driver));
  SKEP_TRY_ASSIGN(const std::vector<std::string> ids, run.kind().existing(run, *driver));
  SKEP_TRY(run.that(std::ranges::count(ids, walk.object().id) <= 1,
                    "the forgotten object at most once", "it is listed more than once"));
  // Whether the driver deleted it or kept it, its id can be made again, and taken away. What was in
  // use is not: nobody was told to hold it.
  Object& object = walk.object();
  object.handle = nullptr;
  SKEP_TRY(run.ok(walk.take(*driver, 0)));
  return walk.finish(*driver, 1);
}

// The host's store is newer than reality: it names an object that the driver never made.
Status driver_forgot(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  if (run.kind().told_again()) return run.skip(told_again);
  SKEP_TRY_ASSIGN(Driver* const driver, run.started("first"));
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  SKEP_TRY(walk.take_changes(*driver, 0, first_down(walk)));
  const json restore = walk.restore_request();
  SKEP_TRY(walk.finish(*driver, first_down(walk)));
  driver->drop();

  run.when("the host names an object that is gone");
  Driver& later = run.driver("first");
  SKEP_TRY(later.load());
  SKEP_TRY(run.ok(later.configure()));
  SKEP_TRY(run.fails(later.restore(restore), {SKEP_E_NOTFOUND}));
  SKEP_TRY(run.ok(later.restore_done({walk.object().id})));
  SKEP_TRY(later.until_ready());
  SKEP_TRY(walk.check_gone(later));
  walk.object().handle = nullptr;
  SKEP_TRY(walk.take_changes(later, 0, first_down(walk)));
  SKEP_TRY(walk.check_there(later));
  return walk.finish(later, first_down(walk));
}

// NOTFOUND, but for a kind whose host says everything again.
Status never_made(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  SKEP_TRY(run.ok(driver.configure()));
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, driver, 0));
  const Outcome restored = driver.restore(walk.restore_request());
  if (!run.kind().told_again() || !restored.ok()) SKEP_TRY(run.fails(restored, {SKEP_E_NOTFOUND}));
  // The host names it all the same: it is in its store.
  SKEP_TRY(run.ok(driver.restore_done({walk.object().id})));
  SKEP_TRY(driver.until_ready());
  return walk.check_gone(driver);
}

// Two objects, one restored and one only named at the end: both are there before and after.
Status nothing_goes_before_restore_done(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  if (run.kind().told_again()) return run.skip(told_again);
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk one, Walk::begin(run, *driver, 0));
  SKEP_TRY_ASSIGN(Walk two, Walk::begin(run, *driver, 1));
  for (Walk* const walk : {&one, &two}) {
    SKEP_TRY(walk->take_changes(*driver, 0, first_down(*walk)));
    SKEP_TRY(walk->check_there(*driver));
  }
  stop(*driver);
  run.when("between configure and restore_done");
  SKEP_TRY(driver->load());
  SKEP_TRY(run.ok(driver->configure()));
  SKEP_TRY(run.ok(driver->restore(one.restore_request())));
  SKEP_TRY(two.check_there(*driver));
  SKEP_TRY(run.ok(driver->restore(two.restore_request())));
  SKEP_TRY(run.ok(driver->restore_done({one.object().id, two.object().id})));
  SKEP_TRY(driver->until_ready());
  run.when("after restore_done, which named both");
  for (Walk* const walk : {&one, &two}) SKEP_TRY(walk->check_there(*driver));
  for (Walk* const walk : {&one, &two}) {
    SKEP_TRY(walk->take_changes(*driver, first_down(*walk), walk->steps().size()));
  }
  return one.check_gone(*driver);
}

// In good order, twice, with the object in use.
Status orderly_restart(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  SKEP_TRY(walk.take_changes(*driver, 0, first_down(walk)));
  SKEP_TRY(walk.check_there(*driver));
  for (const std::string_view which : {"first", "second"}) {
    driver->drop();
    run.when(fmt::format("after the {} restart", which));
    SKEP_TRY(walk.restart(*driver));
    SKEP_TRY(walk.check_there(*driver));
  }
  return walk.finish(*driver, first_down(walk));
}

}  // namespace

std::vector<Case> crash_cases(const Kind& kind) {
  const std::string name(kind.name());
  constexpr bool kills = true;
  const auto with = [](Moment moment) {
    return [moment](Run& run) { return crashes(run, moment); };
  };
  return {
      {name + ".restart.orderly",
       "an object in use outlives restarts in good order",
       {rule(35)},
       orderly_restart,
       false,
       limit_s},
      {name + ".restart.forgotten",
       "an object that the host forgot is in nobody's way",
       {rule(35), rule(34)},
       host_forgot,
       false,
       limit_s},
      {name + ".restart.unknown",
       "an object that the driver lost is NOTFOUND and can be made anew",
       {rule(35)},
       driver_forgot,
       false,
       limit_s},
      {name + ".restart.never-made",
       "an object that was never made is NOTFOUND",
       {rule(35)},
       never_made},
      {name + ".restart.before-restore-done",
       "nothing is deleted before restore_done",
       {rule(35)},
       nothing_goes_before_restore_done,
       false,
       limit_s},
      {name + ".crash.before",
       "killed before each step: no duplicate, no leak, no loss",
       {rule(35), rule(34)},
       with(Moment::before),
       kills,
       limit_s},
      {name + ".crash.during",
       "killed during each step: no duplicate, no leak, no loss",
       {rule(35), rule(34)},
       with(Moment::during),
       kills,
       limit_s},
      {name + ".crash.after",
       "killed after each step: no duplicate, no leak, no loss",
       {rule(35), rule(34)},
       with(Moment::after),
       kills,
       limit_s},
  };
}

}  // namespace skep::conformance
