// Making, starting and what can go wrong on the way.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/runtime/runtime_kind.hpp"

namespace skep::conformance {
namespace {

constexpr int parallel_default = 200;
constexpr int ended_badly = 42;
constexpr int waiters = 100;
constexpr int64_t cancel_answer_ms = 1'000;

Status exit_code(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const json request, container_request(run, 0, "exit 42"));
  const std::string id = request.at("id");
  const Outcome made = driver->call(runtime("create"), request);
  SKEP_TRY(run.ok(made));
  SKEP_TRY_ASSIGN(const json before, inspected(run, *driver, id));
  SKEP_TRY(run.that(before.at("state") == "created", "state created before start",
                    before.at("state").dump(), made));
  const uint64_t first = driver->begin(runtime("wait"), {{"id", id}});
  const uint64_t second = driver->begin(runtime("wait"), {{"id", id}});
  const Outcome started = driver->call(runtime("start"), {{"id", id}});
  SKEP_TRY(run.ok(started));
  for (const Outcome& end : {driver->wait(first), driver->wait(second), waited(*driver, id)}) {
    SKEP_TRY(run.ok(end));
    SKEP_TRY(run.that(end.member("exit_code") == ended_badly, "exit code 42, told to each waiter",
                      described(end), end));
  }
  SKEP_TRY_ASSIGN(const json after, inspected(run, *driver, id));
  SKEP_TRY(run.that(after.at("state") == "stopped" && after.at("exit_code") == ended_badly,
                    "inspect tells the end", shortened(after.dump())));
  SKEP_TRY(run.that(after.at("spec") == request, "the request comes back as spec",
                    shortened(after.at("spec").dump())));
  SKEP_TRY(run.that(after.at("started_at") == started.member("started_at"),
                    "the start's time of day is kept", shortened(after.dump())));
  SKEP_TRY(remove_container(run, *driver, id));
  return run.fails(waited(*driver, id), {SKEP_E_NOTFOUND});
}

Status nulls(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(json request, container_request(run, 0, "exit 42"));
  for (const char* const name : {"env", "user", "working_dir", "tty", "init", "resources"}) {
    request[name] = nullptr;
  }
  const std::string id = request.at("id");
  SKEP_TRY(run.ok(driver->call(runtime("create"), request)));
  SKEP_TRY(run.ok(driver->call(runtime("start"), {{"id", id}})));
  const Outcome end = waited(*driver, id);
  SKEP_TRY(run.ok(end));
  SKEP_TRY(run.that(end.member("exit_code") == ended_badly, "exit code 42", described(end), end));
  SKEP_TRY(run.ok(driver->call(runtime("stop"), {{"id", id}, {"grace_ms", nullptr}})));
  return remove_container(run, *driver, id);
}

// More waits than a host has threads, and all of them ended by it.
Status many_waits(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id, run_container(run, *driver, 0, "exec sleep 1000"));
  std::vector<uint64_t> numbers;
  for (int i = 0; i < waiters; ++i) {
    numbers.push_back(driver->begin(runtime("wait"), {{"id", id}}));
  }
  SKEP_TRY(inspected(run, *driver, id));
  for (const uint64_t number : numbers) driver->cancel(number);
  for (const uint64_t number : numbers) {
    const Outcome outcome = driver->wait(number, cancel_answer_ms);
    SKEP_TRY(
        run.that(outcome.answered, "an end within 1 s of the cancel", described(outcome), outcome));
    SKEP_TRY(run.fails(outcome, {SKEP_E_CANCELLED}));
  }
  SKEP_TRY_ASSIGN(const json after, inspected(run, *driver, id));
  SKEP_TRY(
      run.that(after.at("state") == "running", "the container runs on", shortened(after.dump())));
  return remove_container(run, *driver, id);
}

Status missing_image(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(json request, container_request(run, 0, "true"));
  request["image"] = "docker.io/library/no-such-image-anywhere:9";
  SKEP_TRY(run.fails_naming(driver->call(runtime("create"), request), {SKEP_E_NOTFOUND},
                            "No such image: docker.io/library/no-such-image-anywhere:9"));
  return nothing_left(run, *driver, request.at("id"));
}

// Refused by create or by start; with the reason, and what was refused can be taken away.
Status missing_program(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(json request, container_request(run, 0, ""));
  request["command"] = {"no-such-program"};
  const std::string id = request.at("id");
  const Outcome made = driver->call(runtime("create"), request);
  if (made.ok()) {
    SKEP_TRY(run.fails_naming(driver->call(runtime("start"), {{"id", id}}), {SKEP_E_INVALID},
                              "no-such-program"));
    return remove_container(run, *driver, id);
  }
  SKEP_TRY(run.fails_naming(made, {SKEP_E_INVALID}, "no-such-program"));
  return nothing_left(run, *driver, id);
}

