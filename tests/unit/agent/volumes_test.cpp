// Volumes of a node: made, used by tasks, let go, removed; and what drivers do wrong.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "core/model/mounts.hpp"
#include "tests/unit/agent/volumes_world.hpp"

namespace skep::agent::test {
namespace {

using model::TaskState;

TEST_CASE("a volume is made, told, asked for again, and removed with its data") {
  World world;
  world.start_agent();
  const Result<Volume> made = create(world, {"data", "", {{"k", "v"}}, {{"l", "m"}}});
  REQUIRE(made);
  CHECK(made->driver == "local");
  CHECK(made->path == "/volumes/local/data");
  CHECK(made->scope == "local");
  CHECK(made->labels.at("l") == "m");
  CHECK(world.local.volumes.at("data").options.at("k") == "v");
  for (const char* driver : {"", "local", "volume-local"}) {
    const Result<Volume> again = create(world, {"data", driver, {}, {}});
    REQUIRE(again);
    CHECK(again->options.at("k") == "v");  // Docker doesn't compare options either
  }
  CHECK(count(world.local.calls, "create data") == 1);
  REQUIRE(volumes(world).list().size() == 1);
  CHECK(volumes(world).find("data")->created_at == made->created_at);
  world.local.volumes.at("data").data = "12345";
  CHECK(world.run(volumes(world).usage("data")).value() == 5);
  REQUIRE(remove(world, "data"));
  CHECK(world.local.volumes.empty());
  CHECK(volumes(world).list().empty());
  REQUIRE(world.events.size() == 2);
  CHECK(world.events[0].type + " " + world.events[0].action + " " + world.events[0].id ==
        "volume create data");
  CHECK(world.events[1].action == "destroy");
  CHECK(world.events[1].attributes.at("driver") == "local");
}

TEST_CASE("a volume that nobody named gets a name and Docker's mark") {
  World world;
  world.start_agent();
  const Result<Volume> made = create(world, {});
  REQUIRE(made);
  CHECK(made->name.size() == 64);
  CHECK(made->labels.contains(kAnonymousVolumeLabel));
}

TEST_CASE("what can't be made is refused in Docker's words and leaves nothing") {
  World world;
  world.start_agent();
  CHECK(create(world, {"data", "ceph", {}, {}}).error().message ==
        "create data: error looking up volume plugin ceph: plugin \"ceph\" not found");
  CHECK(create(world, {"a", "", {}, {}}).error().message ==
        "create a: volume name is too short, names should be at least two alphanumeric characters");
  const Result<Volume> typo = create(world, {"data", "", {{"typo", "1"}}, {}});
  CHECK(typo.error().kind == ErrorKind::invalid);
  CHECK(typo.error().message == "create data: driver local: unknown option \"typo\"");
  CHECK(volumes(world).list().empty());
  REQUIRE(create(world, {"data", "nfs", {}, {}}));
  CHECK(volumes(world).find("data")->driver == "vendor-nfs");
  CHECK(create(world, {"data", "vendor-nfs", {}, {}}));
  const Result<Volume> taken = create(world, {"data", "local", {}, {}});
  CHECK(taken.error().kind == ErrorKind::conflict);
  CHECK(taken.error().message ==
        "create data: driver 'vendor-nfs' already has volume 'data': volume name must be unique");
  CHECK(volumes(world).drivers() == std::vector<std::string>{"local", "vendor-nfs"});
}

TEST_CASE("a volume that isn't there can't be removed or counted, but by force it is gone") {
  World world;
  world.start_agent();
  CHECK(volumes(world).find("data").error().message == "get data: no such volume");
  const Status gone = remove(world, "data");
  CHECK(gone.error().kind == ErrorKind::not_found);
  CHECK(gone.error().message == "get data: no such volume");
  CHECK(remove(world, "data", true));
  CHECK(world.run(volumes(world).usage("data")).error().kind == ErrorKind::not_found);
}

TEST_CASE("a removal that its driver refuses leaves the volume, and says which driver") {
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "nfs", {}, {}}));
  world.nfs.refusals["remove"] = Error{ErrorKind::busy, "somebody reads it"};
  const Status busy = remove(world, "data");
  CHECK(busy.error().kind == ErrorKind::busy);
  CHECK(busy.error().message == "remove data: driver vendor-nfs: somebody reads it");
  CHECK(volumes(world).find("data"));
  world.nfs.refusals.clear();
  CHECK(remove(world, "data"));
}

