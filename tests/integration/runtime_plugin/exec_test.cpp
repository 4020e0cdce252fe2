// Further processes in a running container, through FIFOs as the host makes them.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/integration/runtime_plugin/world.hpp"

namespace skep::test {

namespace {

// The host's end of one FIFO, opened for reading before the process starts.
class Output {
 public:
  explicit Output(std::string path) : path_(std::move(path)) {
    REQUIRE(mkfifo(path_.c_str(), 0600) == 0);
    fd_ = open(path_.c_str(), O_RDONLY | O_NONBLOCK);
    fcntl(fd_, F_SETFL, 0);
  }
  ~Output() {
    close(fd_);
    unlink(path_.c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  const std::string& path() const { return path_; }
  // Everything until the last writer has gone. After wait() has answered.
  std::string rest() {
    std::string text;
    char chunk[4096];
    ssize_t got = 0;
    while ((got = read(fd_, chunk, sizeof chunk)) > 0) text.append(chunk, static_cast<size_t>(got));
    return text;
  }

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace

TEST_CASE("an exec runs with its output in the FIFOs and its exit code told") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = run(world, *plugin, "sleep 60");
  const std::string exec_id = world.new_id();
  Output out(world.folder() + "/exec-out");
  Output err(world.folder() + "/exec-err");
  const json both = {{"id", id}, {"exec_id", exec_id}};
  const Outcome made = plugin->call(
      plugin->exec->create, {{"id", id},
                             {"exec_id", exec_id},
                             {"argv", {"sh", "-c", "id -u; echo $MORE; echo bad >&2; exit 5"}},
                             {"env", {"MORE=more"}},
                             {"user", "alice"},
                             {"stdout", out.path()},
                             {"stderr", err.path()}});
  INFO(made.error);
  REQUIRE(made.ok());
  const Outcome started = plugin->call(plugin->exec->start, both);
  INFO(started.error);
  REQUIRE(started.ok());
  CHECK(plugin->call(plugin->exec->wait, both).reply.at("exit_code") == 5);
  CHECK(out.rest() == "1000\nmore\n");
  CHECK(err.rest() == "bad\n");
  remove(*plugin, id);
}

TEST_CASE("an exec reads its input until the host closes it") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = run(world, *plugin, "sleep 60");
  const std::string exec_id = world.new_id();
  const std::string in = world.folder() + "/exec-in";
  REQUIRE(mkfifo(in.c_str(), 0600) == 0);
  const int writer = open(in.c_str(), O_RDWR | O_NONBLOCK);
  Output out(world.folder() + "/exec-out");
  const json both = {{"id", id}, {"exec_id", exec_id}};
  REQUIRE(plugin
              ->call(plugin->exec->create, {{"id", id},
                                            {"exec_id", exec_id},
                                            {"argv", {"cat"}},
                                            {"stdin", in},
                                            {"stdout", out.path()}})
              .ok());
  const Outcome started = plugin->call(plugin->exec->start, both);
  INFO(started.error);
  REQUIRE(started.ok());
  REQUIRE(write(writer, "hello\n", 6) == 6);
  close(writer);
  const Outcome closed = plugin->call(plugin->exec->close_stdin, both);
  INFO(closed.error);
  CHECK(closed.ok());
  CHECK(plugin->call(plugin->exec->wait, both).reply.at("exit_code") == 0);
  CHECK(out.rest() == "hello\n");
  unlink(in.c_str());
  remove(*plugin, id);
}

TEST_CASE("an exec with a terminal has the size it was given, also before its start") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = run(world, *plugin, "sleep 60");
  const std::string exec_id = world.new_id();
  Output out(world.folder() + "/exec-out");
  json both = {{"id", id}, {"exec_id", exec_id}};
  const std::string script =
      "trap 'stty size; exit 0' WINCH; stty size; while :; do sleep 0.05; done";
  REQUIRE(plugin
              ->call(plugin->exec->create, {{"id", id},
                                            {"exec_id", exec_id},
                                            {"argv", {"sh", "-c", script}},
                                            {"tty", true},
                                            {"rows", 30},
                                            {"cols", 100},
                                            {"stdout", out.path()}})
              .ok());
  const Outcome started = plugin->call(plugin->exec->start, both);
  INFO(started.error);
  REQUIRE(started.ok());
  char chunk[64] = {};
  const int reader = open(out.path().c_str(), O_RDONLY);
  REQUIRE(read(reader, chunk, sizeof chunk) > 0);
  CHECK(std::string(chunk).starts_with("30 100"));
  both["rows"] = 41;
  both["cols"] = 99;
  const Outcome resized = plugin->call(plugin->exec->resize, both);
  INFO(resized.error);
  CHECK(resized.ok());
  CHECK(plugin->call(plugin->exec->wait, both).reply.at("exit_code") == 0);
  close(reader);
  CHECK(out.rest().find("41 99") != std::string::npos);
  remove(*plugin, id);
}

TEST_CASE("an exec of a missing program, or in a container that has ended, tells why") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string id = run(world, *plugin, "sleep 60");
  const std::string exec_id = world.new_id();
  const json both = {{"id", id}, {"exec_id", exec_id}};
  REQUIRE(plugin
              ->call(plugin->exec->create,
                     {{"id", id}, {"exec_id", exec_id}, {"argv", {"no-such-program"}}})
              .ok());
  const Outcome started = plugin->call(plugin->exec->start, both);
  INFO(started.error);
  CHECK(started.status == SKEP_E_NOTFOUND);
  CHECK(started.error.find("executable file not found in $PATH") != std::string::npos);
  CHECK(started.error.starts_with("exec: \"no-such-program\""));
  plugin->call(plugin->runtime->stop, {{"id", id}, {"grace_ms", 0}});
  CHECK(plugin
            ->call(plugin->exec->create,
                   {{"id", id}, {"exec_id", world.new_id()}, {"argv", {"true"}}})
            .status == SKEP_E_PRECONDITION);
  remove(*plugin, id);
}

}  // namespace skep::test