// The answer to the first start may have been lost with the driver, and the program been quick.
Status start_after_the_end(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const json request, container_request(run, 0, "exit 3"));
  const std::string id = request.at("id");
  SKEP_TRY(run.ok(driver->call(runtime("create"), request)));
  const Outcome first = driver->call(runtime("start"), {{"id", id}});
  SKEP_TRY(run.ok(first));
  SKEP_TRY(run.ok(waited(*driver, id)));
  SKEP_TRY(run.same(first, driver->call(runtime("start"), {{"id", id}})));
  const Outcome end = waited(*driver, id);
  SKEP_TRY(run.that(end.member("exit_code") == 3, "it was not run again", described(end), end));
  return remove_container(run, *driver, id);
}

Status unknown_container(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const json unknown{{"id", container_id(run, 0)}};
  for (const char* const name : {"start", "inspect", "wait"}) {
    SKEP_TRY(run.fails(driver->call(runtime(name), unknown), {SKEP_E_NOTFOUND}));
  }
  json stop = unknown;
  stop["grace_ms"] = 0;
  SKEP_TRY(run.ok(driver->call(runtime("stop"), stop)));
  return run.ok(driver->call(runtime("remove"), unknown));
}

Status out_of_memory(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(json request,
                  container_request(run, 0, "x=0123456789; while :; do x=$x$x; done"));
  request["resources"] = {{"memory_bytes", int64_t{16} << 20}};
  const std::string id = request.at("id");
  SKEP_TRY(run.ok(driver->call(runtime("create"), request)));
  SKEP_TRY(run.ok(driver->call(runtime("start"), {{"id", id}})));
  const Outcome end = waited(*driver, id);
  SKEP_TRY(run.ok(end));
  SKEP_TRY(run.that(end.member("oom_killed") == true, "oom_killed of a program that took too much",
                    described(end), end));
  return remove_container(run, *driver, id);
}

Status in_parallel(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const int count =
      run.fact("runtime", json::object()).value("parallel", json(parallel_default)).get<int>();
  std::vector<json> requests;
  for (int i = 0; i < count; ++i) {
    SKEP_TRY_ASSIGN(json request, container_request(run, i, "exit 7"));
    requests.push_back(std::move(request));
  }
  const auto all_at_once = [&](const char* name, auto&& request_of) -> Status {
    std::vector<uint64_t> numbers;
    for (const json& request : requests) {
      CallOptions options;
      options.patience_ms = 120'000;
      options.deadline_ms = 120'000;
      numbers.push_back(driver->begin(runtime(name), request_of(request), options));
    }
    for (const uint64_t number : numbers) SKEP_TRY(run.ok(driver->wait(number)));
    return {};
  };
  const auto only = [](const json& request) { return json{{"id", request.at("id")}}; };
  SKEP_TRY(all_at_once("create", [](const json& request) { return request; }));
  SKEP_TRY(all_at_once("start", only));
  SKEP_TRY(all_at_once("wait", only));
  SKEP_TRY(all_at_once("remove", only));
  for (const json& request : requests) SKEP_TRY(nothing_left(run, *driver, request.at("id")));
  return {};
}

}  // namespace

std::vector<Case> runtime_run_cases() {
  const Rule create{"runtime.h create", "nothing runs yet; on an error nothing is left"};
  const Rule start{"runtime.h start", "repeated, it answers the same"};
  const Rule wait{"runtime.h wait", "any number of callers, at any time until remove"};
  std::vector<Case> cases{
      {"runtime.create.null-members",
       "a member that is null is absent",
       {{"abi.h", "a member that is null is absent"}},
       nulls},
      {"runtime.run.exit-code",
       "an exit code reaches each waiter, early and late",
       {wait},
       exit_code},
      {"runtime.wait.many",
       "a hundred waits hold up nothing, and end when they are cancelled",
       {wait, rule(14)},
       many_waits},
      {"runtime.create.missing-image", "a missing image is told by name", {create}, missing_image},
      {"runtime.create.missing-program",
       "a missing program is told by name, and nothing is left",
       {create},
       missing_program},
      {"runtime.start.after-the-end",
       "a start that is repeated when the program has ended",
       {start, rule(34)},
       start_after_the_end},
      {"runtime.unknown",
       "what isn't there is NOTFOUND to ask for and done to take away",
       {rule(34)},
       unknown_container},
      {"runtime.run.out-of-memory",
       "a program killed for want of memory is told as such",
       {wait},
       out_of_memory},
      {"runtime.run.parallel", "many containers are made at once", {rule(12)}, in_parallel},
  };
  cases.back().limit_s = 240;
  return cases;
}

}  // namespace skep::conformance
