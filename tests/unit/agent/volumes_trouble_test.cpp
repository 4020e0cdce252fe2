// Volumes when something else fails beside them: agent.db, another driver, the runtime, or the task
// itself.
// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/agent/volumes_world.hpp"

namespace skep::agent::test {
namespace {

using model::TaskState;

// Speaks to agent.db beside the agent; as it does, or the two would not share the file.
void alter_database(const World& world, const std::string& text) {
  sqlite3* connection = nullptr;
  REQUIRE(sqlite3_open_v2((world.folder + "/data/agent.db").c_str(), &connection,
                          SQLITE_OPEN_READWRITE, "unix-excl") == SQLITE_OK);
  CHECK(sqlite3_exec(connection, text.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(connection);
}

// No row of a volume can be written until let_write().
void forbid_writing(const World& world) {
  alter_database(world,
                 "CREATE TRIGGER full BEFORE INSERT ON volume "
                 "BEGIN SELECT RAISE(FAIL, 'the disk is full'); END");
}
void let_write(const World& world) {
  alter_database(world, "DROP TRIGGER full");
}

std::vector<StoredVolume> stored_volumes(const World& world) {
  const Result<std::unique_ptr<AgentDb>> db = AgentDb::open(world.folder + "/data/agent.db");
  REQUIRE(db);
  return (*db)->volumes().value();
}

// Returns once settle() has gone through all volumes that were there before. Their names come
// before this one's.
void settle_all(World& world) {
  world.local.lost["create"] = Error{ErrorKind::deadline, "no answer"};
  REQUIRE_FALSE(create(world, {"zzz", "", {}, {}}));
  world.local.lost.clear();
  REQUIRE(world.until([&] { return volumes(world).find("zzz").has_value(); }));
  REQUIRE(remove(world, "zzz"));
}

// --- a task that never had a container

TEST_CASE("a rejected task holds no volume, and its own volumes go") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task =
      with_mounts(World::task(1, "nowhere"), {volume_at("data", "/data"), volume_at("", "/own")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::rejected));
  CHECK(world.until([&] { return holds_nothing(world, "data"); }));
  CHECK(world.until([&] { return world.local.volumes.size() == 1; }));
  CHECK(world.local.volumes.at("data").holders.empty());
  CHECK(world.agent->reports().size() == 1);
  CHECK(remove(world, "data"));
}

TEST_CASE("a task that its volume's driver refused holds no volume, and no event tells of it") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.local.refusals["publish"] = Error{ErrorKind::exhausted, "no loop device is free"};
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::rejected));
  CHECK(world.until([&] { return holds_nothing(world, "data"); }));
  CHECK(count(world.local.calls, "unpublish data by " + World::id(task) + " with ") == 1);
  CHECK(action_count(world, "mount") == 0);
  CHECK(action_count(world, "unmount") == 0);
  // Nor is it a holder after the next start.
  world.stop_agent();
  world.local.refusals.clear();
  world.start_agent();
  CHECK(remove(world, "data"));
}

TEST_CASE("a rejected task lets go as soon as the driver and the runtime can") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.busy["remove"] = 2;
  world.local.refusals["unpublish"] = Error{ErrorKind::unavailable, "not now"};
  const AssignedTask task = with_mounts(World::task(1, "nowhere"), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::rejected));
  const std::string call = "unpublish data by " + World::id(task) + " with ";
  REQUIRE(world.until([&] { return count(world.local.calls, call) >= 2; }));
  CHECK_FALSE(holds_nothing(world, "data"));
  world.local.refusals.clear();
  CHECK(world.until([&] { return holds_nothing(world, "data"); }));
}

TEST_CASE("a task that is not wanted any more before it had a container holds no volume") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.registry_away = true;
  AssignedTask task = with_mounts(World::task(1, "busybox:1"), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] { return world.last(task).error == "registry.test does not answer"; }));
  CHECK_FALSE(holds_nothing(world, "data"));
  task.task.desired = TaskState::shutdown;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::shutdown));
  CHECK(world.until([&] { return holds_nothing(world, "data"); }));
}

