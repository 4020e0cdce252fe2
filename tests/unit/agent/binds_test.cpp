// Binds of folders that users named: what is there, and what doesn't answer.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/agent/silent_folder.hpp"
#include "tests/unit/agent/volumes_world.hpp"

namespace skep::agent::test {
namespace {

namespace fs = std::filesystem;
using model::TaskState;

model::Mount bind_of(const std::string& source) {
  model::Mount bind;
  bind.type = model::MountType::bind;
  bind.source = source;
  bind.target = "/there";
  return bind;
}

// Whether stop() came to its end.
bool stops(World& world) {
  bool stopped = false;
  boost::asio::co_spawn(world.loop, world.agent->stop(),
                        [&stopped](const std::exception_ptr&) { stopped = true; });
  return world.until([&stopped] { return stopped; });
}

TEST_CASE("a bind on a server that does not answer holds up its own task and nothing else") {
  if (!can_run() || !SilentFolder::can_be()) return;
  World world;
  fs::create_directories(world.folder + "/silent/data");
  SilentFolder silent(world.folder + "/silent");
  world.start_agent();
  const AssignedTask other = World::task(1);
  const std::string source = world.folder + "/silent/data";
  const AssignedTask task = with_mounts(World::task(2), {bind_of(source)});
  world.assign({other, task});
  REQUIRE(world.is(other, TaskState::running));
  REQUIRE(world.until([&] { return silent.take() > 0; }));
  CHECK(create(world, {"data", "", {}, {}}));
  world.assign({task});
  REQUIRE(world.until([&] { return world.agent->reports().size() == 1; }));
  REQUIRE(world.until([&] {
    return world.last(task).error ==
           "bind source path " + source + ": its file system does not answer";
  }));
  CHECK(world.last(task).state == TaskState::preparing);
  SECTION("it goes on when the folder is there") {
    silent.end();
    CHECK(world.is(task, TaskState::running));
  }
  SECTION("it can be taken back") {
    world.assign({});
    CHECK(world.until([&] { return world.agent->reports().empty(); }));
  }
  SECTION("the agent stops while somebody looks") {
    REQUIRE(stops(world));
    world.agent.reset();
    silent.end();
    world.start_agent();
    CHECK(world.is(task, TaskState::running));
  }
}

TEST_CASE("what lies below another mount comes after it, however it is written") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  model::Mount hosts = bind_of(world.folder);
  hosts.target = "/etc/./hosts/";
  const AssignedTask task =
      with_mounts(World::task(1), {hosts, volume_at("sub", "/a/sub"), volume_at("whole", "/z/../a"),
                                   volume_at("config", "/etc")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  std::vector<std::string> places;
  for (const auto& mount : world.runtime.containers.at(World::id(task)).request.mounts) {
    places.push_back(mount.target + (mount.volume.empty() ? "" : " of " + mount.volume));
    if (mount.source == world.folder) places.back() += " of the user";
  }
  // A volume at /etc hides none of the three files; one that somebody mounts there hides ours.
  CHECK(places == std::vector<std::string>{"/a of whole", "/a/sub of sub", "/etc of config",
                                           "/etc/hostname", "/etc/hosts", "/etc/hosts of the user",
                                           "/etc/resolv.conf"});
}

}  // namespace
}  // namespace skep::agent::test
