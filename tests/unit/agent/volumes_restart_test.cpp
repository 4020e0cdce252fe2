// Volumes over the end of an agent, wherever it comes, and over the loss of its database.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/agent/volumes_world.hpp"

namespace skep::agent::test {
namespace {

using model::TaskState;

// Begins it, and leaves it hanging in its driver.
void begin_create(World& world, const std::string& name) {
  VolumeWish wish;
  wish.name = name;
  boost::asio::co_spawn(world.loop, volumes(world).create(std::move(wish)), boost::asio::detached);
}

TEST_CASE(
    "after a start each driver gets its volumes back with all who hold them, before any use") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask first = with_mounts(World::task(1), {volume_at("data", "/data")});
  const AssignedTask second = with_mounts(World::task(2), {volume_at("data", "/data")});
  REQUIRE(create(world, {"idle", "", {}, {}}));
  world.assign({first, second});
  REQUIRE(world.is(first, TaskState::running));
  REQUIRE(world.is(second, TaskState::running));
  world.stop_agent();
  world.local.restored.clear();
  world.local.calls.clear();
  world.start_agent();
  REQUIRE(world.until([&] { return world.local.restored.size() == 2; }));
  std::string both = std::min(World::id(first), World::id(second)) + "," +
                     std::max(World::id(first), World::id(second));
  CHECK(world.local.restored == std::vector<std::string>{"data with " + both, "idle with "});
  REQUIRE(world.until([&] { return world.local.named.has_value(); }));
  CHECK(*world.local.named == std::set<std::string>{"data", "idle"});
  CHECK(world.local.calls.empty());  // nothing is published twice
  CHECK_FALSE(remove(world, "data"));
  const auto shown = world.agent->containers().find(World::id(first)).value();
  REQUIRE(shown->mounts.size() == 1);
  CHECK(shown->mounts[0].source == "/volumes/local/data");
  world.assign({first});
  REQUIRE(world.until([&] { return world.local.volumes.at("data").holders.size() == 1; }));
}

TEST_CASE("a driver that died gets its volumes back with those who hold them at that moment") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask first = with_mounts(World::task(1), {volume_at("data", "/data")});
  const AssignedTask second = with_mounts(World::task(2), {volume_at("data", "/data")});
  world.assign({first, second});
  REQUIRE(world.is(first, TaskState::running));
  REQUIRE(world.is(second, TaskState::running));
  world.assign({first});
  REQUIRE(world.until([&] { return world.agent->reports().size() == 1; }));
  world.local.die();
  CHECK(world.local.restored == std::vector<std::string>{"data with " + World::id(first)});
  CHECK(*world.local.named == std::set<std::string>{"data"});
  CHECK(world.local.volumes.at("data").holders == std::set<std::string>{World::id(first)});
}

TEST_CASE("an empty list is told to a driver that has nothing") {
  World world;
  world.start_agent();
  REQUIRE(world.until([&] { return world.nfs.named.has_value(); }));
  CHECK(world.nfs.named->empty());
}

TEST_CASE("a create that was cut off before its driver did anything is finished") {
  World world;
  world.start_agent();
  world.local.hangs_before.insert("create");
  begin_create(world, "data");
  REQUIRE(world.until([&] { return count(world.local.calls, "create data") == 1; }));
  CHECK(volumes(world).list().empty());
  world.stop_agent();
  world.local.hangs_before.clear();
  world.start_agent();
  REQUIRE(world.until([&] { return volumes(world).find("data").has_value(); }));
  CHECK(world.local.volumes.size() == 1);
}

TEST_CASE("a create that was cut off before its answer came is finished, and made once") {
  World world;
  world.start_agent();
  world.local.hangs_after.insert("create");
  begin_create(world, "data");
  REQUIRE(world.until([&] { return world.local.volumes.contains("data"); }));
  world.local.volumes.at("data").data = "kept";
  world.stop_agent();
  world.local.hangs_after.clear();
  world.start_agent();
  REQUIRE(world.until([&] { return volumes(world).find("data").has_value(); }));
  CHECK(world.local.volumes.at("data").data == "kept");
}

