// What a driver could not take back is given to it again, while the rest goes on: the moments at
// which the two meet.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <optional>

#include "tests/unit/agent/volumes_world.hpp"

namespace skep::agent::test {
namespace {

using model::TaskState;

const Error kAway{ErrorKind::unavailable, "the server does not answer"};

TEST_CASE("who lets go while a driver takes its volumes back is no holder afterwards") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  REQUIRE(create(world, {"cold", "nfs", {}, {}}));
  const AssignedTask task = with_mounts(World::task(1), {volume_of("nfs", "data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.nfs.refusals.emplace("restore cold", kAway);
  world.nfs.die();
  // The driver has let go and did not say so yet; then it is told of the holder once more.
  world.nfs.hangs_after.insert("unpublish");
  world.assign({});
  const std::string call = "unpublish data by " + World::id(task) + " with ";
  REQUIRE(world.until([&] { return count(world.nfs.calls, call) == 1; }));
  world.nfs.hangs_after.insert("restore_from");
  world.nfs.restored.clear();
  world.nfs.refusals.clear();
  REQUIRE(world.until([&] { return count(world.nfs.restored, "cold with ") == 1; }));
  CHECK(world.nfs.volumes.at("data").holders.size() == 1);
  world.nfs.hangs_after.erase("unpublish");
  world.nfs.go_on();
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  world.nfs.hangs_after.clear();
  world.nfs.go_on();
  CHECK(world.until([&] { return world.nfs.volumes.at("data").holders.empty(); }));
}

TEST_CASE("a volume that its driver could not take back is not taken for a lost one") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "nfs", {}, {}}));
  world.nfs.hangs_before.insert("publish");
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] { return world.nfs.calls.back().starts_with("publish data"); }));
  // The call waits for the driver's next process, and that does not know the volume.
  world.nfs.refusals.emplace("restore", kAway);
  world.nfs.refusals.emplace("publish", Error{ErrorKind::not_found, "no volume data"});
  world.nfs.die();
  world.nfs.hangs_before.clear();
  world.nfs.go_on();
  REQUIRE(world.until([&] {
    return world.last(task).error.ends_with("is not ready: the server does not answer");
  }));
  CHECK(world.last(task).state == TaskState::preparing);
  world.nfs.refusals.clear();
  CHECK(world.is(task, TaskState::running));
}

TEST_CASE("a volume that went while its driver could not take it back is waited for no longer") {
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "nfs", {}, {}}));
  world.nfs.hangs_before.insert("remove");
  boost::asio::co_spawn(world.loop, volumes(world).remove("data", false), boost::asio::detached);
  REQUIRE(world.until([&] { return count(world.nfs.calls, "remove data") == 1; }));
  // The driver's next process was told of it before it was to go.
  world.nfs.refusals.emplace("restore", kAway);
  world.nfs.answer_restore("data", fail(kAway));
  world.nfs.hangs_before.clear();
  world.nfs.go_on();
  REQUIRE(world.until([&] { return volumes(world).list().empty(); }));
  CHECK(world.until([&] { return create(world, {"data", "nfs", {}, {}}).has_value(); }));
}

TEST_CASE("a task's own volume is not removed while its driver could not take it back") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_of("nfs", "", "/own")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  const std::string name = world.nfs.volumes.begin()->first;
  world.nfs.hangs_after.insert("unpublish");
  world.assign({});
  REQUIRE(world.until([&] { return world.nfs.calls.back().starts_with("unpublish"); }));
  world.nfs.refusals.emplace("restore", kAway);
  world.nfs.die();
  world.nfs.restored.clear();
  world.nfs.hangs_after.clear();
  world.nfs.go_on();
  REQUIRE(world.until([&] { return world.nfs.restored.size() >= 2; }));
  CHECK(count(world.nfs.calls, "remove " + name) == 0);
  CHECK(world.nfs.volumes.contains(name));
  world.nfs.refusals.clear();
  CHECK(world.until([&] { return world.nfs.volumes.empty(); }));
  CHECK(world.until([&] { return world.agent->reports().empty(); }));
}

TEST_CASE(
    "a create that goes on for long does not keep a driver from what it could not take back") {
  World world;
  world.start_agent();
  REQUIRE(create(world, {"cold", "nfs", {}, {}}));
  world.nfs.lost.emplace("create", Error{ErrorKind::deadline, "no answer"});
  CHECK_FALSE(create(world, {"data", "nfs", {}, {}}));
  world.stop_agent();
  world.nfs.hangs_before.insert("create");
  world.nfs.refusals.emplace("restore cold", kAway);
  world.start_agent();
  REQUIRE(world.until([&] { return count(world.nfs.calls, "create data") == 2; }));
  world.nfs.refusals.clear();
  CHECK(world.until([&] { return remove(world, "cold").has_value(); }));
}

TEST_CASE("a driver that tells of a volume while another is waited for gets it") {
  World world;
  world.start_agent();
  REQUIRE(world.until([&] { return world.local.named && world.nfs.named; }));
  world.stop_agent();
  world.nfs.volumes["data"].data = "made on another node";
  world.nfs.refusals.emplace("list", kAway);
  world.local.hangs_before.insert("scope");
  world.start_agent();
  std::optional<Result<Volume>> made;
  const auto ask = [&]() -> boost::asio::awaitable<void> {
    VolumeWish wish;
    wish.name = "data";
    made.emplace(co_await volumes(world).create(std::move(wish)));
  };
  boost::asio::co_spawn(world.loop, ask(), boost::asio::detached);
  world.nfs.refusals.clear();
  REQUIRE(world.until([&] { return volumes(world).find("data").has_value(); }));
  CHECK_FALSE(made);
  world.local.hangs_before.clear();
  world.local.go_on();
  REQUIRE(world.until([&] { return made.has_value(); }));
  REQUIRE(*made);
  CHECK((*made)->driver == "vendor-nfs");
  CHECK(world.nfs.volumes.at("data").data == "made on another node");
  CHECK(world.local.volumes.empty());
}

}  // namespace
}  // namespace skep::agent::test
