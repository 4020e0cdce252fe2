// Loading a node's drivers, and the typed runtime client.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/driver_set.hpp"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

#include "daemon/drivers/plugin.hpp"
#include "tests/unit/drivers/run.hpp"

namespace {

namespace asio = boost::asio;
using namespace skep::drivers;
using skep::ErrorKind;
using skep::test::Place;
using skep::test::plugin_config;
using skep::test::run;

// A set of drivers in a folder of its own.
struct Fixture {
  Place where;
  asio::io_context loop;
  std::unique_ptr<DriverSet> set;

  void load(std::vector<PluginConfig> configs, DriverSetOptions options = {}) {
    set = run(loop, DriverSet::load(std::move(configs), where.place(), std::move(options)));
  }
};

PluginConfig inside(const std::string& name, const std::string& fake,
                    const std::string& config = "{}") {
  return plugin_config(name, fake, Isolation::in_process, config);
}
// Seconds that `work` takes.
double seconds_of(const std::function<void()>& work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

// Does `how` at `where`, while `file` is there.
std::string keeper_config(const std::string& at, const std::string& how, const std::string& file,
                          const std::string& more = "") {
  return R"({"die":")" + at + R"(","how":")" + how + R"(","while":")" + file + "\"" + more + "}";
}

PluginConfig apart(const std::string& name, const std::string& fake,
                   const std::string& config = "{}") {
  return plugin_config(name, fake, Isolation::process, config);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "each plugin's state is told, refused ones with their reason") {
  PluginConfig absent = inside("absent", "fake-behaviour");
  absent.path = "/does/not/exist.so";
  load({inside("good", "fake-behaviour"), absent,
        inside("picky", "fake-behaviour", "{\"refuse\": 1}"), inside("good", "fake-behaviour"),
        inside("text", "fake-behaviour", "no json")});
  const std::vector<DriverState> states = set->states();
  REQUIRE(states.size() == 5);
  CHECK_FALSE(states[0].refused.has_value());
  CHECK(states[0].id == "fake-behaviour");
  CHECK(states[0].probe == ProbeState::not_ready);
  CHECK(states[0].reason == "warming up");
  CHECK(std::filesystem::is_directory(where.folder + "/run/plugins/good"));
  REQUIRE(states[1].refused.has_value());
  CHECK(states[1].refused->kind == ErrorKind::not_found);
  REQUIRE(states[2].refused.has_value());
  CHECK(states[2].refused->message.find("config.refuse") != std::string::npos);
  REQUIRE(states[3].refused.has_value());
  CHECK(states[3].refused->message.find("duplicate_id") != std::string::npos);
  REQUIRE(states[4].refused.has_value());

  const auto runtime = set->runtime();
  REQUIRE_FALSE(runtime.has_value());
  CHECK(runtime.error().message.find("/does/not/exist.so") != std::string::npos);
  const auto network = set->network("net-bridge");
  REQUIRE_FALSE(network.has_value());
  CHECK(network.error().message.find("net-bridge") != std::string::npos);
  CHECK(set->network("good").error().kind == ErrorKind::invalid);
  CHECK(set->network("absent").error().kind == ErrorKind::unavailable);
  CHECK(set->network_ids().empty());
  CHECK(set->plugin("good").has_value());
}

TEST_CASE_METHOD(Fixture, "the runtime client carries a request there and a state back") {
  load({inside("runtime", "fake-sdk")});
  REQUIRE(set->runtime().has_value());
  RuntimeDriver& runtime = **set->runtime();
  CHECK(set->states()[0].probe == ProbeState::ready);

  ContainerRequest request;
  request.id = "c1";
  request.image = "docker.io/library/busybox:1";
  request.command = std::vector<std::string>{};  // given and empty is not the same as absent
  request.args = std::vector<std::string>{"sleep", "1"};
  request.env = {"A=1"};
  request.user = "1:1";
  request.tty = true;
  request.cap_add = {"NET_ADMIN"};
  request.sysctls = {{"net.x", "1"}};
  request.ulimits = {{"nofile", 10, 20}};
  request.oom_score_adj = -5;
  request.netns = "/run/netns/x";
  request.cgroup_parent = "/skep/n";
  request.nano_cpus = 500;
  request.memory_bytes = 1 << 20;
  request.mounts = {{ContainerMount::Type::tmpfs, "", "/t", true},
                    {ContainerMount::Type::bind, "/a", "/b", false}};
  request.labels = {{"l", "v"}};
  request.log_dir = "/logs";
  request.log_max_bytes = 1000;
  request.log_max_files = 3;
  const auto created = run(loop, runtime.create(request));
  if (!created) FAIL(created.error().message);
  CHECK(created->handle == R"({"v":1})");
  CHECK(created->image_id == "sha256:1");

  const auto state = run(loop, runtime.inspect("c1"));
  if (!state) FAIL(state.error().message);
  CHECK(state->spec == request);
  CHECK(state->state == ContainerState::State::stopped);
  CHECK(state->exit_code == 137);
  CHECK(state->oom_killed);
  CHECK(state->argv == std::vector<std::string>{"sh"});

  CHECK(run(loop, runtime.start("c1"))->pid == 42);
  std::vector<std::string> bad;
  const RestoreSource source = [&] {
    RestorePlan plan;
    plan.objects = {{"c1", created->handle}, {"c2", "no json"}};
    plan.ids = {"c1", "c2"};
    plan.told = [&](const std::string& id, const skep::Status& outcome) {
      if (!outcome) bad.push_back(id);
    };
    return plan;
  };
  CHECK(run(loop, runtime.restore_from(source)).has_value());
  CHECK(bad == std::vector<std::string>{"c2"});
  CHECK(run(loop, runtime.restore_done({"c1"})).has_value());
}

TEST_CASE_METHOD(Fixture, "a create that fills a folder has the time that a large image takes") {
  load({inside("runtime", "fake-sdk")});
  REQUIRE(set->runtime().has_value());
  ContainerRequest request;
  request.id = "c1";
  request.image = "tells-its-time";
  request.mounts = {{ContainerMount::Type::bind, "/a", "/b", false}};
  CHECK(run(loop, (*set->runtime())->create(request))->handle == R"({"left_min":1})");
  request.mounts[0].populate = true;
  CHECK(run(loop, (*set->runtime())->create(request))->handle == R"({"left_min":15})");
}

TEST_CASE_METHOD(Fixture, "the runtime client passes errors on and survives bad documents") {
  load({inside("runtime", "fake-sdk")});
  REQUIRE(set->runtime().has_value());
  RuntimeDriver& runtime = **set->runtime();
  ContainerRequest request;
  request.image = "absent";
  const auto missing = run(loop, runtime.create(request));
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().kind == ErrorKind::not_found);
  CHECK(missing.error().message == "No such image: absent");
  CHECK(run(loop, runtime.stop("c", "", 10)).error().kind == ErrorKind::unavailable);
  const auto thrown = run(loop, runtime.stats({"c"}));
  REQUIRE_FALSE(thrown.has_value());
  CHECK(thrown.error() == skep::Error{ErrorKind::exhausted, "no more numbers"});
  CHECK(run(loop, runtime.signal("c", "HUP")).error().message == "it has ended");
  CHECK(run(loop, runtime.wait("c")).error().kind == ErrorKind::unimplemented);
  CHECK(run(loop, runtime.exec_wait("c", "e")).error().kind == ErrorKind::unimplemented);
  CHECK(run(loop, runtime.image_list()).error().kind == ErrorKind::unimplemented);
  const auto list = run(loop, runtime.list());
  REQUIRE_FALSE(list.has_value());
  CHECK(list.error().kind == ErrorKind::internal);

