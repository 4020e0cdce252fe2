// What an agent finds when it comes back.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "daemon/agent/network_namespace.hpp"
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

TEST_CASE("a driver that is started anew hears of what is there by then") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask one = World::task(1);
  const AssignedTask two = World::task(2);
  world.assign({one});
  REQUIRE(world.is(one, TaskState::running));
  world.assign({one, two});
  REQUIRE(world.is(two, TaskState::running));
  REQUIRE(world.runtime.source);
  const drivers::RestorePlan both = world.runtime.source();
  CHECK(both.objects.size() == 2);
  REQUIRE(both.ids.has_value());
  CHECK(std::set<std::string>(both.ids->begin(), both.ids->end()) ==
        std::set<std::string>{World::id(one), World::id(two)});
  world.assign({two});
  REQUIRE(world.until([&] { return world.runtime.containers.size() == 1; }));
  REQUIRE(world.until([&] { return world.runtime.source().objects.size() == 1; }));
  CHECK(world.runtime.source().objects[0].id == World::id(two));
  world.stop_agent();
  CHECK_FALSE(world.runtime.source);
  world.start_agent();  // which cleans up
}

TEST_CASE("a driver that is started anew before the first assignment may clear nothing away") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  REQUIRE(world.runtime.source);
  CHECK_FALSE(world.runtime.source().ids.has_value());
  world.assign({});
  REQUIRE(world.until([&] { return world.runtime.source().ids.has_value(); }));
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

TEST_CASE("a task whose node was restarted says so instead of an exit code that nobody saw") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask lost = World::task(1);
  const AssignedTask real = World::task(2);
  world.assign({lost, real});
  REQUIRE(world.is(lost, TaskState::running));
  REQUIRE(world.is(real, TaskState::running));
  world.stop_agent();
  world.runtime.end(World::id(lost), 255);
  world.runtime.containers[World::id(lost)].lost = "the node was restarted while the task ran";
  world.runtime.end(World::id(real), 255);
  world.start_agent();
  CHECK(world.is(lost, TaskState::failed));
  CHECK(world.last(lost).error == "the node was restarted while the task ran");
  CHECK(world.is(real, TaskState::failed));
  CHECK(world.last(real).error == "task: non-zero exit (255)");
}

TEST_CASE("a container that no task knows is swept away at the start") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = World::task(1);
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  world.runtime.containers["stale"].state = drivers::ContainerState::State::running;
  world.start_agent();
  CHECK(world.until([&] { return !world.runtime.containers.contains("stale"); }));
  CHECK(world.runtime.containers.size() == 1);
}

TEST_CASE("an agent whose database was lost removes nothing before it was told what is wanted") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  AssignedTask task = World::task(1);
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  for (const char* end : {"", "-wal", "-shm"}) {
    std::filesystem::remove(world.folder + "/data/agent.db" + end);
  }
  world.runtime.containers["stale"].state = drivers::ContainerState::State::running;
  // The stand-in network makes no interface, so the test gives the container its address.
  const std::string inside = "nsenter --net=" + world.folder + "/run/netns/" + task.task.id.str();
  REQUIRE(std::system((inside + " ip link add eth0 type bridge").c_str()) == 0);
  REQUIRE(std::system((inside + " ip address add 172.20.0.99/16 dev eth0").c_str()) == 0);
  world.start_agent();
  // The images are counted after the first sweep.
  REQUIRE(world.until([&] { return world.agent->containers().image_count() == 1; }));
  CHECK(world.runtime.containers.size() == 2);
  CHECK(world.runtime.restores_done == 1);  // of the first start alone
  CHECK(world.has_namespace(task));
  CHECK(world.network.endpoints.size() == 1);

  task.task.status.state = TaskState::running;  // what the managers know
  const AssignedTask fresh = World::task(2);
  world.assign({task, fresh});
  REQUIRE(world.is(fresh, TaskState::running));
  REQUIRE(world.until([&] { return !world.runtime.containers.contains("stale"); }));
  CHECK(world.runtime.containers.size() == 2);
  CHECK(world.runtime.starts == 2);  // each task's container once
  const auto found = world.agent->containers().find(World::id(task));
  REQUIRE(found);
  REQUIRE((*found)->networks.size() == 1);
  CHECK((*found)->networks[0].address == "172.20.0.99");

  // And it is remembered.
  world.stop_agent();
  world.start_agent();
  REQUIRE(world.until([&] {
    const auto again = world.agent->containers().find(World::id(task));
    return again && (*again)->state == ContainerState::running;
  }));
  CHECK(world.runtime.starts == 2);
  CHECK(world.runtime.containers.size() == 2);
}

TEST_CASE("a node that has no task any more removes what a lost database forgot") {
  if (!can_run()) return;
  World world;
  world.runtime.containers["stale"].state = drivers::ContainerState::State::running;
  world.start_agent();
  world.assign({});
  CHECK(world.until([&] { return world.runtime.containers.empty(); }));
}

TEST_CASE("an address is read from inside a namespace, and its absence is told") {
  if (!can_run()) return;
  World world;
  NetworkNamespaces namespaces(world.folder + "/netns");
  REQUIRE(world.run(namespaces.create("one")));
  const auto loopback = world.run(namespaces.address("one", "lo"));
  REQUIRE(loopback);
  CHECK(loopback->cidr == "127.0.0.1/8");
  CHECK(loopback->mac == "00:00:00:00:00:00");
  const auto none = world.run(namespaces.address("one", "eth0"));
  REQUIRE_FALSE(none);
  CHECK(none.error().kind == ErrorKind::not_found);
  CHECK(world.run(namespaces.address("two", "lo")).error().kind == ErrorKind::not_found);
  CHECK(world.run(namespaces.remove("one")));
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
