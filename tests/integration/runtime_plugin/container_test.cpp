// The life of a container: create, start, wait, stop, signal, remove, its events and its log.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <sstream>
#include <thread>

#include "tests/integration/runtime_plugin/world.hpp"

namespace skep::test {

namespace {

json inspect(Plugin& plugin, const std::string& id) {
  const Outcome outcome = plugin.call(plugin.runtime->inspect, {{"id", id}});
  INFO(outcome.error);
  REQUIRE(outcome.ok());
  return outcome.reply;
}

// The types of a container's events, in order.
std::vector<std::string> types_of(const std::vector<json>& items, const std::string& id) {
  std::vector<std::string> types;
  for (const json& item : items) {
    if (item.value("id", "") == id && !item.contains("exec_id")) types.push_back(item.at("type"));
  }
  return types;
}

}  // namespace

TEST_CASE("a container runs, its exit code is told, and its request comes back") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = world.new_id();
  const json request = world.request(id, "exit 42");
  const Outcome made = plugin->call(plugin->runtime->create, request);
  INFO(made.error);
  REQUIRE(made.ok());
  CHECK(made.reply.at("image_id").get<std::string>().starts_with("sha256:"));
  CHECK(inspect(*plugin, id).at("state") == "created");

  const OperationPtr first = plugin->begin(plugin->runtime->wait, {{"id", id}});
  const OperationPtr second = plugin->begin(plugin->runtime->wait, {{"id", id}});
  const Outcome started = plugin->call(plugin->runtime->start, {{"id", id}});
  INFO(started.error);
  REQUIRE(started.ok());
  CHECK(started.reply.at("pid").get<int>() > 1);
  CHECK(first->finish().reply.at("exit_code") == 42);
  CHECK(second->finish().reply.at("exit_code") == 42);
  CHECK(plugin->call(plugin->runtime->wait, {{"id", id}}).reply.at("exit_code") == 42);

  const json seen = inspect(*plugin, id);
  CHECK(seen.at("state") == "stopped");
  CHECK(seen.at("exit_code") == 42);
  CHECK(seen.at("spec") == request);
  CHECK(seen.at("started_at") == started.reply.at("started_at"));
  CHECK(seen.at("finished_at").get<std::string>() > seen.at("started_at").get<std::string>());
  remove(*plugin, id);
  CHECK(plugin->call(plugin->runtime->wait, {{"id", id}}).status == SKEP_E_NOTFOUND);
  CHECK(plugin->call(plugin->runtime->inspect, {{"id", id}}).status == SKEP_E_NOTFOUND);
}

TEST_CASE("the same create again gives the same answer, and another one with its id is refused") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = world.new_id();
  json request = world.request(id, "sleep 60");
  const Outcome first = plugin->call(plugin->runtime->create, request);
  const Outcome again = plugin->call(plugin->runtime->create, request);
  INFO(again.error);
  CHECK(again.ok());
  CHECK(again.reply == first.reply);
  request["hostname"] = "other";
  CHECK(plugin->call(plugin->runtime->create, request).status == SKEP_E_EXISTS);
  CHECK(plugin->call(plugin->runtime->start, {{"id", id}}).ok());
  CHECK(plugin->call(plugin->runtime->start, {{"id", id}}).ok());
  remove(*plugin, id);
}

TEST_CASE("events of a container come in order after a gap item, and none of strangers") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const OperationPtr events = plugin->begin(plugin->runtime->events, json::object());
  events->item(0, [](const json& item) { return item.at("type") == "gap"; });
  const std::string ctr = "ctr -a " + world.folder() + "/c.sock -n k8s.io ";
  world.shell(ctr + "run --rm " + image_name + " stranger /bin/true");
  const std::string id = run(world, *plugin, "true");
  plugin->call(plugin->runtime->wait, {{"id", id}});
  remove(*plugin, id);
  events->item(0, [&](const json& item) {
    return item.value("id", "") == id && item.at("type") == "delete";
  });
  const std::vector<std::string> expected = {"create", "start", "exit", "delete"};
  CHECK(types_of(events->items(), id) == expected);
  CHECK(types_of(events->items(), "stranger").empty());
  events->cancel();
  CHECK(events->finish().status == SKEP_E_CANCELLED);
}