TEST_CASE("a create that was cut off and is refused afterwards leaves nothing") {
  World world;
  world.start_agent();
  world.local.hangs_before.insert("create");
  begin_create(world, "data");
  REQUIRE(world.until([&] { return count(world.local.calls, "create data") == 1; }));
  world.stop_agent();
  world.local.hangs_before.clear();
  world.local.refusals["create"] = Error{ErrorKind::invalid, "no"};
  world.start_agent();
  REQUIRE(world.until([&] { return count(world.local.calls, "create data") == 2; }));
  world.local.refusals.clear();
  world.stop_agent();
  world.start_agent();
  REQUIRE(world.until([&] { return world.local.named.has_value(); }));
  CHECK(create(world, {"other", "", {}, {}}));
  CHECK(count(world.local.calls, "create data") == 2);
}

TEST_CASE("a removal that was cut off is finished, before or after its driver did it") {
  for (const bool done : {false, true}) {
    World world;
    world.start_agent();
    REQUIRE(create(world, {"data", "", {}, {}}));
    (done ? world.local.hangs_after : world.local.hangs_before).insert("remove");
    boost::asio::co_spawn(world.loop, volumes(world).remove("data", false), boost::asio::detached);
    REQUIRE(world.until([&] { return count(world.local.calls, "remove data") == 1; }));
    CHECK(volumes(world).find("data"));
    world.stop_agent();
    world.local.hangs_after.clear();
    world.local.hangs_before.clear();
    world.start_agent();
    CHECK(world.until([&] { return volumes(world).list().empty(); }));
    CHECK(world.local.volumes.empty());
  }
}

TEST_CASE("a task that was cut off between its volume and its container goes on, or lets go") {
  if (!can_run()) return;
  for (const bool wanted : {true, false}) {
    World world;
    world.start_agent();
    world.local.hangs_after.insert("publish");
    const AssignedTask task =
        with_mounts(World::task(1), {volume_at("data", "/data"), volume_at("", "/own")});
    world.assign({task});
    REQUIRE(world.until([&] {
      return world.local.volumes.contains("data") && !world.local.volumes["data"].holders.empty();
    }));
    world.stop_agent();
    world.local.hangs_after.clear();
    world.start_agent();
    if (wanted) {
      world.assign({task});
      REQUIRE(world.is(task, TaskState::running));
      CHECK(world.local.volumes.size() == 2);
      CHECK(world.local.volumes.at("data").holders == std::set<std::string>{World::id(task)});
    } else {
      world.assign({});
      REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
      REQUIRE(world.local.volumes.size() == 1);
      CHECK(world.local.volumes.at("data").holders.empty());
    }
  }
}

TEST_CASE("a lost database costs no data: volumes are taken up with those who hold them") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  for (const char* name : {"ab", "cd", "ef"}) REQUIRE(create(world, {name, "", {}, {}}));
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  std::filesystem::remove_all(world.folder + "/data");
  world.start_agent();
  REQUIRE(world.until([&] { return volumes(world).list().size() == 4; }));
  CHECK(world.local.volumes.size() == 4);
  CHECK(volumes(world).find("data")->holders == std::set<std::string>{World::id(task)});
  CHECK(remove(world, "data").error().kind == ErrorKind::conflict);
  CHECK(remove(world, "ab"));
}