TEST_CASE("a task that is not wanted any more doesn't wait until its volume is filled") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.fills = true;
  AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] { return !world.runtime.containers.empty(); }));
  task.task.desired = TaskState::shutdown;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::shutdown));
  CHECK(world.until([&] { return world.runtime.containers.empty(); }));
  CHECK(world.until([&] { return holds_nothing(world, "data"); }));
}

TEST_CASE("a mount is told once, also when it worked at the second attempt only") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.local.refusals["publish"] = Error{ErrorKind::unavailable, "not now"};
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] { return !world.last(task).error.empty(); }));
  CHECK(action_count(world, "mount") == 0);
  world.local.refusals.clear();
  world.runtime.busy["create"] = 1;  // and published once more after that
  REQUIRE(world.is(task, TaskState::running));
  CHECK(action_count(world, "mount") == 1);
}

TEST_CASE("a task of an earlier life that is rejected now leaves no container to look at") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.registry_away = true;
  const AssignedTask task = with_mounts(World::task(1, "busybox:1"), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] { return world.last(task).error == "registry.test does not answer"; }));
  world.stop_agent();
  world.start_agent();
  CHECK_FALSE(world.agent->containers().find(World::id(task)));
  world.runtime.registry_away = false;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::rejected));
  CHECK(world.until([&] { return holds_nothing(world, "data"); }));
  CHECK(world.until([&] { return !world.agent->containers().find(World::id(task)); }));
}

TEST_CASE("a task of an earlier life that is unwanted before it had a container holds no volume") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.lost.insert("create");  // made, but the task does not know
  AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] { return world.last(task).error == "create: its process died"; }));
  world.stop_agent();
  REQUIRE(world.runtime.containers.size() == 1);
  world.start_agent();
  CHECK_FALSE(world.agent->containers().find(World::id(task)));
  task.task.desired = TaskState::shutdown;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::shutdown));
  CHECK(world.until([&] { return world.runtime.containers.empty(); }));
  CHECK(world.until([&] { return holds_nothing(world, "data"); }));
  CHECK_FALSE(world.agent->containers().find(World::id(task)));
  CHECK(remove(world, "data"));
}

TEST_CASE("a half-made container of a task that has ended goes after a restart as well") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  world.runtime.lost.insert("create");
  AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] { return world.last(task).error == "create: its process died"; }));
  world.runtime.busy["remove"] = 1'000'000;  // the agent ends before it works
  task.task.desired = TaskState::shutdown;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::shutdown));
  world.stop_agent();
  REQUIRE(world.runtime.containers.size() == 1);
  world.runtime.busy["remove"] = 0;
  world.start_agent();
  CHECK(world.until([&] { return world.runtime.containers.empty(); }));
  CHECK(world.until([&] { return holds_nothing(world, "data"); }));
  CHECK_FALSE(world.agent->containers().find(World::id(task)));
}

TEST_CASE("a container that was whole stays with its ended task over restarts") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  world.start_agent();
  task.task.desired = TaskState::shutdown;
  world.assign({task});
  REQUIRE(world.is(task, TaskState::shutdown));
  world.stop_agent();
  world.start_agent();
  REQUIRE(world.until([&] {
    const auto found = world.agent->containers().find(World::id(task));
    return found && (*found)->state == ContainerState::exited;
  }));
  // The next task's whole way gives the ended one time to remove what it must not.
  const AssignedTask next = World::task(2);
  world.assign({task, next});
  REQUIRE(world.is(next, TaskState::running));
  CHECK(world.runtime.containers.contains(World::id(task)));
  CHECK_FALSE(holds_nothing(world, "data"));
}

// --- another driver