TEST_CASE("stop lets a program end by itself within the grace") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id =
      run(world, *plugin, "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
  while (world.log_of(id).find("up") == std::string::npos) std::this_thread::sleep_for(10ms);
  CHECK(plugin->call(plugin->runtime->stop, {{"id", id}, {"grace_ms", 20'000}}).ok());
  CHECK(inspect(*plugin, id).at("exit_code") == 7);
  CHECK(plugin->call(plugin->runtime->stop, {{"id", id}, {"grace_ms", 0}}).ok());
  remove(*plugin, id);
  CHECK(plugin->call(plugin->runtime->stop, {{"id", id}, {"grace_ms", 0}}).ok());
}

TEST_CASE("stop kills a program that ignores the signal once the grace is over") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = run(world, *plugin, "trap '' TERM; echo up; while :; do sleep 0.05; done");
  while (world.log_of(id).find("up") == std::string::npos) std::this_thread::sleep_for(10ms);
  CHECK(plugin->call(plugin->runtime->stop, {{"id", id}, {"grace_ms", 300}}).ok());
  CHECK(inspect(*plugin, id).at("exit_code") == 137);
  remove(*plugin, id);
}

TEST_CASE("a signal reaches the program, and one that has ended refuses it") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id =
      run(world, *plugin, "trap 'exit 9' HUP; echo up; while :; do sleep 0.05; done");
  while (world.log_of(id).find("up") == std::string::npos) std::this_thread::sleep_for(10ms);
  CHECK(plugin->call(plugin->runtime->signal, {{"id", id}, {"signal", "SIGHUP"}}).ok());
  CHECK(plugin->call(plugin->runtime->wait, {{"id", id}}).reply.at("exit_code") == 9);
  CHECK(plugin->call(plugin->runtime->signal, {{"id", id}, {"signal", "1"}}).status ==
        SKEP_E_PRECONDITION);
  CHECK(plugin->call(plugin->runtime->signal, {{"id", id}, {"signal", "NO"}}).status ==
        SKEP_E_INVALID);
  remove(*plugin, id);
}

TEST_CASE("remove refuses a running container unless forced, and leaves nothing") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = run(world, *plugin, "sleep 60");
  CHECK(plugin->call(plugin->runtime->remove, {{"id", id}, {"force", false}}).status ==
        SKEP_E_PRECONDITION);
  CHECK(plugin->call(plugin->runtime->remove, {{"id", id}, {"force", true}}).ok());
  CHECK(plugin->call(plugin->runtime->remove, {{"id", id}, {"force", true}}).ok());
  CHECK(world.shell("find /sys/fs/cgroup -type d -name '" + id + "'").empty());
  const std::string ctr = "ctr -a " + world.folder() + "/c.sock -n k8s.io ";
  const std::string left = world.shell(ctr + "containers ls; " + ctr + "tasks ls; " + ctr +
                                       "snapshots ls; " + ctr + "leases ls");
  CHECK(left.find(id) == std::string::npos);
}

TEST_CASE(
    "a program that is missing or can't be executed is refused with the reason, and nothing is "
    "left") {
  World& world = World::get();
  const auto plugin = world.plugin();
  for (const char* program : {"no-such-program", "/etc/plain"}) {
    const std::string id = world.new_id();
    json request = world.request(id, "");
    request["command"] = {program};
    const Outcome outcome = plugin->call(plugin->runtime->create, request);
    INFO(outcome.error);
    CHECK(outcome.status == SKEP_E_INVALID);
    CHECK(outcome.error.starts_with("exec: \""));
    CHECK(plugin->call(plugin->runtime->inspect, {{"id", id}}).status == SKEP_E_NOTFOUND);
    const std::string ctr = "ctr -a " + world.folder() + "/c.sock -n k8s.io ";
    CHECK(world.shell(ctr + "snapshots ls").find(id) == std::string::npos);
    CHECK(world.shell("find /sys/fs/cgroup -type d -name '" + id + "'").empty());
  }
}

TEST_CASE("a missing image is told by its name") {
  World& world = World::get();
  const auto plugin = world.plugin();
  json request = world.request(world.new_id(), "true");
  request["image"] = "docker.io/library/nothing:9";
  const Outcome outcome = plugin->call(plugin->runtime->create, request);
  CHECK(outcome.status == SKEP_E_NOTFOUND);
  CHECK(outcome.error == "No such image: docker.io/library/nothing:9");
}

TEST_CASE("twenty containers are made at the same time") {
  World& world = World::get();
  const auto plugin = world.plugin();
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(world.new_id());
  std::vector<std::future<Outcome>> started;
  for (const std::string& id : ids) {
    started.push_back(std::async(std::launch::async, [&world, &plugin, id] {
      Outcome outcome = plugin->call(plugin->runtime->create, world.request(id, "exit 3"));
      return outcome.ok() ? plugin->call(plugin->runtime->start, {{"id", id}}) : outcome;
    }));
  }
  for (auto& one : started) {
    const Outcome outcome = one.get();
    INFO(outcome.error);
    CHECK(outcome.ok());
  }
  for (const std::string& id : ids) {
    CHECK(plugin->call(plugin->runtime->wait, {{"id", id}}).reply.at("exit_code") == 3);
    remove(*plugin, id);
  }
}

TEST_CASE("the log has each line with its time and stream") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id =
      run(world, *plugin,
          "echo 'out \"quoted\"'; echo err >&2; printf tail; head -c 20000 /dev/zero >&2");
  plugin->call(plugin->runtime->wait, {{"id", id}});
  remove(*plugin, id);  // ends the logger, so the file is whole
  std::string out;
  std::string err;
  std::istringstream lines(world.log_of(id));
  for (std::string line; std::getline(lines, line);) {
    const json entry = json::parse(line);
    CHECK(entry.at("time").get<std::string>().size() == 30);
    (entry.at("stream") == "stdout" ? out : err) += entry.at("log").get<std::string>();
    if (entry.value("partial", false)) CHECK(entry.at("log").get<std::string>().size() == 16384);
  }
  CHECK(out == "out \"quoted\"\ntail");
  CHECK(err == "err\n" + std::string(20000, '\0'));
}

