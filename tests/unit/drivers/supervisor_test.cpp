// A driver in a process of its own: how each way to die is told, and how it comes back.
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <string_view>
#include <vector>

#include "daemon/drivers/plugin.hpp"
#include "tests/fakes/plugins/crashes.h"
#include "tests/fakes/plugins/keeper.h"
#include "tests/unit/drivers/run.hpp"

namespace {

namespace asio = boost::asio;
using namespace skep::drivers;
using skep::ErrorKind;
using skep::Result;
using skep::Status;
using skep::host::Effect;
using skep::host::Operation;
using skep::test::Place;
using skep::test::plugin_config;
using skep::test::run;
using skep::test::until;
using Reply = Result<std::string>;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

const Operation echo{SKEP_TEST_CRASHES, "echo", offsetof(skep_test_crashes, echo), {}};
const Operation misbehave{
    SKEP_TEST_CRASHES, "misbehave", offsetof(skep_test_crashes, misbehave), {}};
const Operation history{SKEP_TEST_KEEPER, "history", offsetof(skep_test_keeper, history), {}};
const Operation die{SKEP_TEST_KEEPER, "die", offsetof(skep_test_keeper, die), {}};
const Operation hang{SKEP_TEST_KEEPER, "hang", offsetof(skep_test_keeper, hang), {}};
const Operation wait{SKEP_TEST_KEEPER, "wait", offsetof(skep_test_keeper, wait), {}, Effect::waits};
const Operation count{SKEP_TEST_KEEPER, "count", offsetof(skep_test_keeper, count), {}};

CallOptions within(std::chrono::milliseconds limit) {
  CallOptions options;
  options.deadline_ms = limit.count();
  return options;
}

struct Fixture {
  Place place;
  asio::io_context loop;
  int changes = 0;
  std::unique_ptr<Plugin> plugin;