TEST_CASE("a volume driver that is away keeps no address and no namespace of a task") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  REQUIRE(world.network.endpoints.size() == 1);
  world.local.refusals["unpublish"] = Error{ErrorKind::unavailable, "not now"};
  world.assign({});
  CHECK(world.until([&] { return world.network.endpoints.empty(); }));
  CHECK(world.until([&] { return !world.has_namespace(task); }));
  const std::string call = "unpublish data by " + World::id(task) + " with ";
  REQUIRE(world.until([&] { return count(world.local.calls, call) >= 2; }));
  CHECK(world.agent->reports().size() == 1);  // it is not forgotten before its volume was let go
  world.local.refusals.clear();
  CHECK(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(holds_nothing(world, "data"));
}

TEST_CASE("a driver that is away keeps its own volumes of a container and no other's") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task =
      with_mounts(World::task(1), {volume_of("nfs", "aa", "/aa"), volume_at("bb", "/bb")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.nfs.refusals["unpublish"] = Error{ErrorKind::unavailable, "the server does not answer"};
  world.assign({});
  CHECK(world.until([&] { return world.local.volumes.at("bb").holders.empty(); }));
  CHECK_FALSE(holds_nothing(world, "aa"));
  CHECK(world.agent->reports().size() == 1);
  world.nfs.refusals.clear();
  CHECK(world.until([&] { return world.agent->reports().empty(); }));
}

TEST_CASE("what a driver that died could not take back is given to it again, and not used before") {
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "nfs", {}, {}}));
  world.nfs.refusals["restore"] = Error{ErrorKind::unavailable, "the server does not answer"};
  world.nfs.die();
  const Status early = remove(world, "data");
  REQUIRE_FALSE(early);
  CHECK(early.error().message ==
        "remove data: driver vendor-nfs is not ready: the server does not answer");
  CHECK(create(world, {"other", "nfs", {}, {}}));  // the rest goes on
  world.nfs.restored.clear();
  world.nfs.refusals.clear();
  CHECK(world.until([&] { return count(world.nfs.restored, "data with ") == 1; }));
  CHECK(world.until([&] { return remove(world, "data").has_value(); }));
}

TEST_CASE("a lost database hides no volume of a driver that is slow to tell what it has") {
  if (!can_run()) return;
  World world;
  world.nfs.volumes["data"].data = "of nfs";
  world.nfs.refusals["list"] = Error{ErrorKind::unavailable, "the server does not answer"};
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.until([&] {
    return world.last(task).error ==
           "create data: it may be a volume of driver vendor-nfs, which has not told yet what it "
           "has (name a driver to go on): the server does not answer";
  }));
  CHECK(world.local.volumes.empty());
  CHECK(create(world, {"mine", "local", {}, {}}));
  CHECK(create(world, {}));  // a name that nobody can have
  world.nfs.refusals.clear();
  REQUIRE(world.is(task, TaskState::running));
  CHECK(world.nfs.volumes.at("data").data == "of nfs");
  CHECK(world.nfs.volumes.at("data").holders == std::set<std::string>{World::id(task)});
  CHECK_FALSE(world.local.volumes.contains("data"));
}

TEST_CASE("a driver that has told once what it has holds up nobody else at later starts") {
  World world;
  world.start_agent();
  REQUIRE(world.until([&] { return world.local.named && world.nfs.named; }));
  world.stop_agent();
  world.nfs.refusals["list"] = Error{ErrorKind::unavailable, "the server does not answer"};
  world.start_agent();
  CHECK(create(world, {"data", "", {}, {}}));
}

// --- agent.db

TEST_CASE("a removal that could not be written down is not carried out later") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  forbid_writing(world);
  const Status refused = remove(world, "data");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("the disk is full") != std::string::npos);
  let_write(world);
  settle_all(world);
  CHECK(count(world.local.calls, "remove data") == 0);
  CHECK(volumes(world).find("data"));
  CHECK(create(world, {"data", "", {}, {}}));
  CHECK(count(world.local.calls, "create data") == 1);
}

