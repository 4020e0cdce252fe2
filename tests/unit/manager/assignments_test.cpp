// What a node is sent, as the node reads it: the feed of the manager against the state of the
// agent.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/assignments.hpp"

#include <catch2/catch.hpp>

#include "core/store/store.hpp"
#include "daemon/agent/assignment_state.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/transport/node_rpc.pb.h"

using namespace skep;

namespace {

struct World {
  base::RandomIds ids;
  store::Store store;
  model::NodeId node{ids.next()};
  uint64_t index = 0;

  store::Applied apply(std::vector<store::Change> changes) {
    return store.apply(++index, {model::WallTime{1}, std::move(changes), {}});
  }

  model::Service service(size_t label_bytes) {
    model::ServiceSpec spec;
    spec.name = "s" + std::to_string(index);
    spec.task.container.image = "busybox:1.28.3";
    spec.labels["filling"] = std::string(label_bytes, 'x');
    model::Service made;
    made.id = model::ServiceId{ids.next()};
    made.spec_version = 1;
    apply({store::SpecRow{{made.id, 1}, std::make_shared<const model::ServiceSpec>(spec)},
           store::upsert(made)});
    return made;
  }

  model::Task task(const model::Service& of, uint64_t slot) {
    model::Task made;
    made.id = model::TaskId{ids.next()};
    made.service = of.id;
    made.spec_version = of.spec_version;
    made.slot = slot;
    made.node = node;
    made.desired = model::TaskState::running;
    return made;
  }
};

// Takes all items there are; returns how many. Each must be small, and only the last complete.
size_t deliver(manager::AssignmentFeed& feed, const World& world, agent::AssignmentState& to) {
  size_t items = 0;
  while (const std::optional<std::string> bytes = feed.next(world.store)) {
    CHECK(bytes->size() < size_t{4} << 20);
    rpc::AssignmentsItem item;
    REQUIRE(item.ParseFromString(*bytes));
    REQUIRE(to.apply(item));
    CHECK(to.complete() == !item.more());
    ++items;
  }
  CHECK(to.complete());
  return items;
}

}  // namespace

TEST_CASE("a full state that is larger than a frame arrives in several items") {
  World world;
  std::vector<store::Change> tasks;
  for (int i = 0; i < 12; ++i) {
    const model::Service service = world.service(500'000);
    for (uint64_t slot = 1; slot <= 10; ++slot) {
      tasks.push_back(store::upsert(world.task(service, slot)));
    }
  }
  world.apply(std::move(tasks));
  manager::AssignmentFeed feed(world.node);
  agent::AssignmentState state;
  CHECK(deliver(feed, world, state) > 1);
  CHECK(state.set().tasks.size() == 120);
}

TEST_CASE("a node with nothing to do is told so in one complete item") {
  World world;
  manager::AssignmentFeed feed(world.node);
  agent::AssignmentState state;
  CHECK(deliver(feed, world, state) == 1);
  CHECK(state.set().tasks.empty());
}

TEST_CASE("a spec whose last task goes in one item comes again with the task that needs it next") {
  World world;
  const model::Service service = world.service(10);
  const model::Task first = world.task(service, 1);
  world.apply({store::upsert(first)});
  manager::AssignmentFeed feed(world.node);
  agent::AssignmentState state;
  deliver(feed, world, state);
  // Erased and replaced by tasks of other services with so much between them that they are parted.
  std::vector<store::Change> changes{store::erase(store::Kind::task, first.id)};
  for (int i = 0; i < 8; ++i) {
    changes.push_back(store::upsert(world.task(world.service(500'000), 1)));
  }
  changes.push_back(store::upsert(world.task(service, 2)));
  for (const store::RowChange& change : world.apply(std::move(changes)).changes) {
    feed.follow(change);
  }
  CHECK(deliver(feed, world, state) > 1);
  CHECK(state.set().tasks.size() == 9);
}

TEST_CASE("a difference for another generation than the known one is refused as a gap") {
  World world;
  agent::AssignmentState state;
  rpc::AssignmentsItem item;
  item.set_base(7);
  item.set_generation(8);
  CHECK(state.apply(item).error().kind == ErrorKind::conflict);
}