TEST_CASE("a holder whose container nobody knows any more lets go") {
  if (!can_run()) return;
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  const AssignedTask task =
      with_mounts(World::task(1), {volume_at("data", "/data"), volume_at("", "/own")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  // The task's row is gone, its volumes' rows are not, and its container went with the machine.
  const Result<std::unique_ptr<AgentDb>> db = AgentDb::open(world.folder + "/data/agent.db");
  REQUIRE(db);
  REQUIRE((*db)->remove(task.task.id));
  world.runtime.containers.clear();
  world.start_agent();
  REQUIRE(world.until([&] { return world.local.named.has_value(); }));
  CHECK_FALSE(world.local.volumes.at("data").holders.empty());
  world.assign({});
  REQUIRE(world.until([&] { return world.local.volumes.size() == 1; }));
  REQUIRE(world.until([&] { return world.local.volumes.at("data").holders.empty(); }));
  CHECK(volumes(world).list().size() == 1);
}

TEST_CASE("a container that no task wants and that can't be removed keeps its volumes") {
  if (!can_run()) return;
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  std::filesystem::remove_all(world.folder + "/data");
  world.runtime.busy["restore_done"] = 1;
  world.runtime.busy["remove"] = 1000;
  world.start_agent();
  REQUIRE(world.until([&] { return volumes(world).find("data").has_value(); }));
  world.assign({});
  REQUIRE(world.until([&] { return world.runtime.busy["remove"] < 995; }));
  CHECK(world.runtime.containers.contains(World::id(task)));
  CHECK(volumes(world).find("data")->holders == std::set<std::string>{World::id(task)});
  CHECK(remove(world, "data").error().kind == ErrorKind::conflict);
  CHECK(world.local.volumes.at("data").holders.contains(World::id(task)));
  world.runtime.busy.clear();
  REQUIRE(world.until([&] { return volumes(world).find("data")->holders.empty(); }));
  CHECK(world.runtime.containers.empty());
}

TEST_CASE(
    "a volume driver that is slow holds up no sweep, and no other volume is left unfinished") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  world.assign({});
  world.local.hangs_before.insert("create");
  begin_create(world, "data");
  REQUIRE(world.until([&] { return count(world.local.calls, "create data") == 1; }));
  world.nfs.lost["create"] = Error{ErrorKind::deadline, "no answer"};
  CHECK_FALSE(create(world, {"more", "nfs", {}, {}}));
  world.nfs.lost.clear();
  CHECK(world.until([&] { return volumes(world).find("more").has_value(); }));
  world.runtime.containers["stray"];
  CHECK(world.until([&] { return world.runtime.containers.empty(); }));
  CHECK(count(world.local.calls, "create data") == 1);
}

TEST_CASE("a driver that can't take its volumes back yet holds up its own and nothing else") {
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "nfs", {}, {}}));
  world.stop_agent();
  world.nfs.refusals["restore"] = Error{ErrorKind::unavailable, "the server does not answer"};
  world.nfs.named.reset();
  world.start_agent();
  CHECK(volumes(world).list().size() == 1);  // told without it
  CHECK(create(world, {"other", "", {}, {}}));
  REQUIRE(world.until([&] {
    const Status refused = remove(world, "data");
    return !refused &&
           refused.error().message ==
               "remove data: driver vendor-nfs is not ready: the server does not answer";
  }));
  world.nfs.refusals.clear();
  CHECK(world.until([&] { return remove(world, "data").has_value(); }));
}

TEST_CASE("a volume that its driver knows no more stays in the list until somebody decides") {
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  world.stop_agent();
  world.local.volumes.clear();
  world.start_agent();
  REQUIRE(create(world, {"other", "", {}, {}}));
  CHECK(volumes(world).find("data"));
  CHECK(remove(world, "data"));
}

TEST_CASE("volumes of a driver that was taken away are told, and go only by force") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "nfs", {}, {}}));
  model::Mount mount = volume_at("used", "/used");
  mount.volume = model::VolumeOptions();
  mount.volume->driver = model::VolumeDriverConfig{"nfs", {}};
  model::Mount own = mount;
  own.source.clear();
  own.target = "/own";
  const AssignedTask task = with_mounts(World::task(1), {mount, own});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  world.nfs_configured = false;
  world.start_agent();
  CHECK(volumes(world).list().size() == 3);
  CHECK(remove(world, "data").error().message ==
        "remove data: error looking up volume plugin vendor-nfs: plugin \"vendor-nfs\" not found");
  CHECK(remove(world, "data", true));
  CHECK(remove(world, "used", true).error().kind == ErrorKind::conflict);
  world.assign({});
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(volumes(world).list().size() == 1);
  CHECK(volumes(world).find("used")->holders.empty());
}

TEST_CASE("a volume that two drivers have is the one's that had it first, and nobody loses data") {
  World world;
  world.local.volumes["data"].data = "of local";
  world.nfs.volumes["data"].data = "of nfs";
  world.nfs.volumes["-odd-"].data = "no name of ours";
  world.start_agent();
  REQUIRE(world.until([&] { return world.local.named && world.nfs.named; }));
  CHECK(volumes(world).list().size() == 1);
  CHECK(world.local.volumes.at("data").data == "of local");
  CHECK(world.nfs.volumes.at("data").data == "of nfs");
  CHECK(world.nfs.volumes.at("-odd-").data == "no name of ours");
}

}  // namespace
}  // namespace skep::agent::test