TEST_CASE("whether a removal came through is looked up when its answer was lost") {
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  world.local.lost["remove"] = Error{ErrorKind::plugin_lost, "it died"};
  CHECK(remove(world, "data"));
  CHECK(volumes(world).list().empty());
  REQUIRE(create(world, {"more", "", {}, {}}));
  world.local.lost.clear();
  world.local.refusals["remove"] = Error{ErrorKind::plugin_lost, "it died"};
  CHECK(remove(world, "more").error().kind == ErrorKind::plugin_lost);
  CHECK(volumes(world).find("more"));
}

TEST_CASE("a create whose outcome nobody knows is finished later, and not taken back") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  world.local.lost["create"] = Error{ErrorKind::deadline, "no answer"};
  CHECK(create(world, {"data", "", {{"k", "v"}}, {}}).error().kind == ErrorKind::deadline);
  CHECK(volumes(world).list().empty());
  world.local.lost.clear();
  CHECK(world.until([&] { return volumes(world).find("data").has_value(); }));
  CHECK(volumes(world).find("data")->options.at("k") == "v");
  CHECK(count(world.local.calls, "remove data") == 0);
}

TEST_CASE("two that want the same volume at once get one") {
  World world;
  world.start_agent();
  int made = 0;
  const auto ask = [&](std::string name) -> boost::asio::awaitable<void> {
    VolumeWish wish;
    wish.name = std::move(name);
    const Result<Volume> volume = co_await volumes(world).create(std::move(wish));
    if (volume) ++made;
  };
  for (int i = 0; i < 5; ++i) boost::asio::co_spawn(world.loop, ask("data"), boost::asio::detached);
  REQUIRE(world.until([&] { return made == 5; }));
  CHECK(count(world.local.calls, "create data") == 1);
}

TEST_CASE("a task has its volumes for as long as its container exists") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  const std::string id = World::id(task);
  CHECK(world.local.volumes.at("data").holders == std::set<std::string>{id});
  const drivers::ContainerMount& mount = world.runtime.containers.at(id).request.mounts.front();
  CHECK(mount.source == "/volumes/local/data");
  CHECK(mount.target == "/data");
  CHECK(mount.volume == "data");
  const auto shown = world.agent->containers().find(id).value();
  REQUIRE(shown->mounts.size() == 1);
  CHECK(shown->mounts[0].source == "/volumes/local/data");
  CHECK(shown->mounts[0].driver == "local");
  const Status refused = remove(world, "data", true);
  CHECK(refused.error().kind == ErrorKind::conflict);
  CHECK(refused.error().message == "remove data: volume is in use - [" + id + "]");
  world.runtime.end(id, 0);
  REQUIRE(world.is(task, TaskState::complete));
  CHECK_FALSE(remove(world, "data"));  // the container can still be looked at
  world.assign({});
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(world.local.volumes.at("data").holders.empty());
  CHECK(count(world.local.calls, "unpublish data by " + id + " with ") == 1);
  CHECK(action_count(world, "mount") == 1);
  CHECK(action_count(world, "unmount") == 1);
  CHECK(remove(world, "data"));
}

TEST_CASE("two tasks of a node share a volume, and each call names all the others") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask first = with_mounts(World::task(1), {volume_at("data", "/data")});
  const AssignedTask second = with_mounts(World::task(2), {volume_at("data", "/data", true)});
  world.assign({first});
  REQUIRE(world.is(first, TaskState::running));
  world.assign({first, second});
  REQUIRE(world.is(second, TaskState::running));
  const std::string a = World::id(first);
  const std::string b = World::id(second);
  CHECK(count(world.local.calls, "create data") == 1);
  CHECK(count(world.local.calls, "publish data by " + b + " with " + a + " read-only") == 1);
  CHECK(world.runtime.containers.at(b).request.mounts.front().read_only);
  world.assign({second});
  REQUIRE(world.until([&] { return world.local.volumes.at("data").holders.size() == 1; }));
  CHECK(count(world.local.calls, "unpublish data by " + a + " with " + b) == 1);
}