  std::vector<RuntimeEvent> events;
  const auto ended =
      run(loop, runtime.events([&](RuntimeEvent event) { events.push_back(std::move(event)); }));
  CHECK(ended.error().kind == ErrorKind::unavailable);
  REQUIRE(events.size() == 2);  // the one of an unknown type was passed over
  CHECK(events[0].type == RuntimeEvent::Type::gap);
  CHECK(events[1].type == RuntimeEvent::Type::exited);
  CHECK(events[1].exit_code == 3);
}

TEST_CASE_METHOD(Fixture,
                 "the first balancer of the list that is ready is used, and why not the others") {
  const std::string unready = R"({"ready": false})";
  const std::vector<PluginConfig> configs = {
      apart("lb-a", "fake-lb", unready), apart("lb-b", "fake-lb"), inside("lb-c", "fake-lb"),
      apart("none", "fake-keeper"), inside("lb-bad", "fake-lb", R"({"sise": 1})")};
  DriverSetOptions options;
  SECTION("in the order of the list") {
    options.lb = {"lb-a", "none", "lb-bad", "absent", "lb-c", "lb-b"};
    load(configs, options);
    CHECK(set->lb_choice().name == "lb-c");
    CHECK((*set->lb())->name() == "lb-c");
    const auto& passed = set->lb_choice().passed_over;
    REQUIRE(passed.size() == 4);
    CHECK(passed[0] == std::pair<std::string, std::string>{"lb-a", "no kernel for it"});
    CHECK(passed[1].second.find("no balancer") != std::string::npos);
    CHECK(passed[2].second.find("config_rejected") != std::string::npos);
    CHECK(passed[3].second.find("configured") != std::string::npos);
  }
  SECTION("without a list, in the order of their names") {
    load(configs, options);
    CHECK(set->lb_choice().name == "lb-b");
    CHECK(set->lb_choice().passed_over.size() == 1);
  }
  SECTION("none is ready") {
    options.lb = {"lb-a"};
    load(configs, options);
    CHECK(set->lb_choice().name.empty());
    REQUIRE_FALSE(set->lb().has_value());
    CHECK(set->lb().error().message == "no balancer is ready; lb-a: no kernel for it");
  }
  SECTION("one that becomes ready is used from then on") {
    options.lb = {"lb-a"};
    load(configs, options);
    PluginConfig fresh = (*set->plugin("lb-a"))->config();
    fresh.config = "{}";
    REQUIRE(run(loop, (*set->plugin("lb-a"))->reload(fresh)).has_value());
    run(loop, set->probe());
    CHECK(set->lb_choice().name == "lb-a");
  }
  SECTION("none is configured") {
    load({apart("none", "fake-keeper")}, options);
    CHECK(set->lb().error().message.find("no balancer (skep.lb/1) is configured") == 0);
  }
}