TEST_CASE("a log is rotated by size and keeps so many files") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = world.new_id();
  json request = world.request(id, "yes 0123456789012345678901234567890123456789 | head -n 2000");
  request["log"]["max_bytes"] = 20'000;
  request["log"]["max_files"] = 3;
  REQUIRE(plugin->call(plugin->runtime->create, request).ok());
  REQUIRE(plugin->call(plugin->runtime->start, {{"id", id}}).ok());
  plugin->call(plugin->runtime->wait, {{"id", id}});
  remove(*plugin, id);
  const std::filesystem::path dir = request["log"]["dir"].get<std::string>();
  for (const char* name : {"json.log", "json.log.1", "json.log.2"}) {
    REQUIRE(std::filesystem::exists(dir / name));
    CHECK(std::filesystem::file_size(dir / name) <= 20'000);
  }
  CHECK_FALSE(std::filesystem::exists(dir / "json.log.3"));
}

TEST_CASE("user names, environment, hostname and limits reach the program") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = world.new_id();
  json request = world.request(id, "id; hostname; echo $FROM_IMAGE $MINE; cat /proc/self/cgroup");
  request["user"] = "alice";
  request["env"] = {"MINE=also"};
  request["resources"] = {{"nano_cpus", 500'000'000}, {"memory_bytes", 32 << 20}, {"pids", 20}};
  const Outcome made = plugin->call(plugin->runtime->create, request);
  INFO(made.error);
  REQUIRE(made.ok());
  REQUIRE(plugin->call(plugin->runtime->start, {{"id", id}}).ok());
  plugin->call(plugin->runtime->wait, {{"id", id}});
  remove(*plugin, id);
  const std::string log = world.log_of(id);
  CHECK(log.find("uid=1000(alice) gid=1001(alice) groups=2000(friends)") != std::string::npos);
  CHECK(log.find("tiny\\n") != std::string::npos);
  CHECK(log.find("yes also") != std::string::npos);
  CHECK(log.find("/" + id) != std::string::npos);
}

TEST_CASE("a program killed for want of memory is told as such, and stats show a running one") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = world.new_id();
  json request = world.request(id, "x=0123456789; while :; do x=$x$x; done");
  request["resources"] = {{"memory_bytes", 16 << 20}};
  REQUIRE(plugin->call(plugin->runtime->create, request).ok());
  REQUIRE(plugin->call(plugin->runtime->start, {{"id", id}}).ok());
  const Outcome ended = plugin->call(plugin->runtime->wait, {{"id", id}});
  CHECK(ended.reply.at("exit_code") == 137);
  CHECK(ended.reply.at("oom_killed") == true);
  remove(*plugin, id);

  const std::string other = run(world, *plugin, "sleep 60");
  const Outcome stats =
      plugin->call(plugin->runtime->stats, {{"ids", {other, std::string(64, 'f')}}});
  REQUIRE(stats.ok());
  REQUIRE(stats.reply.at("stats").size() == 1);
  CHECK(stats.reply.at("stats")[0].at("memory_bytes").get<uint64_t>() > 0);
  CHECK(stats.reply.at("stats")[0].at("pids").get<uint64_t>() >= 1);
  remove(*plugin, other);
}

}  // namespace skep::test
