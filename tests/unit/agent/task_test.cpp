// The walk of one task, and what stops it.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/agent/world.hpp"

namespace skep::agent::test {
namespace {

using model::TaskState;

TEST_CASE("a task whose image is here runs without a pull") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = World::task(1);
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  CHECK(world.runtime.pulls == 0);
  CHECK(world.last(task).container->container_id == World::id(task));
  CHECK(world.last(task).container->pid == 4711);
  CHECK(world.has_namespace(task));
  const auto found = world.agent->containers().find("web.1." + task.task.id.str());
  REQUIRE(found);
  CHECK((*found)->networks.at(0).address == "172.20.0.2");
  CHECK((*found)->labels.at("com.docker.swarm.task.id") == task.task.id.str());
  TaskState before = TaskState::fresh;
  for (const TaskReport& report : world.reports) {
    CHECK(report.status.state >= before);
    before = report.status.state;
  }
}

TEST_CASE("a missing image is pulled, and one that no registry has rejects the task") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.registry.insert("docker.io/library/busybox:1");
  const AssignedTask good = World::task(1, "busybox:1");
  const AssignedTask bad = World::task(2, "busybox:none");
  const AssignedTask wrong = World::task(3, "Not:A:Name");
  world.assign({good, bad, wrong});
  CHECK(world.is(good, TaskState::running));
  CHECK(world.is(bad, TaskState::rejected));
  CHECK(world.last(bad).error == "No such image: busybox:none");
  CHECK(world.is(wrong, TaskState::rejected));
  CHECK(world.until([&] { return !world.has_namespace(bad); }));
}

TEST_CASE("a registry that is away is told and tried again") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.registry.insert("docker.io/library/busybox:1");
  world.runtime.registry_away = true;
  const AssignedTask task = World::task(1, "busybox:1");
  world.assign({task});
  REQUIRE(world.until([&] { return world.last(task).error == "registry.test does not answer"; }));
  CHECK(world.last(task).state == TaskState::preparing);
  world.runtime.registry_away = false;
  CHECK(world.is(task, TaskState::running));
  CHECK(world.last(task).error.empty());
}

TEST_CASE("a process that ends is complete or failed by its exit code") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask good = World::task(1);
  const AssignedTask bad = World::task(2);
  world.assign({good, bad});
  REQUIRE(world.is(good, TaskState::running));
  REQUIRE(world.is(bad, TaskState::running));
  world.runtime.end(World::id(good), 0);
  world.runtime.end(World::id(bad), 3);
  CHECK(world.is(good, TaskState::complete));
  CHECK(world.is(bad, TaskState::failed));
  CHECK(world.last(bad).error == "task: non-zero exit (3)");
  CHECK(world.last(bad).container->exit_code == 3);
  // Its container stays for its logs, its network goes.
  CHECK(world.until([&] { return !world.has_namespace(bad) && world.network.endpoints.empty(); }));
  CHECK(world.runtime.containers.contains(World::id(bad)));
}

TEST_CASE("a command that can't be started fails the task with the reason") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.start_error = "exec: \"nope\": not found";
  const AssignedTask task = World::task(1);
  world.assign({task});
  REQUIRE(world.is(task, TaskState::failed));
  CHECK(world.last(task).error == "starting container failed: exec: \"nope\": not found");
}

TEST_CASE("a task held at READY starts when more is wanted, and desired never goes back") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  AssignedTask task = World::task(1);
  task.task.desired = TaskState::ready;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::ready));
  CHECK(world.runtime.starts == 0);
  task.task.desired = TaskState::running;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  task.task.desired = TaskState::shutdown;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::shutdown));
  CHECK(world.runtime.stop_grace_ms == 10'000);
  CHECK(world.last(task).container->exit_code == 143);
}

TEST_CASE("stop signal and grace are the spec's") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  AssignedTask task = World::task(1);
  auto spec = std::make_shared<model::TaskSpec>(*task.spec);
  spec->container.stop_signal = "SIGUSR1";
  spec->container.stop_grace_period = std::chrono::milliseconds(1500);
  task.spec = spec;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  task.task.desired = TaskState::shutdown;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::shutdown));
  CHECK(world.runtime.stop_signal == "SIGUSR1");
  CHECK(world.runtime.stop_grace_ms == 1500);
}

TEST_CASE("a task to be removed is reported as shut down, and leaves nothing") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  AssignedTask task = World::task(1);
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  task.task.desired = TaskState::remove;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::shutdown));
  REQUIRE(world.until([&] { return world.runtime.containers.empty(); }));
  CHECK(world.until([&] { return world.agent->containers().list().empty(); }));
}

TEST_CASE("a task that isn't listed any more leaves nothing on the node") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = World::task(1);
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.assign({});
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(world.runtime.containers.empty());
  CHECK(world.network.endpoints.empty());
  CHECK_FALSE(world.has_namespace(task));
  CHECK_FALSE(std::filesystem::exists(world.folder + "/data/containers/" + World::id(task)));
  CHECK(world.events.back().action == "destroy");
}

TEST_CASE("a runtime that is away harms no running task and delays new ones") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask old = World::task(1);
  world.assign({old});
  REQUIRE(world.is(old, TaskState::running));
  world.runtime.set_away(true);
  const AssignedTask fresh = World::task(2);
  world.assign({old, fresh});
  REQUIRE(world.until(
      [&] { return world.last(fresh).error == "runtime containerd is not reachable: no answer"; }));
  CHECK(world.last(fresh).state == TaskState::preparing);
  CHECK(world.last(old).state == TaskState::running);
  world.runtime.end(World::id(old), 5);  // meanwhile, unseen
  world.runtime.set_away(false);
  CHECK(world.is(fresh, TaskState::running));
  CHECK(world.is(old, TaskState::failed));
  CHECK(world.last(old).error == "task: non-zero exit (5)");
}

TEST_CASE("a driver that is busy is asked again, at each step of a task's life") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = World::task(1);
  world.runtime.busy = {{"create", 2}, {"start", 2}, {"stop", 2}, {"remove", 2}};
  world.network.busy_joins = 3;  // the container is asked for at the same time, and told first
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  std::set<std::string> told;
  for (const TaskReport& report : world.reports) told.insert(report.status.error);
  CHECK(told.contains("create has to wait"));
  CHECK(told.contains("join has to wait"));
  CHECK(told.contains("start has to wait"));
  CHECK(world.last(task).error.empty());
  world.assign({});
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(world.runtime.containers.empty());
  for (const auto& [operation, left] : world.runtime.busy) CHECK(left == 0);
}

TEST_CASE("a container that vanished fails its task") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = World::task(1);
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.runtime.containers.clear();
  world.runtime.changed.notify();
  CHECK(world.is(task, TaskState::failed));
  CHECK(world.last(task).error == "container disappeared");
}

}  // namespace
}  // namespace skep::agent::test
