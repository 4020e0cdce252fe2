// Further processes in a running container.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/conformance/engine.hpp"
#include "sdk/conformance/runtime/runtime_kind.hpp"

namespace skep::conformance {
namespace {

constexpr int first_exec = 1000;  // numbers of exec ids, apart from those of containers
constexpr int64_t output_patience_ms = 10'000;

// The reading end of a FIFO that the driver writes to.
class Fifo {
 public:
  explicit Fifo(std::string path) : path_(std::move(path)) {
    mkfifo(path_.c_str(), 0600);
    descriptor_ = open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  }
  ~Fifo() { close(descriptor_); }
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;
  const std::string& path() const { return path_; }

  // What came until the writers were gone, or the patience was over.
  std::string read_all() const {
    std::string text;
    const int64_t until = monotonic_ms() + output_patience_ms;
    for (;;) {
      pollfd watched{descriptor_, POLLIN, 0};
      const int64_t left = until - monotonic_ms();
      if (left <= 0 || poll(&watched, 1, static_cast<int>(left)) <= 0) return text;
      char chunk[4096];
      const ssize_t got = read(descriptor_, chunk, sizeof chunk);
      if (got == 0) return text;
      if (got > 0) text.append(chunk, static_cast<size_t>(got));
    }
  }

 private:
  std::string path_;
  int descriptor_ = -1;
};

Status possible(Run& run, Driver& driver) {
  if (!driver.has(runtime_exec("create"))) return run.skip("the driver has no exec");
  return {};
}

json named(const Run& run, const std::string& id, int number) {
  return {{"id", id}, {"exec_id", container_id(run, first_exec + number)}};
}

json exec_request(const Run& run, const std::string& id, int number, const std::string& script) {
  json request = named(run, id, number);
  request["argv"] = {"sh", "-c", script};
  return request;
}

Outcome exec_wait(Driver& driver, const json& name) {
  CallOptions options;
  options.patience_ms = 20'000;
  return driver.call(runtime_exec("wait"), name, options);
}

struct Ready {
  Driver* driver = nullptr;
  std::string id;  // of a container that runs
};

Result<Ready> ready(Run& run) {
  SKEP_TRY(runtime_possible(run));
  Ready made;
  SKEP_TRY_ASSIGN(made.driver, run.started());
  SKEP_TRY(possible(run, *made.driver));
  SKEP_TRY_ASSIGN(made.id, run_container(run, *made.driver, 0, "exec sleep 1000"));
  return made;
}

Status exit_codes(Run& run) {
  SKEP_TRY_ASSIGN(const Ready made, ready(run));
  int number = 0;
  for (const auto& [script, code] : {std::pair{"exit 0", 0}, {"exit 7", 7}, {"kill -9 $$", 137}}) {
    const json name = named(run, made.id, number);
    SKEP_TRY(run.ok(
        made.driver->call(runtime_exec("create"), exec_request(run, made.id, number, script))));
    SKEP_TRY(run.ok(made.driver->call(runtime_exec("start"), name)));
    const Outcome end = exec_wait(*made.driver, name);
    SKEP_TRY(run.ok(end));
    SKEP_TRY(run.that(end.member("exit_code") == code, fmt::format("exit code {}", code),
                      described(end), end));
    ++number;
  }
  return remove_container(run, *made.driver, made.id);
}

Status output(Run& run) {
  SKEP_TRY_ASSIGN(const Ready made, ready(run));
  const Fifo out(run.scratch() + "/out");
  const Fifo err(run.scratch() + "/err");
  json request = exec_request(run, made.id, 0, "echo one; echo two >&2; echo $MINE");
  request["stdout"] = out.path();
  request["stderr"] = err.path();
  request["env"] = {"MINE=three"};
  SKEP_TRY(run.ok(made.driver->call(runtime_exec("create"), request)));
  SKEP_TRY(run.ok(made.driver->call(runtime_exec("start"), named(run, made.id, 0))));
  SKEP_TRY(run.ok(exec_wait(*made.driver, named(run, made.id, 0))));
  const std::string text = out.read_all();
  SKEP_TRY(run.that(text == "one\nthree\n", "the output on its FIFO", shortened(text)));
  const std::string errors = err.read_all();
  SKEP_TRY(run.that(errors == "two\n", "the errors on theirs", shortened(errors)));
  return remove_container(run, *made.driver, made.id);
}

Status missing_program(Run& run) {
  SKEP_TRY_ASSIGN(const Ready made, ready(run));
  json request = exec_request(run, made.id, 0, "");
  request["argv"] = {"no-such-program"};
  const Outcome created = made.driver->call(runtime_exec("create"), request);
  const Outcome refused =
      created.ok() ? made.driver->call(runtime_exec("start"), named(run, made.id, 0)) : created;
  SKEP_TRY(run.fails_naming(refused, {SKEP_E_NOTFOUND}, "no-such-program"));
  return remove_container(run, *made.driver, made.id);
}

Status not_running(Run& run) {
  SKEP_TRY_ASSIGN(const Ready made, ready(run));
  SKEP_TRY(run.ok(made.driver->call(runtime("stop"), {{"id", made.id}, {"grace_ms", 0}})));
  SKEP_TRY(
      run.fails(made.driver->call(runtime_exec("create"), exec_request(run, made.id, 0, "true")),
                {SKEP_E_PRECONDITION}));
  return remove_container(run, *made.driver, made.id);
}

// Each call may have been answered to a host that never heard it.
Status repeated(Run& run) {
  SKEP_TRY_ASSIGN(const Ready made, ready(run));
  Driver& driver = *made.driver;
  const json request = exec_request(run, made.id, 0, "exec sleep 1000");
  const json name = named(run, made.id, 0);
  SKEP_TRY(run.ok(driver.call(runtime_exec("create"), request)));
  SKEP_TRY(run.ok(driver.call(runtime_exec("create"), request)));
  json other = request;
  other["argv"] = {"true"};
  SKEP_TRY(run.fails(driver.call(runtime_exec("create"), other), {SKEP_E_EXISTS}));
  const Outcome first = driver.call(runtime_exec("start"), name);
  SKEP_TRY(run.same(first, driver.call(runtime_exec("start"), name)));
  const std::vector<pid_t> processes = processes_of(run, made.id);
  SKEP_TRY(run.that(processes.size() == 2, "the container's process and one more",
                    fmt::format("{} processes", processes.size())));
  SKEP_TRY(run.ok(driver.call(runtime_exec("create"), request)));
  SKEP_TRY(run.same(first, driver.call(runtime_exec("start"), name)));
  json kill = name;
  kill["signal"] = "SIGKILL";
  SKEP_TRY(run.ok(driver.call(runtime_exec("signal"), kill)));
  SKEP_TRY(run.ok(exec_wait(driver, name)));
  return remove_container(run, driver, made.id);
}

// The host asks again with a driver that has no memory of the first calls.
Status repeated_after_restart(Run& run) {
  SKEP_TRY_ASSIGN(const Ready made, ready(run));
  Driver& driver = *made.driver;
  const json request = exec_request(run, made.id, 0, "sleep 1; exit 6");
  const json name = named(run, made.id, 0);
  const auto restart = [&]() -> Status {
    driver.kill();
    SKEP_TRY(driver.load());
    SKEP_TRY(run.ok(driver.configure()));
    SKEP_TRY(run.ok(driver.restore({{"id", made.id}, {"handle", nullptr}})));
    SKEP_TRY(run.ok(driver.restore_done({made.id})));
    return driver.until_ready();
  };
  SKEP_TRY(run.ok(driver.call(runtime_exec("create"), request)));
  SKEP_TRY(restart());
  SKEP_TRY(run.ok(driver.call(runtime_exec("create"), request)));
  const Outcome first = driver.call(runtime_exec("start"), name);
  SKEP_TRY(restart());
  SKEP_TRY(run.ok(driver.call(runtime_exec("create"), request)));
  SKEP_TRY(run.same(first, driver.call(runtime_exec("start"), name)));
  const Outcome end = exec_wait(driver, name);
  SKEP_TRY(run.that(end.ok() && end.member("exit_code") == 6, "exit code 6", described(end), end));
  return remove_container(run, driver, made.id);
}

}  // namespace

std::vector<Case> runtime_exec_cases() {
  const Rule start{"runtime.h exec.start",
                   "a missing program is NOTFOUND, with the runtime's own reason"};
  const Rule create{"runtime.h exec.create", "into a running container, with the host's FIFOs"};
  const Rule wait{"runtime.h exec.wait", "the exit code of the process"};
  return {
      {"runtime.exec.exit-code", "an exec's exit code is told", {wait}, exit_codes},
      {"runtime.exec.output", "an exec's output comes through its FIFOs", {create}, output},
      {"runtime.exec.missing-program",
       "a missing program is told by name",
       {start},
       missing_program},
      {"runtime.exec.not-running",
       "nothing is executed in what does not run",
       {create},
       not_running},
      {"runtime.exec.repeated",
       "create and start again do nothing and answer the same",
       {rule(34)},
       repeated},
      {"runtime.exec.repeated-after-restart",
       "the same after the driver was started again",
       {rule(34), rule(35)},
       repeated_after_restart,
       true},
  };
}

}  // namespace skep::conformance