TEST_CASE("a removal that its driver refused is not carried out after the next start either") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  // The disk fills up between the intention and the refusal.
  alter_database(world,
                 "CREATE TRIGGER full BEFORE INSERT ON volume WHEN NEW.more LIKE '%\"made\"%' "
                 "BEGIN SELECT RAISE(FAIL, 'the disk is full'); END");
  world.local.refusals["remove"] = Error{ErrorKind::busy, "somebody reads it"};
  const Status refused = remove(world, "data");
  CHECK(refused.error().message == "remove data: driver local: somebody reads it");
  world.local.refusals.clear();
  let_write(world);
  settle_all(world);
  CHECK(count(world.local.calls, "remove data") == 1);
  world.stop_agent();
  REQUIRE(stored_volumes(world).size() == 1);
  CHECK(stored_volumes(world)[0].stage == VolumeStage::made);
}

TEST_CASE("a volume whose row could not be taken away is gone at the next attempt") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  alter_database(world,
                 "CREATE TRIGGER full BEFORE DELETE ON volume "
                 "BEGIN SELECT RAISE(FAIL, 'the disk is full'); END");
  CHECK_FALSE(remove(world, "data"));
  CHECK(action_count(world, "destroy") == 0);
  let_write(world);
  CHECK(world.until([&] { return volumes(world).list().empty(); }));
  CHECK(action_count(world, "destroy") == 1);
}

TEST_CASE("a holder that could not be written down is none") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  forbid_writing(world);
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::rejected));
  CHECK(world.last(task).error.find("the disk is full") != std::string::npos);
  CHECK(holds_nothing(world, "data"));
  let_write(world);
  world.assign({});
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  CHECK(count(world.local.calls, "publish data by " + World::id(task) + " with ") == 0);
  CHECK(count(world.local.calls, "unpublish data by " + World::id(task) + " with ") == 0);
}

TEST_CASE("a holder that left is not forgotten in memory alone") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  forbid_writing(world);
  world.assign({});
  const std::string call = "unpublish data by " + World::id(task) + " with ";
  REQUIRE(world.until([&] { return count(world.local.calls, call) >= 1; }));
  let_write(world);
  REQUIRE(world.until([&] { return world.agent->reports().empty(); }));
  world.stop_agent();
  REQUIRE(stored_volumes(world).size() == 1);
  CHECK(stored_volumes(world)[0].holders.empty());
}

TEST_CASE("a row of a volume that is damaged is told by its name") {
  World world;
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  world.stop_agent();
  const std::string whole = R"("driver": "local", "stage": "made", "created_at": 1, "holders": [])";
  for (const char* damage :
       {"no JSON", "[]", R"({"driver": "local", "created_at": 1, "holders": []})",
        R"({"driver": "local", "stage": "made", "created_at": "today", "holders": []})",
        R"({"driver": "local", "stage": "made", "created_at": 1, "holders": "me"})",
        R"({"driver": 1, "stage": "made", "created_at": 1, "holders": []})"}) {
    alter_database(world, "UPDATE volume SET more = '" + std::string(damage) + "'");
    const Result<std::unique_ptr<AgentDb>> db = AgentDb::open(world.folder + "/data/agent.db");
    REQUIRE(db);
    INFO(damage);
    const Result<std::vector<StoredVolume>> read = (*db)->volumes();
    REQUIRE_FALSE(read);
    CHECK(read.error().message == "agent.db: volume data is damaged");
  }
  alter_database(world, "UPDATE volume SET more = '{" + whole + "}'");
  CHECK(stored_volumes(world).size() == 1);
}

// --- the runtime

TEST_CASE("a lost database and a runtime that is away: nothing is restored without its holders") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  const AssignedTask task = with_mounts(World::task(1), {volume_at("data", "/data")});
  world.assign({task});
  REQUIRE(world.is(task, TaskState::running));
  world.stop_agent();
  std::filesystem::remove_all(world.folder + "/data");
  world.local.named.reset();
  world.runtime.set_away(true);
  world.start_agent();
  CHECK_FALSE(remove(world, "data"));
  const Result<Volume> early = create(world, {"data", "local", {}, {}});
  REQUIRE_FALSE(early);
  CHECK(early.error().message ==
        "create data: driver local is not ready: who has which volume can't be found out: no "
        "answer");
  CHECK_FALSE(world.local.named);
  world.runtime.set_away(false);
  REQUIRE(world.until([&] { return volumes(world).find("data").has_value(); }));
  const Status in_use = remove(world, "data");
  REQUIRE_FALSE(in_use);
  CHECK(in_use.error().kind == ErrorKind::conflict);
  CHECK(world.local.volumes.at("data").holders == std::set<std::string>{World::id(task)});
}

