// Tasks that come and go while a driver's process dies or hangs: who has a volume in the end.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "daemon/agent/agent_db.hpp"
#include "tests/unit/agent/volumes_world.hpp"

namespace skep::agent::test {
namespace {

using model::TaskState;

int64_t unpublish_count(const World& world) {
  return std::count_if(world.local.calls.begin(), world.local.calls.end(),
                       [](const std::string& call) { return call.starts_with("unpublish"); });
}

// The tasks' rows are lost, those of their volumes are not, and the containers went as well.
void lose_tasks(World& world, const std::vector<AssignedTask>& tasks) {
  world.stop_agent();
  const Result<std::unique_ptr<AgentDb>> db = AgentDb::open(world.folder + "/data/agent.db");
  REQUIRE(db);
  for (const AssignedTask& task : tasks) REQUIRE((*db)->remove(task.task.id));
  world.runtime.containers.clear();
}

// Each with a volume of its own, of1 and of2, where sweeps come all the time.
std::vector<AssignedTask> two_running_tasks(World& world) {
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  const std::vector<AssignedTask> tasks = {
      with_mounts(World::task(1), {volume_at("of1", "/data")}),
      with_mounts(World::task(2), {volume_at("of2", "/data")})};
  world.assign(tasks);
  for (const AssignedTask& task : tasks) REQUIRE(world.is(task, TaskState::running));
  return tasks;
}

TEST_CASE("a task that comes back while others are swept keeps its volume") {
  if (!can_run()) return;
  World world;
  const std::vector<AssignedTask> tasks = two_running_tasks(world);
  lose_tasks(world, tasks);
  world.reports.clear();
  world.local.calls.clear();
  world.start_agent();
  REQUIRE(world.until([&] { return world.local.named.has_value(); }));
  world.local.hangs_before.insert("unpublish");
  world.assign({});
  REQUIRE(world.until([&] { return unpublish_count(world) == 1; }));
  const bool first = world.local.calls.back().starts_with("unpublish of1");
  const AssignedTask& back = tasks[first ? 1 : 0];
  const std::string swept = first ? "of1" : "of2";
  const std::string kept = first ? "of2" : "of1";
  world.assign({back});
  REQUIRE(world.is(back, TaskState::running));
  world.local.hangs_before.clear();
  world.local.go_on();
  REQUIRE(world.until([&] { return volumes(world).find(swept)->holders.empty(); }));
  world.runtime.containers["stray"];
  REQUIRE(world.until([&] { return world.runtime.containers.size() == 1; }));  // swept once more
  CHECK(world.local.volumes.at(kept).holders == std::set<std::string>{World::id(back)});
  CHECK(remove(world, kept).error().kind == ErrorKind::conflict);
}

TEST_CASE("a volume that somebody is at keeps no other from being swept, and is swept later") {
  if (!can_run()) return;
  World world;
  const std::vector<AssignedTask> tasks = two_running_tasks(world);
  const auto containers = world.runtime.containers;
  lose_tasks(world, tasks);
  // Nobody sweeps their volumes while their containers can't be removed.
  world.runtime.containers = containers;
  world.runtime.busy = {{"restore_done", 1'000'000}, {"remove", 1'000'000}};
  world.local.calls.clear();
  world.start_agent();
  world.local.hangs_before.insert("publish");
  const AssignedTask third = with_mounts(World::task(3), {volume_at("of1", "/data")});
  world.assign({third});
  REQUIRE(world.until([&] {
    return !world.local.calls.empty() && world.local.calls.back().starts_with("publish of1");
  }));
  world.runtime.busy["remove"] = 0;
  CHECK(world.until([&] { return holds_nothing(world, "of2"); }));
  CHECK(unpublish_count(world) == 1);
  world.local.hangs_before.clear();
  world.local.go_on();
  const std::set<std::string> only{World::id(third)};
  CHECK(world.until([&] { return world.local.volumes.at("of1").holders == only; }));
  CHECK(world.until([&] { return volumes(world).find("of1")->holders == only; }));
}

TEST_CASE(
    "a task that is taken back while its runtime dies has its volume until its container went") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.lost.insert("create");
  const AssignedTask task =
      with_mounts(World::task(1), {volume_at("data", "/data"), volume_at("", "/own")});
  world.assign({task});
  REQUIRE(world.until([&] { return world.last(task).error == "create: its process died"; }));
  REQUIRE(world.runtime.containers.contains(World::id(task)));
  world.runtime.lost = {"create", "remove"};
  world.local.hangs_before.insert("unpublish");
  world.assign({});
  // The removal came through, but nobody knows; until then nothing is let go.
  REQUIRE(world.until([&] { return world.runtime.containers.empty(); }));
  CHECK(unpublish_count(world) == 0);
  CHECK(volumes(world).find("data")->holders == std::set<std::string>{World::id(task)});
  world.runtime.lost.clear();
  REQUIRE(world.until([&] { return unpublish_count(world) == 1; }));
  world.local.hangs_before.clear();
  world.local.go_on();
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(world.local.volumes.size() == 1);
  CHECK(world.local.volumes.at("data").holders.empty());
}

TEST_CASE("a task that is taken back while its volume's driver dies leaves no holder") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.local.lost["publish"] = Error{ErrorKind::plugin_lost, "its process died"};
  const AssignedTask task =
      with_mounts(World::task(1), {volume_at("data", "/data"), volume_at("", "/own")});
  world.assign({task});
  REQUIRE(world.until([&] { return world.last(task).error.ends_with("its process died"); }));
  world.local.refusals["unpublish"] = Error{ErrorKind::plugin_lost, "it died again"};
  world.assign({});
  REQUIRE(world.until([&] { return unpublish_count(world) > 0; }));
  world.local.die();  // and is told of the holder, who is about to go
  CHECK(world.local.volumes.at("data").holders == std::set<std::string>{World::id(task)});
  world.local.refusals.clear();
  world.local.lost.clear();
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(world.local.volumes.size() == 1);
  CHECK(world.local.volumes.at("data").holders.empty());
  CHECK(remove(world, "data"));
}

}  // namespace
}  // namespace skep::agent::test
