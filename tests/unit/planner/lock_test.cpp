// The swarm's lock in the cluster's row: there is a key exactly while managers are to be locked.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/planner/world.hpp"

using namespace skep;
using skep::test::World;

namespace {

Status update(World& world, bool lock, std::optional<std::string> key) {
  return world.ask([&](store::Draft& draft) {
    const store::Row<model::Cluster> row = world.store().cluster();
    model::ClusterSpec spec = row->spec;
    spec.auto_lock_managers = lock;
    planner::TrustChange change;
    change.unlock_key = std::move(key);
    return planner::update_cluster(draft, row->meta.version, spec, change);
  });
}

std::string key_of(World& world) {
  return world.store().cluster()->unlock_key;
}

}  // namespace

TEST_CASE("the unlock key comes with the lock, changes with a rotation, and goes with the lock") {
  World world(1);
  world.ask([&](store::Draft& draft) {
    model::Cluster cluster;
    cluster.id = {{1, 1}};
    draft.put(cluster);
    return Status{};
  });
  REQUIRE(update(world, false, "of no meaning"));
  CHECK(key_of(world).empty());
  CHECK(update(world, true, std::nullopt).error().kind == ErrorKind::invalid);
  CHECK_FALSE(world.store().cluster()->spec.auto_lock_managers);
  REQUIRE(update(world, true, "one"));
  CHECK(key_of(world) == "one");
  REQUIRE(update(world, true, std::nullopt));
  CHECK(key_of(world) == "one");
  REQUIRE(update(world, true, "two"));
  CHECK(key_of(world) == "two");
  REQUIRE(update(world, false, std::nullopt));
  CHECK(key_of(world).empty());
}
