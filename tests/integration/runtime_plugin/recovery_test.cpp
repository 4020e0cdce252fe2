// What outlives the driver and what outlives containerd: everything that runs.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <functional>
#include <thread>

#include "tests/integration/runtime_plugin/world.hpp"

namespace skep::test {

namespace {
json find(const json& list, const std::string& id) {
  for (const json& one : list.at("containers")) {
    if (one.at("id") == id) return one;
  }
  return json();
}
}  // namespace

TEST_CASE("a driver in another process lists what runs, and a new one can wait for it") {
  World& world = World::get();
  auto plugin = world.plugin();
  const std::string id =
      run(world, *plugin, "trap 'exit 6' TERM; echo up; while :; do sleep 0.05; done");
  const std::string ended = run(world, *plugin, "exit 11");
  plugin->call(plugin->runtime->wait, {{"id", ended}});
  const json before = plugin->call(plugin->runtime->inspect, {{"id", id}}).reply;
  plugin.reset();

  const json list = json::parse(world.shell("/proc/" + std::to_string(getpid()) + "/exe list " +
                                            world.folder() + " " + world.folder() + "/c.sock"));
  CHECK(find(list, id) == before);
  CHECK(find(list, ended).at("exit_code") == 11);

  plugin = world.plugin();
  CHECK(plugin->call(plugin->base->restore, {{"id", id}, {"handle", {{"version", 1}}}}).ok());
  CHECK(plugin->call(plugin->base->restore, {{"id", "gone"}, {"handle", nullptr}}).status ==
        SKEP_E_NOTFOUND);
  CHECK(plugin->call(plugin->base->restore_done, {{"ids", {id, ended}}}).ok());
  // It once took the roots away from under what runs, which went on without being able to open a
  // file.
  const std::string snapshots =
      world.shell("ctr -a " + world.folder() + "/c.sock -n k8s.io snapshots ls");
  CHECK(snapshots.find(id) != std::string::npos);
  CHECK(snapshots.find(ended) != std::string::npos);
  const OperationPtr wait = plugin->begin(plugin->runtime->wait, {{"id", id}});
  CHECK(plugin->call(plugin->runtime->wait, {{"id", ended}}).reply.at("exit_code") == 11);
  CHECK(plugin->call(plugin->runtime->stop, {{"id", id}, {"grace_ms", 20'000}}).ok());
  CHECK(wait->finish().reply.at("exit_code") == 6);
  remove(*plugin, id);
  remove(*plugin, ended);
}

TEST_CASE("containerd dies and comes back under running containers, and nothing is lost") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const OperationPtr health = plugin->begin(plugin->runtime->fingerprint, json::object());
  const OperationPtr events = plugin->begin(plugin->runtime->events, json::object());
  size_t next_event = events->item(0, [](const json& e) { return e.at("type") == "gap"; }).second;
  const std::string stays = run(world, *plugin, "while :; do echo tick; sleep 0.05; done");
  const std::string ends = run(world, *plugin, "sleep 1; exit 21");
  const json pid = plugin->call(plugin->runtime->inspect, {{"id", stays}}).reply.at("pid");
  const json ending = plugin->call(plugin->runtime->inspect, {{"id", ends}}).reply.at("pid");
  const OperationPtr wait = plugin->begin(plugin->runtime->wait, {{"id", ends}});

  world.kill_containerd();
  auto [bad, next] = health->item(1, [](const json& item) { return !item.at("healthy"); });
  CHECK(bad.at("reason").get<std::string>().find("does not answer") != std::string::npos);
  CHECK(wait->finish().status == SKEP_E_UNAVAILABLE);
  CHECK(plugin->call(plugin->runtime->list, json::object()).status == SKEP_E_UNAVAILABLE);
  CHECK(plugin->call(plugin->base->probe, json::object()).reply.at("state") == "not_ready");
  // One container ends while nobody looks.
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (kill(ending.get<pid_t>(), 0) == 0) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(20ms);
  }
  world.start_containerd();

  health->item(next, [](const json& item) { return item.at("healthy").get<bool>(); });
  events->item(next_event, [](const json& e) { return e.at("type") == "gap"; });
  CHECK(plugin->call(plugin->runtime->wait, {{"id", ends}}).reply.at("exit_code") == 21);
  const json now = plugin->call(plugin->runtime->inspect, {{"id", stays}}).reply;
  CHECK(now.at("state") == "running");
  CHECK(now.at("pid") == pid);
  const size_t logged = world.log_of(stays).size();
  while (world.log_of(stays).size() <= logged) std::this_thread::sleep_for(10ms);
  CHECK(plugin->call(plugin->runtime->stop, {{"id", stays}, {"grace_ms", 0}}).ok());
  events->item(next_event,
               [&](const json& e) { return e.at("type") == "exit" && e.value("id", "") == stays; });
  remove(*plugin, stays);
  remove(*plugin, ends);
}

TEST_CASE("what a pull had unpacked when containerd died goes after the next restore") {
  World& world = World::get();
  const SlowRegistry registry;
  auto plugin = world.plugin();
  const OperationPtr pull =
      plugin->begin(plugin->images->pull, {{"image", registry.image("cut-3-40-100000")}});
  const std::string ctr = "ctr -a " + world.folder() + "/c.sock -n k8s.io ";
  const auto unpacking = [&] {
    return world.shell(ctr + "snapshots ls").find("extract-") != std::string::npos;
  };
  const auto until = [](const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + 40s;
    while (!holds()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::sleep_for(20ms);
    }
  };
  until(unpacking);
  world.kill_containerd();
  CHECK(pull->finish().status == SKEP_E_UNAVAILABLE);
  plugin.reset();
  world.start_containerd();
  REQUIRE(unpacking());

  plugin = world.plugin();
  CHECK(plugin->call(plugin->base->restore_done, {{"ids", json::array()}}).ok());
  until([&] { return !unpacking(); });
  CHECK(world.shell(ctr + "leases ls").find("io.skep.node") == std::string::npos);
}

TEST_CASE("what nobody owns goes when containerd answers again, if it was away at the restore") {
  World& world = World::get();
  const std::string ctr = "ctr -a " + world.folder() + "/c.sock -n k8s.io ";
  world.shell(ctr + "snapshots prepare nobody-owns-it");
  world.shell(ctr + "snapshots label nobody-owns-it io.skep.node=node-1");
  const auto there = [&] {
    return world.shell(ctr + "snapshots ls").find("nobody-owns-it") != std::string::npos;
  };
  REQUIRE(there());
  const auto plugin = world.plugin();
  world.kill_containerd();
  CHECK(plugin->call(plugin->base->restore_done, {{"ids", json::array()}}).ok());
  world.start_containerd();
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (there()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(100ms);
  }
}

TEST_CASE("a container whose start was only noted when the driver died has never run") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = world.new_id();
  REQUIRE(plugin->call(plugin->runtime->create, world.request(id, "exit 0")).ok());
  world.shell("mkdir -p " + world.folder() + "/data/started && echo 2026-01-01T00:00:00Z life > " +
              world.folder() + "/data/started/" + id);
  CHECK(plugin->call(plugin->runtime->stop, {{"id", id}, {"grace_ms", 0}}).ok());
  const Outcome late = plugin->call(plugin->runtime->start, {{"id", id}});
  CHECK(late.status == SKEP_E_PRECONDITION);
  const json seen = plugin->call(plugin->runtime->inspect, {{"id", id}}).reply;
  CHECK(seen.at("state") == "stopped");
  CHECK_FALSE(seen.contains("started_at"));
  remove(*plugin, id);
}

TEST_CASE("a container that was only created is not running: no signal ends it before it began") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = world.new_id();
  REQUIRE(plugin->call(plugin->runtime->create, world.request(id, "sleep 60")).ok());
  const Outcome sent = plugin->call(plugin->runtime->signal, {{"id", id}, {"signal", "KILL"}});
  CHECK(sent.status == SKEP_E_PRECONDITION);
  CHECK(sent.error == "Container " + id + " is not running");
  CHECK(plugin->call(plugin->runtime->start, {{"id", id}}).ok());
  CHECK(plugin->call(plugin->runtime->signal, {{"id", id}, {"signal", "KILL"}}).ok());
  CHECK(plugin->call(plugin->runtime->wait, {{"id", id}}).reply.at("exit_code") == 137);
  remove(*plugin, id);
}

TEST_CASE("a container whose shim was killed is told as lost, and by which life of the machine") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = run(world, *plugin, "while :; do sleep 0.05; done");
  const json pid = plugin->call(plugin->runtime->inspect, {{"id", id}}).reply.at("pid");
  const std::string start_file = world.folder() + "/data/started/" + id;
  const std::string shim = "$(awk '{print $4}' /proc/" + std::to_string(pid.get<int>()) + "/stat)";
  world.shell("kill -9 " + shim);
  json end = plugin->call(plugin->runtime->wait, {{"id", id}}).reply;
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!end.contains("lost")) {  // the wait may have been cut off with the shim
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    end = plugin->call(plugin->runtime->wait, {{"id", id}}).reply;
  }
  CHECK(end.at("exit_code") == 255);
  CHECK(end.at("lost") == "the container's shim was killed while the task ran");
  world.shell("sed -i 's|/.*|/of-an-earlier-boot|' " + start_file);
  end = plugin->call(plugin->runtime->wait, {{"id", id}}).reply;
  CHECK(end.at("lost") == "the node was restarted while the task ran");
  remove(*plugin, id);
}

TEST_CASE("a member nobody knows is refused by name, and a dead socket is told") {
  World& world = World::get();
  Plugin wrong({{"adress", "/x"}}, "node-1", world.folder() + "/data");
  CHECK(wrong.configured.status == SKEP_E_INVALID);
  CHECK(wrong.configured.error == "config.adress: unknown member");
  Plugin dead({{"address", world.folder() + "/nobody.sock"}}, "node-1", world.folder() + "/data");
  REQUIRE(dead.configured.ok());
  const OperationPtr health = dead.begin(dead.runtime->fingerprint, json::object());
  CHECK(health->item(0, [](const json&) { return true; }).first.at("healthy") == false);
  CHECK(dead.call(dead.runtime->list, json::object()).status == SKEP_E_UNAVAILABLE);
}

}  // namespace skep::test
