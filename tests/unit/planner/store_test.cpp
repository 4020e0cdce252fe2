// The state machine: versions, indexes, spec rows, and a snapshot that gives the same state back.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/planner/world.hpp"

using namespace skep;
using test::World;

TEST_CASE("apply stamps the raft index as the version of each row it touches") {
  World world(2);
  const model::ServiceId web = world.create("web", 2);
  CHECK(world.store().service(web)->meta.version == world.entries());
  for (const auto& task : world.tasks(web)) CHECK(task->meta.version == world.entries());
  CHECK(world.store().node(world.node(0))->meta.version < world.entries());
}

TEST_CASE("created_at stays and updated_at follows") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  const model::WallTime born = world.now();
  world.pass(std::chrono::seconds(10));
  REQUIRE(world.scale(web, 2));
  CHECK(world.store().service(web)->meta.created_at == born);
  CHECK(world.store().service(web)->meta.updated_at == world.now());
}

TEST_CASE("a spec row lives as long as somebody refers to it") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  REQUIRE(world.scale(web, 2));
  CHECK(world.store().spec({web, 1}) !=
        nullptr);  // slot 1 was made from it, and it is the previous
  REQUIRE(world.scale(web, 3));
  CHECK(world.store().spec({web, 1}) != nullptr);
  world.agents_obey();
  REQUIRE(world.scale(web, 0));
  world.agents_obey();
  CHECK(world.store().spec({web, 1}) == nullptr);
  CHECK(world.store().spec({web, 2}) == nullptr);
  CHECK(world.store().spec({web, 3}) != nullptr);
  CHECK(world.store().spec({web, 4}) != nullptr);
}

TEST_CASE("a loaded dump is the same state") {
  World world(3);
  const model::ServiceId web = world.create("web", 5);
  world.agents_obey();
  world.lose(2);
  store::Store copy;
  copy.load(world.entries(), world.store().dump());
  CHECK(copy.applied_index() == world.entries());
  CHECK(copy.task_count() == world.store().task_count());
  CHECK(*copy.service_by_name("WEB") == *world.store().service(web));
  size_t compared = 0;
  world.store().each_task([&](const auto& task) {
    ++compared;
    CHECK(*copy.task(task->id) == *task);
  });
  CHECK(compared > 5);
  size_t on_first = 0;
  size_t on_first_copy = 0;
  world.store().each_task_of_node(world.node(0), [&](const auto&) { ++on_first; });
  copy.each_task_of_node(world.node(0), [&](const auto&) { ++on_first_copy; });
  CHECK(on_first == on_first_copy);
}

TEST_CASE("a draft that is dropped has changed nothing") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  {
    store::Draft draft(world.store());
    draft.erase(web);
    CHECK(draft.service(web) == nullptr);
    CHECK(draft.service_by_name("web") == nullptr);
  }
  CHECK(world.store().service(web) != nullptr);
}

TEST_CASE("a row made and erased within one draft leaves no trace") {
  World world(1);
  store::Draft draft(world.store());
  model::Task task;
  task.id = model::TaskId{world.ids().next()};
  task.service = model::ServiceId{world.ids().next()};
  draft.put(task);
  draft.erase(task.id);
  CHECK(draft.changes().empty());
}

TEST_CASE("ids survive the trip through text, and a text beyond 128 bits is refused") {
  const model::NodeId id{{0x0123456789abcdefull, 0xfedcba9876543210ull}};
  CHECK(id.str().size() == model::kIdLength);
  CHECK(model::NodeId::parse(id.str()) == id);
  CHECK(model::NodeId::parse(std::string(25, 'z')) == std::nullopt);
  CHECK(model::NodeId::parse("short") == std::nullopt);
  CHECK(model::NodeId::parse("UPPER0000000000000000000x") == std::nullopt);
}
