// The API's door: actions by hand, waits, exec.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/agent/world.hpp"

namespace skep::agent::test {
namespace {

using model::TaskState;

struct Running {
  Running() : task(World::task(1)) {
    world.start_agent();
    world.assign({task});
    REQUIRE(world.is(task, TaskState::running));
  }
  Containers& containers() { return world.agent->containers(); }

  World world;
  AssignedTask task;
};

TEST_CASE("a container killed by hand fails its task, and who waited gets the exit code") {
  if (!can_run()) return;
  Running node;
  const std::string id = World::id(node.task);
  const Status refused = node.world.run(node.containers().remove(id, /*force=*/false));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == ErrorKind::conflict);
  REQUIRE(node.world.run(node.containers().kill(id, "SIGKILL")).has_value());
  const Result<int64_t> code =
      node.world.run(node.containers().wait(id, WaitCondition::not_running));
  REQUIRE(code.has_value());
  CHECK(*code == 137);
  CHECK(node.world.is(node.task, TaskState::failed));
  CHECK(node.world.last(node.task).error == "task: non-zero exit (137)");
}

TEST_CASE("waiting for a container that was never started returns at once") {
  if (!can_run()) return;
  World world;
  world.start_agent();
  AssignedTask task = World::task(1);
  task.task.desired = TaskState::ready;  // made, and to be started later
  world.assign({task});
  REQUIRE(world.is(task, TaskState::ready));
  Containers& containers = world.agent->containers();
  REQUIRE((*containers.find(World::id(task)))->state == ContainerState::created);
  const Result<int64_t> code =
      world.run(containers.wait(World::id(task), WaitCondition::not_running));
  REQUIRE(code.has_value());
  CHECK(*code == 0);
}

TEST_CASE("images are counted when the agent starts and after every change") {
  if (!can_run()) return;
  Running node;
  const size_t before = node.world.runtime.images.size();
  REQUIRE(node.world.until([&] { return node.containers().image_count() == before; }));
  node.world.runtime.registry.insert("docker.io/library/one:latest");
  REQUIRE(node.world.run(node.containers().pull("one", std::nullopt, {})).has_value());
  CHECK(node.world.until([&] { return node.containers().image_count() == before + 1; }));
}

TEST_CASE("an unknown container is told by the name it was asked for") {
  if (!can_run()) return;
  Running node;
  const auto found = node.containers().find("nothing");
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().message == "No such container: nothing");
  CHECK(node.containers().find(World::id(node.task).substr(0, 12)).has_value());
}

TEST_CASE("exec gives the output, and the exit code before the end of the streams") {
  if (!can_run()) return;
  Running node;
  node.world.runtime.exec_output = "hello\n";
  node.world.runtime.exec_exit = 7;
  // Also when the driver dies meanwhile: whoever waits asks the next one.
  node.world.runtime.exec_waits_lost = GENERATE(0, 2);
  ExecConfig config;
  config.container_id = World::id(node.task);
  config.argv = {"echo", "hello"};
  const Result<std::string> id = node.containers().exec_create(config);
  REQUIRE(id.has_value());
  auto streams = node.world.run(node.containers().exec_start(*id));
  REQUIRE(streams.has_value());
  const auto chunk = node.world.run((*streams)->read());
  REQUIRE(chunk.has_value());
  CHECK(chunk->bytes == "hello\n");
  CHECK_FALSE(node.world.run((*streams)->read()).has_value());
  CHECK(node.containers().exec_inspect(*id)->exit_code == 7);
}

TEST_CASE("a process whose output nobody reads any more is not held up") {
  if (!can_run()) return;
  Running node;
  node.world.runtime.exec_goes_on = true;
  ExecConfig config;
  config.container_id = World::id(node.task);
  config.argv = {"yes"};
  const Result<std::string> id = node.containers().exec_create(config);
  REQUIRE(id.has_value());
  { REQUIRE(node.world.run(node.containers().exec_start(*id)).has_value()); }  // and let go
  const std::string text(16 << 10, 'y');
  const auto pause = [&node]() -> asio::awaitable<void> {
    Signal never(node.world.loop.get_executor());
    co_await never.changed_within(std::chrono::milliseconds(1));
  };
  constexpr size_t enough = 1 << 20;  // many times what a FIFO holds
  size_t total = 0;
  for (int tries = 0; total < enough && tries < 5000; ++tries) {
    const ssize_t written = ::write(node.world.runtime.exec_file, text.data(), text.size());
    if (written > 0) total += static_cast<size_t>(written);
    if (written < 0) node.world.run(pause());
  }
  ::close(node.world.runtime.exec_file);
  CHECK(total >= enough);
}

TEST_CASE("a process whose output was being read when the agent ended goes on after its restart") {
  if (!can_run()) return;
  Running node;
  node.world.runtime.exec_goes_on = true;
  ExecConfig config;
  config.container_id = World::id(node.task);
  config.argv = {"yes"};
  config.attach_stderr = false;
  const Result<std::string> id = node.containers().exec_create(config);
  REQUIRE(id.has_value());
  auto streams = node.world.run(node.containers().exec_start(*id));
  REQUIRE(streams.has_value());
  const int out = node.world.runtime.exec_file;
  const std::string folder = node.world.folder + "/run/exec/" + *id;
  // A shim holds the reading end as well, so that its process never sees a broken pipe.
  const int shim = ::open((folder + "/stdout").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(shim >= 0);
  node.world.stop_agent();
  streams->reset();
  const std::string text(16 << 10, 'y');
  while (::write(out, text.data(), text.size()) > 0) continue;
  node.world.start_agent();
  CHECK(node.world.until([&] { return ::write(out, text.data(), text.size()) > 0; }));
  CHECK(node.world.until([&] { return ::write(out, text.data(), text.size()) > 0; }));
  ::close(out);
  ::close(shim);
  CHECK(node.world.until([&] { return !std::filesystem::exists(folder); }));
}

TEST_CASE("what is left of a process that ended without the agent is removed at its start") {
  if (!can_run()) return;
  World world;
  const std::string folder = world.folder + "/run/exec/one";
  std::filesystem::create_directories(folder);
  REQUIRE(mkfifo((folder + "/stdout").c_str(), 0600) == 0);
  world.start_agent();
  CHECK(world.until([&] { return !std::filesystem::exists(folder); }));
}

TEST_CASE("a command that isn't there is exit code 127 with the reason on the stream") {
  if (!can_run()) return;
  Running node;
  ExecConfig config;
  config.container_id = World::id(node.task);
  config.argv = {"missing"};
  const Result<std::string> id = node.containers().exec_create(config);
  REQUIRE(id.has_value());
  auto streams = node.world.run(node.containers().exec_start(*id));
  REQUIRE(streams.has_value());
  const auto chunk = node.world.run((*streams)->read());
  REQUIRE(chunk.has_value());
  CHECK(chunk->bytes == "missing: executable file not found in $PATH\r\n");
  CHECK(node.containers().exec_inspect(*id)->exit_code == 127);
}

}  // namespace
}  // namespace skep::agent::test