TEST_CASE_METHOD(Fixture, "a plugin of two kinds is refused") {
  load({apart("both", "fake-two-kinds")});
  REQUIRE(set->states()[0].refused.has_value());
  CHECK(set->states()[0].refused->message.find("a plugin is of one kind") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a name comes before an id, and states tell of processes") {
  load({apart("a", "fake-keeper"), inside("fake-keeper", "fake-lb"), apart("c", "fake-lb")});
  CHECK((*set->plugin("fake-keeper"))->identity().id == "fake-lb");
  CHECK((*set->plugin("fake-lb"))->name() == "fake-keeper");
  const std::vector<DriverState> states = set->states();
  CHECK(states[0].run.pid > 0);
  CHECK(states[0].isolation == Isolation::process);
  CHECK(states[0].probe == ProbeState::ready);
  CHECK(states[1].run.pid == 0);
  CHECK_FALSE(states[0].unhealthy());
  run(loop, set->shutdown());
  CHECK(set->states()[0].run.pid == 0);
}

TEST_CASE_METHOD(Fixture, "what is known of a driver stays known while it is asked again") {
  load({apart("lb-a", "fake-lb")});
  REQUIRE(set->states()[0].probe == ProbeState::ready);
  bool ended = false;
  bool always = true;
  boost::asio::co_spawn(loop, set->probe(), [&](std::exception_ptr) { ended = true; });
  REQUIRE(skep::test::until(loop, [&] {
    always = always && set->states()[0].probe == ProbeState::ready;
    return ended;
  }));
  CHECK(always);
}

TEST_CASE_METHOD(Fixture,
                 "a driver that hangs over its start holds up neither others nor the node") {
  const std::string there = where.file("there");
  std::ofstream(there).put('\n');
  const std::string hang = keeper_config("configure", "hang", there);
  const double took = seconds_of([&] {
    load({apart("a", "fake-keeper", hang), apart("b", "fake-keeper", hang),
          apart("runtime", "fake-sdk"), apart("c", "fake-keeper")});
  });
  CHECK(took < 8);
  const std::vector<DriverState> states = set->states();
  REQUIRE(states.size() == 4);
  CHECK_FALSE(states[0].refused.has_value());
  CHECK(states[0].run.state == RunState::restarting);
  CHECK(states[0].run.reason == "driver a is being started");
  CHECK(states[0].probe == ProbeState::unknown);
  CHECK(states[1].run.state == RunState::restarting);
  CHECK(states[2].probe == ProbeState::ready);
  CHECK(states[3].probe == ProbeState::ready);
  CHECK(set->runtime().has_value());
}

TEST_CASE_METHOD(Fixture, "a driver that comes up late serves, and its calls have waited for it") {
  const std::string there = where.file("there");
  std::ofstream(there).put('\n');
  DriverSetOptions options;
  options.start_patience = std::chrono::milliseconds(100);
  load({apart("late", "fake-keeper", keeper_config("configure", "linger", there))}, options);
  REQUIRE(set->states()[0].run.state == RunState::restarting);
  const skep::host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, capabilities);
  std::optional<bool> answered;
  asio::co_spawn(loop, (*set->plugin("late"))->call(operation, "", "{}", CallOptions()),
                 [&](std::exception_ptr, const skep::Result<std::string>& reply) {
                   answered = reply.has_value();
                 });
  run(loop, set->probe());  // it is away, so nobody asks it
  CHECK_FALSE(answered.has_value());
  CHECK(set->probe_pause() == std::chrono::seconds(10));
  std::filesystem::remove(there);
  REQUIRE(skep::test::until(loop, [&] { return answered.has_value(); }));
  CHECK(*answered);
  CHECK(set->probe_pause().count() == 0);
  run(loop, set->probe());
  CHECK(set->states()[0].probe == ProbeState::ready);
  CHECK(set->states()[0].run.restarts == 0);
}