  Result<std::unique_ptr<Plugin>> try_open(PluginConfig config) {
    return run(loop, Plugin::open(std::move(config), place.place(), [this] { ++changes; }));
  }
  void open(PluginConfig config) {
    Result<std::unique_ptr<Plugin>> opened = try_open(std::move(config));
    if (!opened) FAIL(opened.error().message);
    plugin = std::move(*opened);
  }
  void open(const std::string& fake, const std::string& config = "{}") {
    open(plugin_config("fake", fake, Isolation::process, config));
  }
  Reply call(const Operation& operation, const std::string& request = "{}",
             CallOptions options = CallOptions()) {
    return run(loop, plugin->call(operation, "", request, std::move(options)));
  }
  bool until_state(RunState state, std::chrono::milliseconds limit = 20s) {
    return until(
        loop, [&] { return plugin->report().state == state; }, limit);
  }
  // Two objects and one that is gone.
  static RestorePlan plan() {
    RestorePlan made;
    made.objects = {{"a", "1"}, {"gone", "2"}, {"b", "{\"v\":3}", "{\"holders\":[]}"}};
    made.ids = {"a", "b", "new"};
    return made;
  }
  std::string told() {
    const Reply reply = call(history);
    return reply ? *reply : "failed: " + reply.error().message;
  }
};

// A process that a stranger traces stays, once it is killed, until the stranger lets go: to whoever
// waits for it that is the same as one that the kernel holds.
class Stranger {
 public:
  explicit Stranger(pid_t traced) {
    std::array<int, 2> told_by{};
    REQUIRE(pipe(told_by.data()) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      const char seized = ptrace(PTRACE_SEIZE, traced, nullptr, nullptr) == 0 ? 'y' : 'n';
      if (write(told_by[1], &seized, 1) != 1) _exit(1);
      for (;;) pause();
    }
    char seized = 0;
    const ssize_t told = read(told_by[0], &seized, 1);
    close(told_by[0]);
    close(told_by[1]);
    REQUIRE(told == 1);
    REQUIRE(seized == 'y');
  }
  ~Stranger() { let_go(); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  void let_go() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

// It has ended, and nobody has asked how.
bool is_zombie(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number;
  std::string name;
  std::string state;
  stat >> number >> name >> state;
  return state == "Z";
}

std::string lingers(const std::string& where, const std::string& marker,
                    const std::string& more = "") {
  std::ofstream(marker) << "x";
  return R"({"die": ")" + where + R"(", "how": "linger", "while": ")" + marker + "\"" + more + "}";
}

const std::string restored = "\"configure; restore a; restore gone; restore b; done a,b,new\"";

}  // namespace

TEST_CASE_METHOD(Fixture, "however a driver dies, its call says so and the next one is served") {
  struct Row {
    const char* way;
    ErrorKind kind;
    const char* says;
    bool dies;
  };
  const Row row = GENERATE(Row{"throw", ErrorKind::internal, "over the wall", false},
                           Row{"throw_int", ErrorKind::internal, "", false},
                           Row{"throw_in_thread", ErrorKind::plugin_lost, "signal 6", true},
                           Row{"abort", ErrorKind::plugin_lost, "signal 6", true},
                           Row{"null_write", ErrorKind::plugin_lost, "signal 11", true},
                           Row{"stack_overflow", ErrorKind::plugin_lost, "signal 11", true},
                           Row{"exit", ErrorKind::plugin_lost, "exited with code 0", true},
                           Row{"memory_bomb", ErrorKind::internal, "bad_alloc", false},
                           Row{"hang", ErrorKind::deadline, "did not end misbehave within", true},
                           Row{"spin", ErrorKind::deadline, "did not end misbehave within", true},
                           Row{"garbage", ErrorKind::plugin_lost, "", true},
                           Row{"gigabyte", ErrorKind::plugin_lost, "", true},
                           Row{"bad_utf8", ErrorKind::internal, "UTF-8", false},
                           Row{"return_nonsense", ErrorKind::internal, "", false});
  INFO(row.way);
#ifdef SKEP_SANITIZED
  if (row.way == std::string_view("memory_bomb")) {
    std::cout << "SKIP: a sanitizer reserves terabytes of addresses, so no bomb can be limited\n";
    return;
  }
#endif
  open("fake-crashes");
  const pid_t first = plugin->report().pid;
  CHECK(first > 0);
  // Long enough for a bomb to fill its memory on a busy machine.
  const auto limit = row.kind == ErrorKind::deadline ? 1500ms : 30'000ms;
  const Reply reply = call(misbehave, "\"" + std::string(row.way) + "\"", within(limit));
  REQUIRE_FALSE(reply.has_value());
  INFO(reply.error().message);
  CHECK(reply.error().kind == row.kind);
  CHECK(reply.error().message.find(row.says) != std::string::npos);
  if (row.dies) {
    // A driver that hangs is killed half a second after its deadline, not sooner.
    REQUIRE(until(
        loop, [&] { return plugin->report().restarts == 1; }, 3s));
  }
  CHECK(call(echo, "\"alive\"") == Reply("\"alive\""));
  CHECK((plugin->report().pid != first) == row.dies);
  CHECK(plugin->report().state == RunState::serving);
}

TEST_CASE_METHOD(Fixture, "a driver that is killed serves again within 50 ms") {
  open("fake-crashes");
  const auto killed = steady_clock::now();
  REQUIRE(kill(plugin->report().pid, SIGKILL) == 0);
  REQUIRE(until(loop, [&] { return plugin->report().restarts == 1; }));
  CHECK(call(echo, "1") == Reply("1"));
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - killed);
  WARN("a killed driver served again after " << took.count() << " ms");
  CHECK(took < 500ms);  // 50 on a machine that does nothing else
}

TEST_CASE_METHOD(Fixture, "objects are restored in order before any other call, at each start") {
  open("fake-keeper");
  std::vector<std::string> gone;
  const RestoreSource source = [&] {
    RestorePlan made = plan();
    made.told = [&](const std::string& id, const Status& outcome) {
      if (!outcome && outcome.error().kind == ErrorKind::not_found) gone.push_back(id);
    };
    return made;
  };
  CHECK(run(loop, plugin->restore_from(source)).has_value());
  CHECK(told() == restored);
  CHECK(gone == std::vector<std::string>{"gone"});
  CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  // Asked for at once: it waits until the restores are over.
  CHECK(told() == restored);
  CHECK(gone.size() == 2);
}

TEST_CASE_METHOD(Fixture, "a driver whose objects aren't all known hears no end of its restores") {
  open("fake-keeper");
  const RestoreSource source = [] {
    RestorePlan made = plan();
    made.ids.reset();
    return made;
  };
  CHECK(run(loop, plugin->restore_from(source)).has_value());
  CHECK(told() == "\"configure; restore a; restore gone; restore b\"");
}

