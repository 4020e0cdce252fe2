// What an agent finds when it comes back.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/agent/world.hpp"

namespace skep::agent::test {
namespace {

using model::TaskState;

TEST_CASE("a restarted agent adopts what runs, without a manager and without a report") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = World::task(1);
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  CHECK(world.runtime.containers.size() == 1);
  world.reports.clear();
  world.start_agent();
  REQUIRE(world.until([&] {
    const auto found = world.agent->containers().find(World::id(task));
    return found && (*found)->state == ContainerState::running;
  }));
  CHECK(world.runtime.starts == 1);
  CHECK(world.reports.empty());
  CHECK(world.network.restored.size() == 2);  // the network and the endpoint
  REQUIRE(world.agent->reports().size() == 1);
  CHECK(world.agent->reports()[0].status.state == TaskState::running);
  world.assign({task});
  world.runtime.end(World::id(task), 1);
  CHECK(world.is(task, TaskState::failed));
}

TEST_CASE("what ended or vanished while the agent was away is reported") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask ended = World::task(1);
  const AssignedTask vanished = World::task(2);
  world.assign({ended, vanished});
  REQUIRE(world.is(ended, TaskState::running));
  REQUIRE(world.is(vanished, TaskState::running));
  world.stop_agent();
  world.runtime.end(World::id(ended), 4);
  world.runtime.containers.erase(World::id(vanished));
  world.start_agent();
  CHECK(world.is(ended, TaskState::failed));
  CHECK(world.last(ended).error == "task: non-zero exit (4)");
  CHECK(world.is(vanished, TaskState::failed));
  CHECK(world.last(vanished).error == "container disappeared");
}

TEST_CASE("a container that no task knows is swept away at the start") {
  if (!can_run()) return;
  World world;
  world.runtime.containers["stale"].state = drivers::ContainerState::State::running;
  world.start_agent();
  CHECK(world.until([&] { return world.runtime.containers.empty(); }));
}

TEST_CASE("leaving the cluster removes everything") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask one = World::task(1);
  const AssignedTask two = World::task(2);
  world.assign({one, two});
  REQUIRE(world.is(one, TaskState::running));
  REQUIRE(world.is(two, TaskState::running));
  const Status left = world.run(world.agent->remove_all(std::chrono::seconds(5)));
  CHECK(left.has_value());
  CHECK(world.runtime.containers.empty());
}

}  // namespace
}  // namespace skep::agent::test
