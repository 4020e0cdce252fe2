// Stopping, signals and removing.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/runtime/runtime_kind.hpp"

namespace skep::conformance {
namespace {

constexpr int64_t grace_ms = 500;
constexpr int killed = 137;

std::string heeds(const std::string& signal, int code) {
  return fmt::format("trap 'exit {}' {}; : > /marks/up; while :; do sleep 0.05; done", code,
                     signal);
}

Result<std::string> up(Run& run, Driver& driver, const std::string& script) {
  SKEP_TRY_ASSIGN(std::string id, run_container(run, driver, 0, script));
  SKEP_TRY(await_mark(run, 0, "up"));
  return id;
}

Status ended_with(Run& run, Driver& driver, const std::string& id, int code) {
  const Outcome end = waited(driver, id);
  SKEP_TRY(run.ok(end));
  return run.that(end.member("exit_code") == code, fmt::format("exit code {}", code),
                  described(end), end);
}

Status within_the_grace(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id, up(run, *driver, heeds("TERM", 7)));
  const Outcome stopped =
      driver->call(runtime("stop"), {{"id", id}, {"signal", "SIGTERM"}, {"grace_ms", 20'000}});
  SKEP_TRY(run.ok(stopped));
  SKEP_TRY(ended_with(run, *driver, id, 7));
  return remove_container(run, *driver, id);
}

Status with_its_signal(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id, up(run, *driver, heeds("USR1", 8)));
  SKEP_TRY(run.ok(
      driver->call(runtime("stop"), {{"id", id}, {"signal", "SIGUSR1"}, {"grace_ms", 20'000}})));
  SKEP_TRY(ended_with(run, *driver, id, 8));
  return remove_container(run, *driver, id);
}

Status after_the_grace(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id,
                  up(run, *driver, "trap '' TERM; : > /marks/up; while :; do sleep 0.05; done"));
  const Outcome stopped = driver->call(runtime("stop"), {{"id", id}, {"grace_ms", grace_ms}});
  SKEP_TRY(run.ok(stopped));
  SKEP_TRY(run.that(stopped.took_ms >= grace_ms, "the grace is waited for",
                    fmt::format("stop took {} ms", stopped.took_ms), stopped));
  SKEP_TRY(ended_with(run, *driver, id, killed));
  return remove_container(run, *driver, id);
}

Status of_an_ended_one(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id, run_container(run, *driver, 0, "exit 5"));
  SKEP_TRY(ended_with(run, *driver, id, 5));
  const json stop{{"id", id}, {"grace_ms", 1000}};
  SKEP_TRY(run.ok(driver->call(runtime("stop"), stop)));
  SKEP_TRY(ended_with(run, *driver, id, 5));
  SKEP_TRY(remove_container(run, *driver, id));
  return run.ok(driver->call(runtime("stop"), stop));
}

// `kill` must get through while a stop with a long grace is under way.
Status signal_beside_stop(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id,
                  up(run, *driver,
                     "trap ': > /marks/asked' TERM; trap 'exit 9' HUP; : > /marks/up; "
                     "while :; do sleep 0.05; done"));
  CallOptions patient;
  patient.deadline_ms = 60'000;
  const uint64_t stop = driver->begin(runtime("stop"), {{"id", id}, {"grace_ms", 40'000}}, patient);
  SKEP_TRY(await_mark(run, 0, "asked"));
  const Outcome sent = driver->call(runtime("signal"), {{"id", id}, {"signal", "SIGHUP"}});
  SKEP_TRY(run.ok(sent));
  SKEP_TRY(run.ok(driver->wait(stop, 15'000)));
  SKEP_TRY(ended_with(run, *driver, id, 9));
  return remove_container(run, *driver, id);
}

Status signals(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id, up(run, *driver, heeds("HUP", 9)));
  SKEP_TRY(run.fails(driver->call(runtime("signal"), {{"id", id}, {"signal", "NONSENSE"}}),
                     {SKEP_E_INVALID}));
  SKEP_TRY(run.ok(driver->call(runtime("signal"), {{"id", id}, {"signal", "1"}})));
  SKEP_TRY(ended_with(run, *driver, id, 9));
  SKEP_TRY(run.fails(driver->call(runtime("signal"), {{"id", id}, {"signal", "SIGHUP"}}),
                     {SKEP_E_PRECONDITION}));
  return remove_container(run, *driver, id);
}

Status remove_running(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id, run_container(run, *driver, 0, "exec sleep 1000"));
  SKEP_TRY(run.fails(driver->call(runtime("remove"), {{"id", id}, {"force", false}}),
                     {SKEP_E_PRECONDITION}));
  SKEP_TRY(run.that(processes_of(run, id).size() == 1, "the refusal leaves it running",
                    fmt::format("{} processes", processes_of(run, id).size())));
  return remove_container(run, *driver, id);
}

}  // namespace

std::vector<Case> runtime_stop_cases() {
  const Rule stop{"runtime.h stop",
                  "returns when it has stopped; SIGKILL after the grace; already gone is success"};
  const Rule signal{"runtime.h signal", "PRECONDITION when it isn't running"};
  const Rule remove{"runtime.h remove", "a running one only by force; every resource goes"};
  return {
      {"runtime.stop.grace",
       "a program that heeds the signal ends by itself",
       {stop},
       within_the_grace},
      {"runtime.stop.signal",
       "stop sends the signal it was asked to send",
       {stop},
       with_its_signal},
      {"runtime.stop.kill",
       "a program that ignores the signal is killed after the grace",
       {stop},
       after_the_grace},
      {"runtime.stop.ended",
       "stopping what has ended, or is gone, is success",
       {stop},
       of_an_ended_one},
      {"runtime.signal.beside-stop",
       "a signal gets through while a stop waits",
       {rule(12)},
       signal_beside_stop},
      {"runtime.signal.delivery",
       "a signal reaches the program, and only a running one",
       {signal},
       signals},
      {"runtime.remove.running",
       "a running container is removed by force alone",
       {remove},
       remove_running},
  };
}

}  // namespace skep::conformance
