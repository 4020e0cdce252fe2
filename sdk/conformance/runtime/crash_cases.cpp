// The crash matrix of containers: each operation that changes something is cut off by SIGKILL of
// the driver, at once, at several moments spread over the time it takes, and right after its
// answer.
//
// Then the driver is started again on its folders, with a host that knows the container or has
// forgotten it, and the operation is repeated. Afterwards the container is there exactly as often,
// and with exactly as many processes, as if nothing had happened; another one, which runs all the
// while, still has its process; and what is removed leaves nothing. The moments come from a seed,
// which a finding names and the profile may fix: {"seed": N, "crash_trials": N}.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <thread>

#include "sdk/conformance/engine.hpp"
#include "sdk/conformance/runtime/runtime_kind.hpp"

namespace skep::conformance {
namespace {

constexpr int trials_default = 8;
constexpr int bystander_number = 900;
constexpr int exec_number = 2000;
constexpr int64_t pull_patience_ms = 60'000;
constexpr const char* sleeps = "exec sleep 1000";

using Microseconds = std::chrono::microseconds;

// What a trial works on.
struct Place {
  Run& run;
  Driver& driver;
  int number = 0;
  std::string id;
  json create;
  json memory;  // a subject's own
};

// One operation under test: how to get to it, how to ask for it, and what must hold once it has
// been asked for again and succeeded.
struct Subject {
  const host::Operation* operation = nullptr;
  std::function<Status(Place&)> prepare;
  std::function<json(const Place&)> request;
  std::function<Status(Place&)> check;
  bool of_container = true;  // false: the host's memory of containers has no part in it
  bool may_be_done = false;  // repeated, it may find nothing left to do
};

class Matrix {
 public:
  static Status play(Run& run, const Subject& subject) {
    SKEP_TRY(runtime_possible(run));
    SKEP_TRY_ASSIGN(Driver* const driver, run.started());
    if (!driver->has(*subject.operation)) return run.skip("the driver does not have it");
    Matrix matrix(run, *driver, subject);
    return matrix.all();
  }

 private:
  Matrix(Run& run, Driver& driver, const Subject& subject)
      : run_(run), driver_(driver), subject_(subject) {
    const json facts = run.fact("runtime", json::object());
    seed_ = facts.value("seed", uint64_t{std::random_device{}()});
    trials_ = facts.value("crash_trials", trials_default);
    chance_.seed(seed_);
  }

  Status all() {
    SKEP_TRY_ASSIGN(bystander_, run_container(run_, driver_, bystander_number, sleeps));
    bystander_pids_ = processes_of(run_, bystander_);
    SKEP_TRY_ASSIGN(const Microseconds whole, measure());
    for (int trial = 0; trial < trials_; ++trial) {
      const int64_t share = static_cast<int64_t>(chance_() % 1300);  // thousandths of the time
      const Microseconds delay = trial == 0 ? Microseconds(0) : whole * share / 1000;
      const bool answered = trial == 1;
      const bool known = chance_() % 2 == 0;
      const Status held = one(delay, answered, known);
      if (held || run_.skipped()) continue;
      return fail(held.error().within(where(trial, delay, answered, known)));
    }
    return remove_container(run_, driver_, bystander_);
  }

  std::string where(int trial, Microseconds delay, bool answered, bool known) const {
    return fmt::format(
        "seed {}, trial {}, killed {} {} {}, by a host that had {} the container", seed_, trial,
        answered ? "after the answer" : fmt::format("{} us", delay.count()),
        answered ? "of" : "into", subject_.operation->name, known ? "kept" : "forgotten");
  }

  Result<Place> fresh() {
    ++number_;
    Place place{run_, driver_, number_, container_id(run_, number_), {}, {}};
    SKEP_TRY_ASSIGN(place.create, container_request(run_, number_, sleeps));
    return place;
  }

  // How long the operation takes when nobody is killed.
  Result<Microseconds> measure() {
    SKEP_TRY_ASSIGN(Place place, fresh());
    SKEP_TRY(subject_.prepare(place));
    const auto begun = Clock::now();
    SKEP_TRY(run_.ok(asked(place)));
    const auto took = std::chrono::duration_cast<Microseconds>(Clock::now() - begun);
    SKEP_TRY(subject_.check(place));
    SKEP_TRY(remove_container(run_, driver_, place.id));
    return took;
  }