// --- answers that say nothing was done, and answers that say nothing

TEST_CASE("a volume that a driver could not make at the moment is not made later unasked") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  for (const ErrorKind kind : {ErrorKind::unavailable, ErrorKind::busy}) {
    world.start_agent();
    world.local.refusals["create"] = Error{kind, "not now"};
    const Result<Volume> refused = create(world, {"data", "", {{"k", "old"}}, {}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == kind);
    world.local.refusals.clear();
    settle_all(world);
    CHECK_FALSE(world.local.volumes.contains("data"));
    const Result<Volume> made = create(world, {"data", "", {{"k", "new"}}, {}});
    REQUIRE(made);
    CHECK(made->options.at("k") == "new");
    REQUIRE(remove(world, "data"));
    world.stop_agent();
  }
}

TEST_CASE("a create whose outcome nobody knows is not given up because it can't be repeated yet") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  world.local.lost["create"] = Error{ErrorKind::deadline, "no answer"};
  CHECK_FALSE(create(world, {"data", "", {{"k", "v"}}, {}}));
  world.local.lost.clear();
  world.local.refusals["create"] = Error{ErrorKind::unavailable, "not now"};
  CHECK(create(world, {"data", "", {{"k", "v"}}, {}}).error().kind == ErrorKind::unavailable);
  world.local.refusals.clear();
  CHECK(world.until([&] { return volumes(world).find("data").has_value(); }));
}

TEST_CASE("a wish that can't be finished any more gives way to the next one") {
  World world;
  world.start_agent();
  world.local.refusals["create"] = Error{ErrorKind::deadline, "no answer"};
  CHECK_FALSE(create(world, {"data", "", {{"typo", "1"}}, {}}));
  world.local.refusals.clear();
  const Result<Volume> made = create(world, {"data", "", {{"k", "v"}}, {}});
  REQUIRE(made);
  CHECK(made->options.at("k") == "v");
}

TEST_CASE("a removal whose outcome nobody knows is repeated until the volume is gone") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  world.local.refusals["remove"] = Error{ErrorKind::deadline, "no answer"};
  const Status unknown = remove(world, "data");
  CHECK(unknown.error().kind == ErrorKind::deadline);
  CHECK(unknown.error().message ==
        "remove data: driver local: no answer; its removal is repeated until it is gone");
  world.local.refusals["remove"] = Error{ErrorKind::unavailable, "not now"};
  const int64_t before = count(world.local.calls, "remove data");
  REQUIRE(world.until([&] { return count(world.local.calls, "remove data") >= before + 2; }));
  CHECK(volumes(world).find("data"));
  world.local.refusals.clear();
  CHECK(world.until([&] { return volumes(world).list().empty(); }));
  CHECK(world.local.volumes.empty());
  CHECK(action_count(world, "destroy") == 1);
}

TEST_CASE("a removal of unknown outcome that its driver then refuses leaves the volume") {
  World world;
  world.sweep_period = std::chrono::milliseconds(30);
  world.start_agent();
  REQUIRE(create(world, {"data", "", {}, {}}));
  world.local.refusals["remove"] = Error{ErrorKind::plugin_lost, "it died"};
  CHECK_FALSE(remove(world, "data"));
  const int64_t before = count(world.local.calls, "remove data");
  world.local.refusals["remove"] = Error{ErrorKind::busy, "somebody reads it"};
  REQUIRE(world.until([&] { return count(world.local.calls, "remove data") > before; }));
  world.local.refusals.clear();
  settle_all(world);
  CHECK(volumes(world).find("data"));
  CHECK(world.local.volumes.contains("data"));
}

}  // namespace
}  // namespace skep::agent::test