TEST_CASE_METHOD(Fixture, "nothing is restored once the owner of the objects has gone") {
  open("fake-keeper");
  CHECK(run(loop, plugin->restore_from([] { return plan(); })).has_value());
  plugin->forget_source();
  CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  CHECK(told() == "\"configure\"");
}

TEST_CASE_METHOD(Fixture, "every call in flight ends when the driver dies, also one that waits") {
  open("fake-keeper");
  std::vector<Reply> replies;
  for (int i = 0; i < 3; ++i) {
    asio::co_spawn(loop, plugin->call(wait, "", "{}", within(-1ms)),
                   [&](std::exception_ptr, Reply reply) { replies.push_back(std::move(reply)); });
  }
  CHECK(told() == "\"configure\"");  // they are on their way
  REQUIRE(kill(plugin->report().pid, SIGKILL) == 0);
  REQUIRE(until(loop, [&] { return replies.size() == 3; }));
  for (const Reply& reply : replies) {
    REQUIRE_FALSE(reply.has_value());
    CHECK(reply.error().kind == ErrorKind::plugin_lost);
    CHECK(reply.error().message.find("signal 9") != std::string::npos);
  }
}

TEST_CASE_METHOD(Fixture, "a wait beyond its deadline is cancelled, and costs no life") {
  open("fake-keeper");
  const pid_t first = plugin->report().pid;
  CHECK(call(wait, "{}", within(30ms)).error().kind == ErrorKind::deadline);
  CHECK_FALSE(until(
      loop, [&] { return plugin->report().restarts > 0; }, 800ms));
  CHECK(plugin->report().pid == first);
}

TEST_CASE_METHOD(Fixture, "a caller that goes early leaves the driver the time it was given") {
  open("fake-keeper");
  asio::cancellation_signal signal;
  bool ended = false;
  asio::co_spawn(loop, plugin->call(hang, "", "{}", within(1000ms)),
                 asio::bind_cancellation_slot(signal.slot(),
                                              [&](std::exception_ptr, Reply) { ended = true; }));
  CHECK_FALSE(until(
      loop, [&] { return ended; }, 50ms));
  const auto gone = steady_clock::now();
  signal.emit(asio::cancellation_type::terminal);
  REQUIRE(until(loop, [&] { return ended; }));
  REQUIRE(until(
      loop, [&] { return plugin->report().restarts == 1; }, 5s));
  CHECK(steady_clock::now() - gone > 1300ms);  // the deadline, and half a second
}

TEST_CASE_METHOD(Fixture, "a call that comes while the driver is away waits within its deadline") {
  const std::string marker = place.folder + "/marker";
  open("fake-keeper", R"({"die": "configure", "while": ")" + marker + "\"}");
  std::ofstream(marker) << "x";
  CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  // Its restarts fail one after the other, ever more slowly.
  REQUIRE(until(loop, [&] { return plugin->report().restarts >= 2; }));
  const Reply late = call(history, "{}", within(50ms));
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().kind == ErrorKind::deadline);
  std::filesystem::remove(marker);
  CHECK(call(history) == Reply("\"configure\""));
}

TEST_CASE_METHOD(Fixture, "five losses make a driver unhealthy; a reload heals it") {
  open("fake-keeper");
  CHECK(run(loop, plugin->restore_from([] { return plan(); })).has_value());
  for (int i = 0; i < 5; ++i) {
    REQUIRE(until_state(RunState::serving));
    CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  }
  REQUIRE(until_state(RunState::unhealthy));
  const RunReport report = plugin->report();
  CHECK(report.reason.find("driver fake is unhealthy: lost 5 times in 2 minutes") == 0);
  CHECK(report.pid == 0);
  CHECK(report.recent_losses == 5);
  const auto asked = steady_clock::now();
  const Reply refused = call(history);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == ErrorKind::unavailable);
  CHECK(refused.error().message == report.reason);
  CHECK(steady_clock::now() - asked < 1s);
  CHECK(changes >= 10);  // each loss, each return

  const Status healed = run(loop, plugin->reload(plugin->config()));
  if (!healed) FAIL(healed.error().message);
  CHECK(plugin->report().state == RunState::serving);
  CHECK(plugin->report().recent_losses == 0);
  CHECK(told() == restored);
}