TEST_CASE_METHOD(Fixture, "a refusal that comes late is a loss, told with its sentence") {
  const std::string there = where.file("there");
  std::ofstream(there).put('\n');
  DriverSetOptions options;
  options.start_patience = std::chrono::milliseconds(100);
  load({apart("late", "fake-keeper", keeper_config("configure", "linger", there, R"(,"size":99)"))},
       options);
  REQUIRE_FALSE(set->states()[0].refused.has_value());
  std::filesystem::remove(there);
  REQUIRE(skep::test::until(loop, [&] { return set->states()[0].run.recent_losses > 0; }));
  CHECK(set->states()[0].run.reason.find("99 is too much") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "what needs a runtime or a network waits for it, however long it takes") {
  const std::string there = where.file("there");
  std::ofstream(there).put('\n');
  DriverSetOptions options;
  options.start_patience = std::chrono::milliseconds(1);
  bool loaded = false;
  asio::co_spawn(loop,
                 DriverSet::load({apart("runtime", "fake-slow-runtime",
                                        keeper_config("configure", "linger", there)),
                                  apart("c", "fake-keeper")},
                                 where.place(), options),
                 [&](std::exception_ptr, std::unique_ptr<DriverSet> made) {
                   set = std::move(made);
                   loaded = true;
                 });
  REQUIRE(skep::test::until(loop, [&] { return std::filesystem::exists(there + ".now"); }));
  CHECK_FALSE(skep::test::until(
      loop, [&] { return loaded; }, std::chrono::milliseconds(300)));
  std::filesystem::remove(there);
  REQUIRE(skep::test::until(loop, [&] { return loaded; }));
  CHECK(set->states()[0].probe == ProbeState::ready);
}

TEST_CASE_METHOD(Fixture, "drivers that hang at their end do so at the same time") {
  const std::string there = where.file("there");
  const std::string hang = keeper_config("shutdown", "hang", there);
  load({apart("a", "fake-keeper", hang), apart("b", "fake-keeper", hang),
        apart("c", "fake-keeper", hang)});
  std::ofstream(there).put('\n');
  CHECK(seconds_of([&] { run(loop, set->shutdown()); }) < 18);  // each takes 10 s
  for (const DriverState& state : set->states()) CHECK(state.run.pid == 0);
}

TEST_CASE_METHOD(Fixture, "a driver that isn't ready is asked again soon, then ever more seldom") {
  using std::chrono::milliseconds;
  const std::string there = where.file("there");
  std::ofstream(there).put('\n');
  load({apart("slow", "fake-keeper", keeper_config("probe", "unready", there)),
        apart("quick", "fake-keeper")});
  CHECK(set->states()[0].reason == "warming up");
  CHECK(set->probe_pause() == milliseconds(100));
  run(loop, set->probe());
  CHECK(set->probe_pause() == milliseconds(200));
  for (int times = 0; times < 8; ++times) run(loop, set->probe());
  CHECK(set->probe_pause() == milliseconds(10'000));
  std::filesystem::remove(there);
  run(loop, set->probe());
  CHECK(set->states()[0].probe == ProbeState::ready);
  CHECK(set->probe_pause() == milliseconds(10'000));
  // One that came back is asked at once.
  kill(set->states()[1].run.pid, SIGKILL);
  REQUIRE(skep::test::until(loop, [&] { return set->states()[1].run.restarts == 1; }));
  REQUIRE(skep::test::until(loop, [&] { return set->states()[1].run.state == RunState::serving; }));
  CHECK(set->probe_pause().count() == 0);
  run(loop, set->probe());
  CHECK(set->probe_pause() == milliseconds(10'000));
}

TEST_CASE_METHOD(Fixture, "a key that is gone at a reload means what it means at a start") {
  PluginConfig fresh;
  DriverSetOptions options;
  options.fresh_config = [&](const std::string&) { return fresh; };
  const auto reload = [&] { return run(loop, set->reload("p")); };

  SECTION("in the daemon's process, where another mode is a conflict") {
    load({inside("p", "fake-keeper")}, options);
    fresh = inside("p", "fake-keeper", R"({"size": 4})");
    fresh.isolation.reset();
    const skep::Status refused = reload();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == ErrorKind::conflict);
    CHECK(refused.error().message ==
          "plugin p runs in the process of skepd, and as it is configured now it is to run in a "
          "process of its own (no isolation is named, and that is its default): that needs a "
          "restart of skepd");
    CHECK((*set->plugin("p"))->config().config == "{}");
  }
  SECTION("in a process of its own, where the mode by default may be another") {
    load({apart("p", "fake-lb")}, options);
    fresh = apart("p", "fake-lb");
    fresh.isolation.reset();
    CHECK(reload().has_value());  // nobody trusts a balancer of somebody else's
    fresh.shipped = true;
    CHECK(reload().error().message.find("its default") != std::string::npos);
    fresh.isolation = Isolation::process;
    CHECK(reload().has_value());
    fresh.isolation = Isolation::in_process;
    CHECK(reload().error().message ==
          "plugin p runs in a process of its own, and as it is configured now it is to run in the "
          "process of skepd: that needs a restart of skepd");
  }
  SECTION("a pin, limits and a file that go") {
    const bool in_process = GENERATE(false, true);
    const Isolation isolation = in_process ? Isolation::in_process : Isolation::process;
    PluginConfig first = plugin_config("p", "fake-keeper", isolation, R"({"size": 4})");
    first.limits.open_files = 100;
    load({first}, options);
    fresh = plugin_config("p", "fake-keeper", isolation);
    fresh.path = where.file("moved.so");
    std::filesystem::copy_file(first.path, fresh.path);
    CHECK(reload().has_value());
    CHECK((*set->plugin("p"))->config().config == "{}");
    CHECK((*set->plugin("p"))->config().limits.open_files == 1024);
    CHECK(set->states()[0].path == fresh.path);
    fresh.sha256 = std::string(64, '0');
    CHECK(reload().error().message.find("bad_hash") == 0);
    fresh.sha256.reset();
    fresh.debug = true;
    const skep::Status other = reload();
    CHECK(other.has_value() != in_process);
    if (!other) CHECK(other.error().kind == ErrorKind::conflict);
  }
}
