// One driver in two modes, and two instances of it in one process.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sdk/conformance/life/life_cases.hpp"
#include "sdk/conformance/life/walk.hpp"

namespace skep::conformance {
namespace {

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

// An answer without what differs by place: the folder.
std::string neutral(const Driver& driver, const Step& step, const Outcome& outcome) {
  json reply = outcome.reply;
  if (reply.is_object()) {
    for (const std::string& member : step.volatile_members) reply.erase(member);
  }
  std::string text =
      fmt::format("{} {} {}", status_name(outcome.status), reply.dump(), outcome.error);
  replace_all(text, driver.folder(), "FOLDER");
  return text;
}

Status same_in_both(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  std::vector<std::string> answers;
  for (const Mode mode : {Mode::process, Mode::in_process}) {
    Driver& driver = run.driver(mode == Mode::process ? "process" : "here", mode);
    SKEP_TRY(driver.load());
    if ((driver.flags() & SKEP_PLUGIN_PROCESS_ONLY) != 0) {
      return run.skip("the driver is never loaded into the host's process");
    }
    SKEP_TRY(driver.start());
    SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, driver, 0));
    size_t at = 0;
    for (size_t i = 0; i < walk.steps().size(); ++i) {
      const Outcome bad = driver.call(*walk.steps()[i].operation, json::array());
      const Outcome good = walk.take(driver, i);
      for (const Outcome& outcome : {bad, good}) {
        std::string answer = neutral(driver, walk.steps()[i], outcome);
        if (mode == Mode::process) {
          answers.push_back(std::move(answer));
          continue;
        }
        SKEP_TRY(run.that(answer == answers[at],
                          "as in a helper process: " + shortened(answers[at]),
                          "in-process: " + shortened(answer), outcome));
        ++at;
      }
    }
    SKEP_TRY(walk.check_gone(driver));
    driver.drop();
  }
  return {};
}

// The first goes on as if the second had never been, and hears the ends of its own operations.
Status two_instances(Run& run) {
  SKEP_TRY(run.kind().prepare(run));
  Driver& one = run.driver("one", Mode::in_process);
  SKEP_TRY(one.load());
  if ((one.flags() & SKEP_PLUGIN_PROCESS_ONLY) != 0) {
    return run.skip("the driver is never loaded into the host's process");
  }
  SKEP_TRY(one.start());
  SKEP_TRY_ASSIGN(Walk walk, Walk::begin(run, one, 0));
  const auto down = static_cast<size_t>(
      std::ranges::find(walk.steps(), Step::Place::down, &Step::place) - walk.steps().begin());
  SKEP_TRY(walk.take_changes(one, 0, down));

  run.when("a second instance was made");
  Driver& two = run.driver("two", Mode::in_process);
  // Where both see the same objects, a host that names none would have the second delete them.
  const bool separate = run.kind().separate(run, one);
  SKEP_TRY(separate ? two.start() : walk.restart(two));
  SKEP_TRY(run.ok(one.call(base("capabilities"), json::object())));
  SKEP_TRY(walk.check_there(one));
  if (separate) {
    SKEP_TRY_ASSIGN(const std::vector<std::string> ids, run.kind().existing(run, two));
    SKEP_TRY(run.that(ids.empty(), "the second instance has no object of the first",
                      fmt::format("it lists {}", ids.empty() ? "" : ids.front())));
    SKEP_TRY_ASSIGN(Walk other, Walk::begin(run, two, 1));
    SKEP_TRY(other.take_changes(two, 0, down));
    for (Driver* const driver : {&one, &two}) {
      SKEP_TRY_ASSIGN(const std::vector<std::string> listed, run.kind().existing(run, *driver));
      SKEP_TRY(run.that(
          listed.size() == 1, "each instance has the one object it made",
          fmt::format("the {} lists {}", driver == &one ? "first" : "second", listed.size())));
    }
    SKEP_TRY(other.take_changes(two, down, other.steps().size()));
  }
  run.when("the second instance has ended");
  two.drop();
  SKEP_TRY(walk.check_there(one));
  return walk.finish(one, down);
}

}  // namespace

std::vector<Case> mode_cases(const Kind& kind) {
  const std::string name(kind.name());
  return {
      {name + ".modes.same",
       "the answers are the same in a helper process and in the host's",
       {rule(9), rule(16)},
       same_in_both},
      {name + ".modes.two-instances",
       "two instances do not influence each other",
       {rule(24), rule(22)},
       two_instances},
  };
}

}  // namespace skep::conformance