TEST_CASE_METHOD(Fixture, "calls that wait for a driver are refused when the breaker opens") {
  const std::string marker = place.folder + "/marker";
  open("fake-keeper", R"({"die": "configure", "while": ")" + marker + "\"}");
  std::ofstream(marker) << "x";
  CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  const Reply refused = call(history, "{}", within(-1ms));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == ErrorKind::unavailable);
  CHECK(refused.error().message.find("exited with code 3") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a driver that dies at its start is unhealthy, not refused") {
  const std::string where = GENERATE("configure", "restore", "done");
  const std::string marker = place.folder + "/marker";
  std::ofstream(marker) << "x";
  open("fake-keeper", R"({"die": ")" + where + R"(", "while": ")" + marker + "\"}");
  const Status first = run(loop, plugin->restore_from([] { return plan(); }));
  CHECK_FALSE(first.has_value());
  CHECK(plugin->facts().known);  // so that its secrets are known as well
  REQUIRE(until_state(RunState::unhealthy));
  CHECK(plugin->has(std::string_view(SKEP_TEST_KEEPER)));  // the note says so
  std::filesystem::remove(marker);
  CHECK(run(loop, plugin->reload(plugin->config())).has_value());
  CHECK(told() == restored);
}

TEST_CASE_METHOD(Fixture, "a reload moves the objects to a new process and ends the old one") {
  open("fake-keeper", R"({"size": 1})");
  CHECK(run(loop, plugin->restore_from([] { return plan(); })).has_value());
  const pid_t old = plugin->report().pid;
  std::optional<Reply> waited;
  asio::co_spawn(loop, plugin->call(wait, "", "{}", within(-1ms)),
                 [&](std::exception_ptr, Reply reply) { waited = std::move(reply); });
  PluginConfig fresh = plugin->config();
  fresh.config = R"({"size": 2})";
  const Status done = run(loop, plugin->reload(fresh));
  if (!done) FAIL(done.error().message);
  CHECK(plugin->report().pid != old);
  CHECK(kill(old, 0) != 0);
  CHECK(plugin->config().config == fresh.config);
  CHECK(told() == restored);
  REQUIRE(until(loop, [&] { return waited.has_value(); }));
  CHECK(waited->error().kind == ErrorKind::plugin_lost);  // whoever waits asks the new one
  CHECK(plugin->report().recent_losses == 0);
}

TEST_CASE_METHOD(Fixture, "a reload that fails leaves the old process serving") {
  open("fake-keeper", R"({"size": 1})");
  CHECK(run(loop, plugin->restore_from([] { return plan(); })).has_value());
  const pid_t old = plugin->report().pid;
  PluginConfig fresh = plugin->config();
  fresh.config = R"({"size": "two"})";
  const Status schema = run(loop, plugin->reload(fresh));
  REQUIRE_FALSE(schema.has_value());
  CHECK(schema.error().message.find("config_rejected: /size") == 0);
  fresh.config = R"({"size": 99})";
  CHECK(run(loop, plugin->reload(fresh)).error().message == "config.size: 99 is too much");
  fresh.config = R"({"die": "restore"})";
  CHECK(run(loop, plugin->reload(fresh)).error().kind == ErrorKind::plugin_lost);
  fresh = plugin->config();
  fresh.path = skep::test::fake_plugin("fake-behaviour");
  CHECK(run(loop, plugin->reload(fresh)).error().kind == ErrorKind::conflict);
  fresh.path = "/does/not/exist.so";
  CHECK(run(loop, plugin->reload(fresh)).error().kind == ErrorKind::not_found);
  CHECK(plugin->report().pid == old);
  CHECK(plugin->config().config == R"({"size": 1})");
  CHECK(told() == restored);
}

