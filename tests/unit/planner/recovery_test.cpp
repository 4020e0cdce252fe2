// The rows of a group that is begun anew with one manager.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/recovery.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/planner/world.hpp"

using namespace skep;
using test::World;

namespace {

void make_manager(World& world, size_t index, uint64_t raft_id, model::NodeRole wanted) {
  world.ask([&](store::Draft& draft) {
    model::Node node = *draft.node(world.node(index));
    node.spec.role = wanted;
    node.role = model::NodeRole::manager;
    node.manager = model::ManagerStatus{raft_id, "10.0.0.1:2377", model::Reachability::reachable};
    draft.put(std::move(node));
    return 0;
  });
}

Status begin_anew(World& world, size_t index, uint64_t raft_id) {
  return world.ask([&](store::Draft& draft) -> Status {
    model::Node self = *draft.node(world.node(index));
    self.manager = model::ManagerStatus{raft_id, "10.0.0.9:2377", model::Reachability::unknown};
    return planner::found_anew(draft, std::move(self));
  });
}

}  // namespace

TEST_CASE(
    "the survivor is the only manager, though it was to be a worker; the others are workers") {
  World world(4);
  const model::ServiceId web = world.create("web", 4);
  make_manager(world, 0, 1, model::NodeRole::manager);
  make_manager(world, 1, 2, model::NodeRole::manager);
  make_manager(world, 2, 3, model::NodeRole::worker);  // was being demoted when the rest was lost
  const auto before = world.tasks(web);
  REQUIRE(begin_anew(world, 2, 3));
  for (size_t index = 0; index < world.nodes(); ++index) {
    const store::Row<model::Node> node = world.store().node(world.node(index));
    INFO("node " << index);
    CHECK(node->manager.has_value() == (index == 2));
    const model::NodeRole role = index == 2 ? model::NodeRole::manager : model::NodeRole::worker;
    CHECK(node->spec.role == role);
    CHECK(node->role == role);
  }
  CHECK(world.store().node(world.node(2))->manager->address == "10.0.0.9:2377");
  CHECK(world.tasks(web) == before);  // nothing moves for it
}

TEST_CASE("no raft id of the old group is given out again, and the survivor is blocked no more") {
  World world(2);
  make_manager(world, 0, 6, model::NodeRole::manager);
  world.ask([&](store::Draft& draft) {
    model::Cluster cluster = *draft.cluster();
    cluster.last_raft_id = 4;
    cluster.blocked_nodes = {{world.node(1), world.now() + std::chrono::hours(1)},
                             {model::NodeId{{9, 9}}, world.now() + std::chrono::hours(1)}};
    draft.put(std::move(cluster));
    return 0;
  });
  REQUIRE(begin_anew(world, 1, 5));
  const store::Row<model::Cluster> cluster = world.store().cluster();
  CHECK(cluster->last_raft_id == 6);
  REQUIRE(cluster->blocked_nodes.size() == 1);
  CHECK(cluster->blocked_nodes[0].node == model::NodeId{{9, 9}});
}

TEST_CASE("without a cluster there is nothing to begin anew") {
  const store::Store empty;
  store::Draft draft(empty);
  model::Node self;
  self.id = model::NodeId{{1, 1}};
  self.manager = model::ManagerStatus{1, "", model::Reachability::unknown};
  const Status done = planner::found_anew(draft, self);
  REQUIRE_FALSE(done);
  CHECK(done.error().kind == ErrorKind::precondition);
  CHECK(draft.empty());
}
