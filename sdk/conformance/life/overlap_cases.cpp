// Many at once: distinct objects, one object, cancelled operations.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sdk/conformance/life/life_cases.hpp"
#include "sdk/conformance/life/walk.hpp"

namespace skep::conformance {
namespace {

constexpr int at_once = 16;
constexpr int64_t cancel_answer_ms = 1'000;

// Sixteen objects, every step of all of them begun together.
Status distinct_objects(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  std::vector<Walk> walks;
  for (int i = 0; i < at_once; ++i) {
    SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, i));
    walks.push_back(std::move(walk));
  }
  const size_t steps = walks.front().steps().size();
  const size_t first_down = static_cast<size_t>(
      std::ranges::find(walks.front().steps(), Step::Place::down, &Step::place) -
      walks.front().steps().begin());
  for (size_t step = 0; step < steps; ++step) {
    if (step == first_down) {
      for (Walk& walk : walks) SKEP_TRY(walk.check_there(*driver));
    }
    std::vector<uint64_t> numbers;
    for (Walk& walk : walks) numbers.push_back(walk.begin_step(*driver, step));
    for (size_t i = 0; i < walks.size(); ++i) {
      const Outcome outcome = driver->wait(numbers[i]);
      SKEP_TRY(run.ok(outcome));
      walks[i].remember(step, outcome);
    }
  }
  return walks.front().check_gone(*driver);
}

// Every changing step sixteen times at once for one object: one effect, one answer.
Status one_object(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  for (const size_t step : walk.changes()) {
    std::vector<uint64_t> numbers;
    for (int i = 0; i < at_once; ++i) numbers.push_back(walk.begin_step(*driver, step));
    std::vector<Outcome> outcomes;
    for (const uint64_t number : numbers) outcomes.push_back(driver->wait(number));
    for (const Outcome& outcome : outcomes) {
      SKEP_TRY(run.same(outcomes.front(), outcome, walk.steps()[step].volatile_members));
    }
    walk.remember(step, outcomes.front());
    if (walk.exists()) SKEP_TRY(walk.check_there(*driver));
  }
  return walk.check_gone(*driver);
}

// Reads of one object's whole life while others come and go.
Status reads_meanwhile(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk still, Walk::begin(run, *driver, 0));
  SKEP_TRY_ASSIGN(Walk moving, Walk::begin(run, *driver, 1));
  const std::vector<size_t> changes = moving.changes();
  for (const size_t step : changes) {
    if (still.steps()[step].place == Step::Place::up) SKEP_TRY(run.ok(still.take(*driver, step)));
  }
  for (const size_t step : changes) {
    const uint64_t change = moving.begin_step(*driver, step);
    std::vector<uint64_t> reads;
    for (size_t i = 0; i < still.steps().size(); ++i) {
      if (still.steps()[i].place == Step::Place::read) {
        reads.push_back(still.begin_step(*driver, i));
      }
    }
    for (const uint64_t read : reads) SKEP_TRY(run.ok(driver->wait(read)));
    const Outcome outcome = driver->wait(change);
    SKEP_TRY(run.ok(outcome));
    moving.remember(step, outcome);
  }
  SKEP_TRY(still.check_there(*driver));
  const auto down = std::ranges::find(still.steps(), Step::Place::down, &Step::place);
  return still.finish(*driver, static_cast<size_t>(down - still.steps().begin()));
}

// Waits and streams answer soon; what changes something may finish instead; the state is readable.
Status cancelled(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, *driver, 0));
  for (size_t i = 0; i < walk.steps().size(); ++i) {
    const host::Operation& operation = *walk.steps()[i].operation;
    run.when(fmt::format("{} was cancelled", operation.name));
    const uint64_t number = walk.begin_step(*driver, i);
    driver->cancel(number);
    const bool endless =
        operation.effect == host::Effect::waits || operation.effect == host::Effect::streams;
    const Outcome outcome = endless ? driver->wait(number, cancel_answer_ms) : driver->wait(number);
    SKEP_TRY(run.that(outcome.answered, "an answer within 1 s of the cancel", described(outcome),
                      outcome));
    SKEP_TRY(run.that(outcome.ok() || outcome.status == SKEP_E_CANCELLED, "CANCELLED, or success",
                      described(outcome), outcome));
    SKEP_TRY_ASSIGN(const std::vector<std::string> ids, run.kind().existing(run, *driver));
    SKEP_TRY(run.that(std::ranges::count(ids, walk.object().id) <= 1, "the object at most once",
                      "it is listed more than once"));
    if (outcome.ok() || endless) {
      walk.remember(i, outcome);
    } else {
      SKEP_TRY(run.ok(walk.take(*driver, i)));  // the host asks again
    }
  }
  run.when("");
  return walk.check_gone(*driver);
}

// The streams of the kind's interfaces, without an object.
Status streams_end(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  int tried = 0;
  for (const host::Interface& interface : host::interfaces()) {
    if (interface.kind != run.kind().name()) continue;
    for (const host::Operation& operation : interface.operations) {
      const bool stream = operation.effect == host::Effect::streams && operation.key.empty();
      if (!stream || !driver->has(operation)) continue;
      ++tried;
      const uint64_t number = driver->begin(operation, json::object());
      SKEP_TRY(run.that(driver->item(number).has_value(), "a first item",
                        "none came: " + described(driver->wait(number, 0))));
      driver->cancel(number);
      const Outcome outcome = driver->wait(number, cancel_answer_ms);
      SKEP_TRY(run.that(outcome.answered, "an end within 1 s of the cancel", described(outcome),
                        outcome));
    }
  }
  return tried > 0 ? Status() : run.skip("this kind has no stream of its own");
}

}  // namespace

std::vector<Case> overlap_cases(const Kind& kind) {
  const std::string name(kind.name());
  return {
      {name + ".overlap.objects",
       "sixteen objects live at the same time",
       {rule(12)},
       distinct_objects},
      {name + ".overlap.one-object",
       "sixteen equal calls for one object have one effect",
       {rule(12), rule(34)},
       one_object},
      {name + ".overlap.reads",
       "reads are answered while other objects change",
       {rule(12)},
       reads_meanwhile},
      {name + ".cancel.operations",
       "a cancelled operation ends, and the state is readable",
       {rule(14)},
       cancelled},
      {name + ".cancel.streams",
       "a stream gives its first item at once and ends when cancelled",
       {rule(15), rule(14)},
       streams_end},
  };
}

}  // namespace skep::conformance