TEST_CASE_METHOD(Fixture, "a configuration is checked against the driver's schema, in both modes") {
  const Isolation isolation = GENERATE(Isolation::process, Isolation::in_process);
  const auto refusal = [&](const std::string& fake, const std::string& config) {
    const auto opened = try_open(plugin_config("fake", fake, isolation, config));
    return opened ? "opened" : opened.error().message;
  };
  CHECK(refusal("fake-keeper", R"({"size": 1})") == "opened");
  const std::string pointed = refusal("fake-keeper", R"({"account": {"name": 7}})");
  CHECK(pointed.find("config_rejected: /account/name") == 0);
  CHECK(pointed.find("mend [plugins.fake.config] in skepd.toml") != std::string::npos);
  CHECK(refusal("fake-keeper", R"({"sise": 1})").find("config_rejected: ") == 0);
  CHECK(refusal("fake-keeper", "[]").find("config_rejected: ") == 0);
  CHECK(refusal("fake-keeper", R"({"size": 99})") == "config.size: 99 is too much");
  CHECK(refusal("fake-bad-schema", "{}").find("carries a config_schema that can't be used") !=
        std::string::npos);
}

TEST_CASE_METHOD(Fixture,
                 "a driver with a run time of its own is refused in the daemon's process") {
  const auto inside = try_open(plugin_config("fake", "fake-own-run-time", Isolation::in_process));
  REQUIRE_FALSE(inside.has_value());
  CHECK(inside.error().message.find("isolation = \"process\"") != std::string::npos);
  open("fake-own-run-time");
  CHECK(told() == "\"configure\"");
}

TEST_CASE_METHOD(Fixture, "only shipped drivers of the trusted kinds run inside by themselves") {
  PluginConfig config = plugin_config("fake", "fake-lb", Isolation::process);
  config.isolation.reset();
  open(config);
  CHECK(plugin->isolation() == Isolation::process);
  config.shipped = true;
  open(config);
  CHECK(plugin->isolation() == Isolation::in_process);
  config = plugin_config("fake", "fake-keeper", Isolation::process);
  config.isolation.reset();
  config.shipped = true;
  open(config);
  CHECK(plugin->isolation() == Isolation::process);
}

TEST_CASE_METHOD(Fixture, "the log level of a driver can be changed while it runs, in both modes") {
  const Isolation isolation = GENERATE(Isolation::process, Isolation::in_process);
  open(plugin_config("fake", "fake-keeper", isolation));
  const auto turns = [&](int64_t value) {
    // In its own process figures are gathered for a moment.
    return until(loop, [&] {
      const auto values = plugin->driver_metrics().values();
      return values.contains("turns") && values.at("turns").value == value;
    });
  };
  CHECK(call(count) == Reply("\"other\""));
  CHECK(turns(3));
  plugin->set_log_level(SKEP_LOG_DEBUG);
  CHECK(plugin->log_level() == SKEP_LOG_DEBUG);
  CHECK(call(count) == Reply("\"debug\""));
  CHECK(turns(6));
  if (isolation == Isolation::in_process) return;
  CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  CHECK(call(count) == Reply("\"debug\""));  // the next life has it too
  CHECK(turns(9));
}

TEST_CASE_METHOD(Fixture, "calls are counted with their errors, in both modes") {
  const Isolation isolation = GENERATE(Isolation::process, Isolation::in_process);
  open(plugin_config("fake", "fake-keeper", isolation));
  CHECK(call(history).has_value());
  CHECK(call(wait, "{}", within(20ms)).error().kind == ErrorKind::deadline);
  const auto& all = plugin->metrics().operations();
  CHECK(all.at("skep.x-keep/1 history").ended == 1);
  CHECK(all.at("skep.x-keep/1 wait").errors.at(ErrorKind::deadline) == 1);
  CHECK(all.at("skep.x-keep/1 wait").latency.quantile(0.5) >= 20ms);
  CHECK(all.at("skep.x-keep/1 wait").in_flight == 0);
}

TEST_CASE_METHOD(Fixture, "in the daemon's process a reload is a reconfiguration, or a conflict") {
  open(plugin_config("fake", "fake-keeper", Isolation::in_process, R"({"size": 1})"));
  PluginConfig fresh = plugin->config();
  fresh.config = R"({"size": 2})";
  CHECK(run(loop, plugin->reload(fresh)).has_value());
  CHECK(told() == "\"configure; reconfigure\"");
  fresh.config = R"({"size": 13})";
  const Status refused = run(loop, plugin->reload(fresh));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == ErrorKind::conflict);
  CHECK(refused.error().message.find("needs a restart of skepd") != std::string::npos);
  CHECK(plugin->config().config == R"({"size": 2})");
}