TEST_CASE("a volume without a name is the task's own and goes with it") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task =
      with_mounts(World::task(1), {volume_at("", "/scratch"), volume_at("", "/more")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  REQUIRE(world.local.volumes.size() == 2);
  const std::vector<Volume> all = volumes(world).list();
  CHECK(all[0].labels.contains(kAnonymousVolumeLabel));
  CHECK_FALSE(remove(world, all[0].name));
  world.assign({});
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(world.local.volumes.empty());
  CHECK(volumes(world).list().empty());
}

TEST_CASE("what a driver refuses for good rejects the task and says which driver and why") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  model::Mount mount = volume_at("data", "/data");
  mount.volume = model::VolumeOptions();
  mount.volume->driver = model::VolumeDriverConfig{"nfs", {{"typo", "1"}}};
  const AssignedTask task = with_mounts(World::task(1), {mount});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::rejected));
  CHECK(world.last(task).error == "create data: driver vendor-nfs: unknown option \"typo\"");

  const AssignedTask other = with_mounts(World::task(2), {volume_at("more", "/data")});
  world.local.refusals["publish"] = Error{ErrorKind::exhausted, "no loop device is free"};
  world.assign({task, other});
  REQUIRE(world.is(other, TaskState::rejected));
  CHECK(world.last(other).error == "volume more: driver local: no loop device is free");
  world.local.refusals.clear();

  world.local.path_prefix = "here";
  const AssignedTask third = with_mounts(World::task(3), {volume_at("some", "/data")});
  world.assign({third});
  REQUIRE(world.is(third, TaskState::rejected));
  CHECK(world.last(third).error ==
        "volume some: driver local answered no absolute path: 'here/volumes/local/some'");
}

TEST_CASE("a driver that is away holds the task up, says so, and is asked again") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.local.refusals["publish"] = Error{ErrorKind::unavailable, "the server does not answer"};
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] {
    return world.last(task).error == "volume data: driver local: the server does not answer";
  }));
  CHECK(world.last(task).state == TaskState::preparing);
  world.local.refusals.clear();
  CHECK(world.is(task, TaskState::running));
}

TEST_CASE("a release that fails is tried again before the task is forgotten") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.local.refusals["unpublish"] = Error{ErrorKind::unavailable, "not now"};
  world.assign({});
  REQUIRE(world.until([&] {
    return count(world.local.calls, "unpublish data by " + World::id(task) + " with ") >= 2;
  }));
  CHECK(world.agent->reports().size() == 1);
  world.local.refusals.clear();
  CHECK(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(world.local.volumes.at("data").holders.empty());
}

TEST_CASE("a volume whose data are gone is not made anew behind anybody's back") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  world.local.volumes.clear();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::rejected));
  CHECK(world.last(task).error ==
        "volume data: driver local has lost its data; remove the volume to begin anew: no volume "
        "data");
  CHECK(world.local.volumes.empty());
}

TEST_CASE("binds need their source, and mounts come in the order of their places") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  model::Mount bind;
  bind.type = model::MountType::bind;
  bind.source = world.folder + "/absent";
  bind.target = "/a/host";
  model::Mount memory;
  memory.type = model::MountType::tmpfs;
  memory.target = "/a/host/tmp";
  memory.tmpfs = model::TmpfsOptions{1 << 20, 0700};
  const AssignedTask task = with_mounts(World::task(1), {memory, bind, volume_at("data", "/a")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::rejected));
  CHECK(world.last(task).error ==
        "invalid mount config for type \"bind\": bind source path does not exist: " + bind.source);
  CHECK(world.local.volumes.empty());

  std::filesystem::create_directory(bind.source);
  const AssignedTask other = with_mounts(World::task(2), {memory, bind, volume_at("data", "/a")});
  world.assign({other});
  REQUIRE(world.is(other, TaskState::running));
  const auto& mounts = world.runtime.containers.at(World::id(other)).request.mounts;
  REQUIRE(mounts.size() == 6);
  CHECK(mounts[0].volume == "data");
  CHECK(mounts[1].source == bind.source);
  CHECK(mounts[2].type == drivers::ContainerMount::Type::tmpfs);
  CHECK(mounts[2].size_bytes == 1 << 20);
  CHECK(mounts[2].mode == 0700);
  CHECK(world.agent->containers().find(World::id(other)).value()->mounts.size() == 3);
}

}  // namespace
}  // namespace skep::agent::test