  Outcome asked(const Place& place) {
    CallOptions options;
    options.patience_ms = pull_patience_ms;
    return driver_.call(*subject_.operation, subject_.request(place), options);
  }

  Status one(Microseconds delay, bool answered, bool known) {
    SKEP_TRY_ASSIGN(Place place, fresh());
    SKEP_TRY(subject_.prepare(place));
    if (answered) {
      SKEP_TRY(run_.ok(asked(place)));
    } else {
      driver_.begin(*subject_.operation, subject_.request(place));
      const auto until = Clock::now() + delay;
      while (Clock::now() < until) std::this_thread::sleep_until(until);
    }
    driver_.kill();
    SKEP_TRY(restart(place, known || !subject_.of_container));
    SKEP_TRY(run_.that(processes_of(run_, bystander_) == bystander_pids_,
                       "the other container runs on", "it does not"));
    // A driver may take away what the host does not name; then there is nothing to go on with.
    const bool gone = !known && subject_.of_container && !is_listed(place.id);
    if (!gone || *subject_.operation == runtime("create")) {
      const Outcome again = asked(place);
      if (!subject_.may_be_done || again.status != SKEP_E_NOTFOUND) SKEP_TRY(run_.ok(again));
      SKEP_TRY(subject_.check(place));
    }
    return remove_container(run_, driver_, place.id);
  }

  Status restart(const Place& place, bool known) {
    SKEP_TRY(driver_.load());
    SKEP_TRY(run_.ok(driver_.configure()));
    std::vector<std::string> ids{bystander_};
    if (known) ids.push_back(place.id);
    for (const std::string& id : ids) {
      const Outcome restored = driver_.restore({{"id", id}, {"handle", nullptr}});
      SKEP_TRY(run_.that(restored.ok() || (id == place.id && restored.status == SKEP_E_NOTFOUND),
                         "success, or NOTFOUND of the container in question", described(restored),
                         restored));
    }
    SKEP_TRY(run_.ok(driver_.restore_done(ids)));
    return driver_.until_ready();
  }

  bool is_listed(const std::string& id) {
    const Outcome seen = driver_.call(runtime("inspect"), {{"id", id}});
    return seen.ok();
  }