TEST_CASE_METHOD(Fixture, "an ended plugin leaves no process behind") {
  open("fake-keeper");
  const pid_t pid = plugin->report().pid;
  SECTION("in good order") {
    run(loop, plugin->end());
    CHECK(kill(pid, 0) != 0);
    CHECK(call(history).error().kind == ErrorKind::cancelled);
  }
  SECTION("at once") {
    plugin.reset();
    CHECK(until(
        loop, [&] { return kill(pid, 0) != 0; }, 5s));  // reaped beside us
  }
}

TEST_CASE_METHOD(Fixture, "a helper program that is missing is told") {
  skep::drivers::PluginPlace nowhere = place.place();
  nowhere.helper = "/does/not/exist";
  const auto opened =
      run(loop, Plugin::open(plugin_config("fake", "fake-keeper", Isolation::process), nowhere));
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().message.find("/does/not/exist") != std::string::npos);
}

// The answer and the end of the process come in one turn of the loop: it is kept busy meanwhile.
TEST_CASE_METHOD(Fixture, "a driver that dies right after its first answer is started again") {
  const std::string marker = place.folder + "/marker";
  const std::string config =
      R"({"die": "configure", "how": "afterwards", "while": ")" + marker + "\"}";
  bool watching = true;
  std::function<void()> watch = [&] {
    if (pid_t pid = 0; std::ifstream(marker + ".now") >> pid) {
      std::filesystem::remove(marker + ".now");
      siginfo_t info{};
      CHECK(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
      std::filesystem::remove(marker);
    }
    if (watching) asio::post(loop, watch);
  };
  const auto arm = [&] {
    std::ofstream(marker) << "x";
    asio::post(loop, watch);
  };
  SECTION("at the start of the node") {
    arm();
    open("fake-keeper", config);
  }
  SECTION("when it is started again") {
    open("fake-keeper", config);
    arm();
    CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  }
  SECTION("in a reload, which fails then") {
    open("fake-keeper");
    arm();
    const pid_t old = plugin->report().pid;
    PluginConfig fresh = plugin->config();
    fresh.config = config;
    const Status done = run(loop, plugin->reload(fresh));
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().kind == ErrorKind::plugin_lost);
    CHECK(plugin->report().pid == old);
  }
  CHECK(call(history, "{}", within(5s)) == Reply("\"configure\""));
  CHECK(plugin->report().state == RunState::serving);
  watching = false;
}

TEST_CASE_METHOD(Fixture,
                 "an attempt that fails after a reload has healed the driver says nothing") {
  const std::string marker = place.folder + "/marker";
  open("fake-keeper", R"({"die": "configure", "how": "hang", "while": ")" + marker + "\"}");
  std::ofstream(marker) << "x";
  CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  pid_t hanging = 0;
  REQUIRE(until(loop, [&] { return bool(std::ifstream(marker + ".now") >> hanging); }));
  PluginConfig fresh = plugin->config();
  fresh.config = "{}";
  REQUIRE(run(loop, plugin->reload(fresh)).has_value());
  const pid_t serves = plugin->report().pid;
  CHECK(serves != hanging);
  REQUIRE(kill(hanging, SIGKILL) == 0);
  REQUIRE(until(loop, [&] { return kill(hanging, 0) != 0; }));
  CHECK_FALSE(until(
      loop, [&] { return plugin->report().state != RunState::serving; }, 200ms));
  CHECK(plugin->report().pid == serves);
  CHECK(plugin->report().recent_losses == 0);
}

TEST_CASE_METHOD(Fixture, "an object whose restore takes a driver too long costs it no life") {
  const std::string marker = place.folder + "/marker";
  std::ofstream(marker) << "x";
  open("fake-keeper", R"({"die": "restore", "how": "deadline", "while": ")" + marker + "\"}");
  std::vector<ErrorKind> told_kinds;
  const RestoreSource source = [&] {
    RestorePlan made = plan();
    made.told = [&](const std::string&, const Status& outcome) {
      if (!outcome) told_kinds.push_back(outcome.error().kind);
    };
    return made;
  };
  CHECK(run(loop, plugin->restore_from(source)).has_value());
  CHECK(told_kinds == std::vector<ErrorKind>(3, ErrorKind::deadline));
  CHECK(told() == restored);
  CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  CHECK(told() == restored);
  CHECK(plugin->report().restarts == 1);
}

