// A rotation of the root ends with the last node that is of the new one, and not before.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/planner/world.hpp"

using namespace skep;
using skep::test::World;

namespace {

const model::Issuer kNew{"name", "new key"};

void add_cluster(World& world) {
  world.ask([&](store::Draft& draft) {
    model::Cluster cluster;
    cluster.id = {{1, 1}};
    cluster.ca_certificate_pem = "A.";
    draft.put(cluster);
    return Status{};
  });
}

Status rotate(World& world, const model::RootRotation& rotation) {
  return world.ask([&](store::Draft& draft) {
    planner::TrustChange change;
    change.rotation = rotation;
    change.cross_signed_by = "A.";
    const store::Row<model::Cluster> row = world.store().cluster();
    return planner::update_cluster(draft, row->meta.version, row->spec, change);
  });
}

void trusts(World& world, size_t node, const model::Issuer& issuer) {
  const Status told = world.ask([&](store::Draft& draft) {
    return planner::node_trusts(draft, world.node(node), {"A.B.", issuer});
  });
  REQUIRE(told);
}

bool rotating(World& world) {
  return world.store().cluster()->root_rotation.has_value();
}

model::RootRotation rotation() {
  return {"B.", "key", "crossed", kNew, "worker B", "manager B"};
}

}  // namespace

TEST_CASE("the new root takes over with the last node's certificate") {
  World world(3);
  add_cluster(world);
  REQUIRE(rotate(world, rotation()));
  trusts(world, 0, kNew);
  trusts(world, 1, kNew);
  trusts(world, 2, {"name", "old key"});
  CHECK(rotating(world));
  trusts(world, 2, kNew);
  CHECK_FALSE(rotating(world));
  CHECK(world.store().cluster()->ca_certificate_pem == "B.");
  CHECK(world.store().cluster()->worker_token == "worker B");
}

TEST_CASE("a node that is down holds the rotation up until it is back or removed") {
  World world(2);
  add_cluster(world);
  REQUIRE(rotate(world, rotation()));
  trusts(world, 0, kNew);
  world.ask([&](store::Draft& draft) {
    planner::node_down(draft, world.node(1), "gone");
    return Status{};
  });
  CHECK(rotating(world));
  const Status removed = world.ask(
      [&](store::Draft& draft) { return planner::remove_node(draft, world.node(1), false, {1}); });
  REQUIRE(removed);
  CHECK_FALSE(rotating(world));
}

TEST_CASE("a second rotation counts the nodes anew") {
  World world(1);
  add_cluster(world);
  REQUIRE(rotate(world, rotation()));
  model::RootRotation other = rotation();
  other.certificate_pem = "C.";
  other.issuer = {"name", "newest key"};
  REQUIRE(rotate(world, other));
  trusts(world, 0, kNew);
  CHECK(rotating(world));
  trusts(world, 0, other.issuer);
  CHECK(world.store().cluster()->ca_certificate_pem == "C.");
}

TEST_CASE("a joiner whose certificate the new root signed doesn't hold the rotation up") {
  World world(1);
  add_cluster(world);
  REQUIRE(rotate(world, rotation()));
  world.ask([&](store::Draft& draft) {
    planner::admit_node(draft, {{9, 9}}, model::NodeRole::worker, model::NodeAvailability::active,
                        {1}, kNew);
    return Status{};
  });
  trusts(world, 0, kNew);
  CHECK_FALSE(rotating(world));
}

TEST_CASE("a node is blocked for as long as the last certificate signed for it is good") {
  World world(2);
  add_cluster(world);
  const model::WallTime late{5'000'000'000'000'000'000};
  world.ask([&](store::Draft& draft) { return planner::node_renewed(draft, world.node(1), late); });
  world.ask([&](store::Draft& draft) { return planner::node_renewed(draft, world.node(1), {7}); });
  const Status removed = world.ask(
      [&](store::Draft& draft) { return planner::remove_node(draft, world.node(1), true, {1}); });
  REQUIRE(removed);
  const auto& blocked = world.store().cluster()->blocked_nodes;
  REQUIRE(blocked.size() == 1);
  CHECK(blocked[0].until == late);
}

TEST_CASE("more than a node has to say of its trust is refused") {
  World world(1);
  add_cluster(world);
  const Status refused = world.ask([&](store::Draft& draft) {
    return planner::node_trusts(draft, world.node(0), {std::string(100'000, 'x'), kNew});
  });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::too_large);
}