  Run& run_;
  Driver& driver_;
  const Subject& subject_;
  std::mt19937_64 chance_;
  uint64_t seed_ = 0;
  int trials_ = 0;
  int number_ = 0;
  std::string bystander_;
  std::vector<pid_t> bystander_pids_;
};

Status nothing(Place&) {
  return {};
}

json only_id(const Place& place) {
  return {{"id", place.id}};
}

Status created(Place& place) {
  return place.run.ok(place.driver.call(runtime("create"), place.create));
}

Status started(Place& place) {
  SKEP_TRY(created(place));
  return place.run.ok(place.driver.call(runtime("start"), {{"id", place.id}}));
}

Status listed_once(Place& place) {
  SKEP_TRY_ASSIGN(const std::vector<std::string> ids,
                  place.run.kind().existing(place.run, place.driver));
  const auto count = std::ranges::count(ids, place.id);
  return place.run.that(count == 1, "the container is listed once", fmt::format("{} times", count));
}

// As many processes as `expected`, the first of which inspect names.
Status runs(Place& place, size_t expected) {
  SKEP_TRY(listed_once(place));
  SKEP_TRY_ASSIGN(const json seen, inspected(place.run, place.driver, place.id));
  SKEP_TRY(place.run.that(seen.at("state") == "running", "state running", shortened(seen.dump())));
  const std::vector<pid_t> processes = processes_of(place.run, place.id);
  SKEP_TRY(place.run.that(processes.size() == expected, fmt::format("{} processes", expected),
                          fmt::format("{} processes", processes.size())));
  const bool names = std::ranges::find(processes, seen.value("pid", 0)) != processes.end();
  return place.run.that(names, "inspect names a process of the container", shortened(seen.dump()));
}

Subject create_subject() {
  return {&runtime("create"), nothing, [](const Place& place) { return place.create; },
          [](Place& place) -> Status {
            SKEP_TRY(listed_once(place));
            SKEP_TRY(place.run.ok(place.driver.call(runtime("start"), {{"id", place.id}})));
            return runs(place, 1);
          }};
}

Subject start_subject() {
  return {&runtime("start"), created, only_id, [](Place& place) { return runs(place, 1); }};
}

Subject stop_subject() {
  return {&runtime("stop"), started,
          [](const Place& place) {
            return json{{"id", place.id}, {"grace_ms", 100}};
          },
          [](Place& place) -> Status {
            const Outcome end = waited(place.driver, place.id);
            SKEP_TRY(place.run.ok(end));
            SKEP_TRY(place.run.that(end.member("lost").is_null(), "its exit code is known",
                                    described(end), end));
            return place.run.that(processes_of(place.run, place.id).empty(), "no process", "one");
          }};
}

Subject remove_subject() {
  return {&runtime("remove"), started,
          [](const Place& place) {
            return json{{"id", place.id}, {"force", true}};
          },
          [](Place& place) { return nothing_left(place.run, place.driver, place.id); }};
}

json exec_name(const Place& place) {
  return {{"id", place.id}, {"exec_id", container_id(place.run, exec_number + place.number)}};
}

json exec_request(const Place& place) {
  json request = exec_name(place);
  request["argv"] = {"sleep", "1000"};
  return request;
}

Subject exec_create_subject() {
  return {&runtime_exec("create"), started, exec_request, [](Place& place) -> Status {
            SKEP_TRY(place.run.ok(place.driver.call(runtime_exec("start"), exec_name(place))));
            return runs(place, 2);
          }};
}

Subject exec_start_subject() {
  return {&runtime_exec("start"),
          [](Place& place) -> Status {
            SKEP_TRY(started(place));
            return place.run.ok(place.driver.call(runtime_exec("create"), exec_request(place)));
          },
          exec_name, [](Place& place) { return runs(place, 2); }};
}

json image_name(const Place& place) {
  return {{"image", place.run.fact("runtime").at("pull_image")}, {"force", false}};
}

Status pullable(Place& place) {
  if (place.run.fact("runtime").contains("pull_image")) return {};
  return place.run.skip("the profile names no image to pull");
}

Status without_image(Place& place) {
  SKEP_TRY(pullable(place));
  const Outcome removed = place.driver.call(runtime_images("remove"), image_name(place));
  return place.run.that(removed.ok() || removed.status == SKEP_E_NOTFOUND, "the image is removed",
                        described(removed), removed);
}

Status with_image(Place& place) {
  SKEP_TRY(pullable(place));
  CallOptions options;
  options.patience_ms = pull_patience_ms;
  const Outcome got = place.driver.call(runtime_images("pull"), image_name(place), options);
  SKEP_TRY(place.run.ok(got));
  place.memory = got.member("id");
  return {};
}

Subject pull_subject() {
  return {&runtime_images("pull"), without_image, image_name,
          [](Place& place) -> Status {
            SKEP_TRY(place.run.ok(place.driver.call(runtime_images("inspect"), image_name(place))));
            return without_image(place);
          },
          false};
}

// None of the image's names is left over, under which it would keep its room on the disk.
Subject image_remove_subject() {
  return {&runtime_images("remove"),
          with_image,
          image_name,
          [](Place& place) -> Status {
            const Outcome all = place.driver.call(runtime_images("list"), json::object());
            SKEP_TRY(place.run.ok(all));
            for (const json& image : all.member("images")) {
              SKEP_TRY(place.run.that(image.at("id") != place.memory, "the image is in no list",
                                      shortened(image.dump()), all));
            }
            return {};
          },
          false,
          true};
}

Status cut_off(Run& run, Subject (*subject)()) {
  const Subject chosen = subject();
  return Matrix::play(run, chosen);
}

}  // namespace

std::vector<Case> runtime_crash_cases() {
  std::vector<Case> cases;
  const auto add = [&cases](std::string name, std::string what, Subject (*subject)()) {
    Case one{"runtime.crash." + name,
             "a driver killed while it " + what + " leaves no second, no rest and no loss",
             {rule(34), rule(35)},
             [subject](Run& run) { return cut_off(run, subject); },
             true};
    one.limit_s = 180;
    cases.push_back(std::move(one));
  };
  add("create", "creates", create_subject);
  add("start", "starts", start_subject);
  add("stop", "stops", stop_subject);
  add("remove", "removes", remove_subject);
  add("exec-create", "makes a process", exec_create_subject);
  add("exec-start", "starts a process", exec_start_subject);
  add("pull", "pulls an image", pull_subject);
  add("image-remove", "removes an image", image_remove_subject);
  return cases;
}

}  // namespace skep::conformance