TEST_CASE_METHOD(Fixture, "a call that comes between a driver's death and its notice waits") {
  open("fake-keeper");
  REQUIRE(kill(plugin->report().pid, SIGKILL) == 0);
  // Until the end has been seen, but nobody was told of it.
  REQUIRE(until(loop, [&] { return plugin->report().pid == 0; }));
  REQUIRE(plugin->report().state == RunState::serving);
  // On a loop of its own, so that it begins before anything else happens here.
  asio::io_context beside;
  std::optional<Reply> reply;
  asio::co_spawn(beside, plugin->call(history, "", "{}", CallOptions()),
                 [&](std::exception_ptr, Reply told) { reply = std::move(told); });
  beside.poll();
  REQUIRE(until(loop, [&] {
    beside.restart();
    beside.poll();
    return reply.has_value();
  }));
  CHECK(*reply == Reply("\"configure\""));
}

TEST_CASE_METHOD(Fixture, "pending calls of a driver that is ended are cancelled, in both modes") {
  const Isolation isolation = GENERATE(Isolation::process, Isolation::in_process);
  open(plugin_config("fake", "fake-keeper", isolation));
  std::optional<Reply> waited;
  asio::co_spawn(loop, plugin->call(wait, "", "{}", within(-1ms)),
                 [&](std::exception_ptr, Reply reply) { waited = std::move(reply); });
  CHECK(told() == "\"configure\"");  // it is on its way
  const auto asked = steady_clock::now();
  plugin.reset();
  CHECK(steady_clock::now() - asked < 2s);
  REQUIRE(until(loop, [&] { return waited.has_value(); }));
  CHECK(waited->error().kind == ErrorKind::cancelled);
}

TEST_CASE_METHOD(Fixture, "in the daemon's process a changed file is not said to be taken up") {
  PluginConfig config = plugin_config("fake", "fake-keeper", Isolation::in_process);
  const std::string copy = place.folder + "/copy.so";
  std::filesystem::copy_file(config.path, copy);
  config.path = copy;
  open(config);
  CHECK(run(loop, plugin->reload(config)).has_value());
  PluginConfig moved = config;
  moved.path = skep::test::fake_plugin("fake-keeper");
  CHECK(run(loop, plugin->reload(moved)).has_value());  // the very same content
  // Another file in its place.
  std::filesystem::copy_file(config.path, copy + ".new");
  std::ofstream(copy + ".new", std::ios::app) << "x";
  std::filesystem::rename(copy + ".new", copy);
  const Status changed = run(loop, plugin->reload(config));
  REQUIRE_FALSE(changed.has_value());
  CHECK(changed.error().kind == ErrorKind::conflict);
  CHECK(changed.error().message.find("needs a restart of skepd") != std::string::npos);
  std::filesystem::remove(copy);
  CHECK(run(loop, plugin->reload(config)).error().kind == ErrorKind::not_found);
}

TEST_CASE_METHOD(Fixture,
                 "a driver that does not even die is left behind, and another is started") {
  open("fake-keeper");
  const pid_t first = plugin->report().pid;
  Stranger stranger(first);
  SECTION("when it is killed for a call that hangs") {
    CHECK(call(hang, "{}", within(50ms)).error().kind == ErrorKind::deadline);
    REQUIRE(until(
        loop, [&] { return plugin->report().restarts == 1; }, 6s));
  }
  SECTION("when a reload ends it") {
    CHECK(run(loop, plugin->reload(plugin->config())).has_value());
  }
  CHECK(call(history, "{}", within(5s)) == Reply("\"configure\""));
  CHECK(plugin->report().pid != first);
  CHECK(kill(first, 0) == 0);  // still there
  stranger.let_go();
  CHECK(until(
      loop, [&] { return kill(first, 0) != 0; }, 5s));  // reaped beside us
}

TEST_CASE_METHOD(Fixture,
                 "a call that comes while objects are restored waits for the last of them") {
  open("fake-keeper");
  std::optional<Status> back;
  asio::co_spawn(loop, plugin->restore_from([] { return plan(); }),
                 [&](std::exception_ptr, Status status) { back = std::move(status); });
  CHECK(told() == restored);
  REQUIRE(until(loop, [&] { return back.has_value(); }));
  CHECK(back->has_value());
}

