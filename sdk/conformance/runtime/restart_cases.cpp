// What a driver that was killed and started again knows, and what it leaves alone.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sdk/conformance/runtime/runtime_kind.hpp"

namespace skep::conformance {
namespace {

// SIGKILL, and the driver again on the same folders, with a host that knows these containers.
Status restart(Run& run, Driver& driver, const std::vector<std::string>& known) {
  driver.kill();
  SKEP_TRY(driver.load());
  SKEP_TRY(run.ok(driver.configure()));
  for (const std::string& id : known) {
    SKEP_TRY(run.ok(driver.restore({{"id", id}, {"handle", nullptr}})));
  }
  SKEP_TRY(run.ok(driver.restore_done(known)));
  return driver.until_ready();
}

Result<std::vector<std::string>> listed(Run& run, Driver& driver) {
  return run.kind().existing(run, driver);
}

bool has(const std::vector<std::string>& ids, const std::string& id) {
  return std::ranges::find(ids, id) != ids.end();
}

Status wait_after(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string runs,
                  run_container(run, *driver, 0,
                                "trap 'exit 6' TERM; : > /marks/up; while :; do sleep 0.05; done"));
  SKEP_TRY_ASSIGN(const std::string ended, run_container(run, *driver, 1, "exit 11"));
  SKEP_TRY_ASSIGN(const std::string ends, run_container(run, *driver, 2, "sleep 0.3; exit 12"));
  SKEP_TRY(await_mark(run, 0, "up"));
  SKEP_TRY(run.ok(waited(*driver, ended)));
  SKEP_TRY_ASSIGN(const json before, inspected(run, *driver, runs));
  SKEP_TRY(restart(run, *driver, {runs, ended, ends}));
  SKEP_TRY_ASSIGN(const json after, inspected(run, *driver, runs));
  SKEP_TRY(run.that(before == after, "inspect as before: " + shortened(before.dump()),
                    shortened(after.dump())));
  for (const auto& [id, code] : {std::pair{ended, 11}, {ends, 12}}) {
    const Outcome end = waited(*driver, id);
    SKEP_TRY(run.that(end.ok() && end.member("exit_code") == code && end.member("lost").is_null(),
                      fmt::format("exit code {}", code), described(end), end));
  }
  const uint64_t wait = driver->begin(runtime("wait"), {{"id", runs}});
  SKEP_TRY(run.ok(driver->call(runtime("stop"), {{"id", runs}, {"grace_ms", 20'000}})));
  const Outcome end = driver->wait(wait, 20'000);
  SKEP_TRY(run.that(end.ok() && end.member("exit_code") == 6, "exit code 6", described(end), end));
  for (const std::string& id : {runs, ended, ends}) {
    SKEP_TRY(remove_container(run, *driver, id));
  }
  return {};
}

// One that ended, and one that was never started, stay so.
Status never_restarts(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string ended,
                  run_container(run, *driver, 0, "echo x >> /marks/runs; exit 1"));
  SKEP_TRY(run.ok(waited(*driver, ended)));
  SKEP_TRY_ASSIGN(const json before, inspected(run, *driver, ended));
  SKEP_TRY_ASSIGN(const json request, container_request(run, 1, "true"));
  const std::string created = request.at("id");
  SKEP_TRY(run.ok(driver->call(runtime("create"), request)));
  SKEP_TRY(restart(run, *driver, {ended, created}));
  SKEP_TRY_ASSIGN(const json first, inspected(run, *driver, ended));
  SKEP_TRY(run.that(first.at("state") == "stopped" && first.value("exit_code", -1) == 1,
                    "the ended one stopped with code 1", shortened(first.dump())));
  SKEP_TRY(run.that(first.value("started_at", before.at("started_at")) == before.at("started_at"),
                    "the one start at " + before.at("started_at").dump(), shortened(first.dump())));
  SKEP_TRY_ASSIGN(const json second, inspected(run, *driver, created));
  SKEP_TRY(run.that(second.at("state") == "created", "the created one created",
                    shortened(second.dump())));
  SKEP_TRY(run.fails(driver->restore({{"id", container_id(run, 9)}, {"handle", nullptr}}),
                     {SKEP_E_NOTFOUND}));
  SKEP_TRY(remove_container(run, *driver, created));
  return remove_container(run, *driver, ended);
}

// What the host forgot is in the list, running on, or else is gone altogether.
Status older_host(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string known, run_container(run, *driver, 0, "exec sleep 1000"));
  SKEP_TRY_ASSIGN(const std::string forgotten, run_container(run, *driver, 1, "exec sleep 1000"));
  const std::vector<pid_t> known_pids = processes_of(run, known);
  const std::vector<pid_t> forgotten_pids = processes_of(run, forgotten);
  SKEP_TRY(restart(run, *driver, {known}));
  SKEP_TRY_ASSIGN(const std::vector<std::string> ids, listed(run, *driver));
  SKEP_TRY(run.that(processes_of(run, known) == known_pids && has(ids, known),
                    "the known one runs on and is listed", "it does not"));
  if (has(ids, forgotten)) {
    SKEP_TRY(run.that(processes_of(run, forgotten) == forgotten_pids,
                      "a forgotten one that is listed runs on", "it does not"));
  } else {
    SKEP_TRY(nothing_left(run, *driver, forgotten));
  }
  SKEP_TRY(remove_container(run, *driver, forgotten));
  return remove_container(run, *driver, known);
}

// The host names one that was removed just before the crash.
Status newer_host(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const json request, container_request(run, 0, "exec sleep 1000"));
  const std::string id = request.at("id");
  driver->kill();
  SKEP_TRY(driver->load());
  SKEP_TRY(run.ok(driver->configure()));
  SKEP_TRY(run.fails(driver->restore({{"id", id}, {"handle", nullptr}}), {SKEP_E_NOTFOUND}));
  SKEP_TRY(run.ok(driver->restore_done({id})));
  SKEP_TRY(driver->until_ready());
  SKEP_TRY(run.ok(driver->call(runtime("create"), request)));
  SKEP_TRY(run.ok(driver->call(runtime("start"), {{"id", id}})));
  return remove_container(run, *driver, id);
}

Status stats_after(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id, run_container(run, *driver, 0, "exec sleep 1000"));
  SKEP_TRY(restart(run, *driver, {id}));
  const Outcome told = driver->call(runtime("stats"), {{"ids", {id, container_id(run, 5)}}});
  SKEP_TRY(run.ok(told));
  SKEP_TRY(run.that(told.member("stats").size() == 1, "the running one's figures", described(told),
                    told));
  return remove_container(run, *driver, id);
}

// A program goes on writing while its driver is dead, and stops for nobody.
Status writes_on(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(
      const std::string id,
      run_container(run, *driver, 0,
                    ": > /marks/up; i=0; while [ ! -e /marks/stop ]; do i=$((i+1)); "
                    "echo line $i; if [ $i = 20000 ]; then : > /marks/much; fi; done; exit 4"));
  SKEP_TRY(await_mark(run, 0, "up"));
  driver->kill();
  SKEP_TRY(await_mark(run, 0, "much"));  // 200 KB, three times what a pipe holds
  SKEP_TRY(driver->load());
  SKEP_TRY(run.ok(driver->configure()));
  SKEP_TRY(run.ok(driver->restore({{"id", id}, {"handle", nullptr}})));
  SKEP_TRY(run.ok(driver->restore_done({id})));
  SKEP_TRY(driver->until_ready());
  SKEP_TRY(run.ok(driver->call(runtime("signal"), {{"id", id}, {"signal", "SIGKILL"}})));
  const Outcome end = waited(*driver, id);
  SKEP_TRY(
      run.that(end.ok() && end.member("exit_code") == 137, "exit code 137", described(end), end));
  return remove_container(run, *driver, id);
}

}  // namespace

std::vector<Case> runtime_restart_cases() {
  constexpr bool kills = true;
  return {
      {"runtime.restart.wait",
       "exit codes of before, meanwhile and after are told",
       {rule(35)},
       wait_after,
       kills},
      {"runtime.restart.never-restarts",
       "restore starts nothing",
       {rule(35)},
       never_restarts,
       kills},
      {"runtime.restart.older-host",
       "what the host forgot is listed or gone, not both",
       {rule(35)},
       older_host,
       kills},
      {"runtime.restart.newer-host",
       "what the host knows and is not there is NOTFOUND",
       {rule(35)},
       newer_host,
       kills},
      {"runtime.restart.stats", "stats go on", {rule(35)}, stats_after, kills},
      {"runtime.restart.writes-on",
       "a program that logs does not notice its driver's death",
       {rule(35)},
       writes_on,
       kills},
  };
}

}  // namespace skep::conformance