TEST_CASE_METHOD(Fixture, "calls wait until neither a restore nor a reload works on the objects") {
  const std::string slow = place.folder + "/slow";
  const std::string slower = place.folder + "/slower";
  open("fake-keeper", lingers("restore", slow));
  const pid_t old = plugin->report().pid;
  std::optional<Status> back;
  asio::co_spawn(loop, plugin->restore_from([] { return plan(); }),
                 [&](std::exception_ptr, Status status) { back = std::move(status); });
  REQUIRE(until(loop, [&] { return std::filesystem::exists(slow + ".now"); }));
  const Status meanwhile = run(loop, plugin->restore_from([] { return plan(); }));
  REQUIRE_FALSE(meanwhile.has_value());
  CHECK(meanwhile.error().message == "driver fake is restoring its objects");
  PluginConfig fresh = plugin->config();
  fresh.config = lingers("restore", slower);
  std::optional<Status> reloaded;
  asio::co_spawn(loop, plugin->reload(fresh),
                 [&](std::exception_ptr, Status status) { reloaded = std::move(status); });
  // The reload waits ten seconds for the old process to be quiet.
  pid_t new_one = 0;
  REQUIRE(until(loop, [&] { return bool(std::ifstream(slower + ".now") >> new_one); }));
  CHECK(run(loop, plugin->restore_from([] { return plan(); })).error().message ==
        "driver fake is being reloaded");
  const auto waits = [&] { return call(history, "{}", within(300ms)).error().kind; };
  SECTION("the restore ends first") {
    std::filesystem::remove(slow);
    REQUIRE(until(loop, [&] { return back.has_value(); }));
    REQUIRE_FALSE(reloaded.has_value());
    CHECK(waits() == ErrorKind::deadline);
    std::filesystem::remove(slower);
    REQUIRE(until(loop, [&] { return reloaded.has_value(); }));
    CHECK(reloaded->has_value());
    CHECK(plugin->report().pid == new_one);
    CHECK(told().find("; done a,b,new") != std::string::npos);
  }
  SECTION("the reload ends first, and fails") {
    REQUIRE(kill(new_one, SIGKILL) == 0);
    REQUIRE(until(loop, [&] { return reloaded.has_value(); }));
    REQUIRE_FALSE(reloaded->has_value());
    REQUIRE_FALSE(back.has_value());
    CHECK(waits() == ErrorKind::deadline);
    std::filesystem::remove(slow);
    CHECK(told().find("; done a,b,new") != std::string::npos);
    CHECK(back.has_value());
    CHECK(plugin->report().pid == old);
  }
}

TEST_CASE_METHOD(Fixture, "a reload that fails while the attempt it replaced is ended leaves one") {
  const std::string slow = place.folder + "/slow";
  const std::string slower = place.folder + "/slower";
  const std::string config = lingers("configure", slow);
  std::filesystem::remove(slow);
  open("fake-keeper", config);
  std::ofstream(slow) << "x";
  CHECK(call(die).error().kind == ErrorKind::plugin_lost);
  pid_t attempt = 0;
  REQUIRE(until(loop, [&] { return bool(std::ifstream(slow + ".now") >> attempt); }));
  Stranger stranger(attempt);  // so that its end takes long
  PluginConfig fresh = plugin->config();
  fresh.config = lingers("configure", slower, R"(, "size": 99)");
  std::optional<Status> reloaded;
  asio::co_spawn(loop, plugin->reload(fresh),
                 [&](std::exception_ptr, Status status) { reloaded = std::move(status); });
  REQUIRE(until(loop, [&] { return std::filesystem::exists(slower + ".now"); }));
  std::filesystem::remove(slow);
  REQUIRE(until(loop, [&] { return is_zombie(attempt); }));
  std::filesystem::remove(slower);
  REQUIRE(until(loop, [&] { return reloaded.has_value(); }));
  CHECK(reloaded->error().message == "config.size: 99 is too much");
  stranger.let_go();
  CHECK(call(history, "{}", within(10s)) == Reply("\"configure\""));
  CHECK(plugin->report().state == RunState::serving);
}
