// Who dies with whom: a helper with its host in two ways, and not with a thread of it.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <thread>

#include "sdk/host/spawner.hpp"
#include "sdk/host/wire.hpp"
#include "tests/unit/plugin_host/helper_driver.hpp"

namespace {

using skep::Result;
using skep::host::CheckedFile;
using skep::host::Child;
using skep::host::FrameHead;
using skep::host::FrameKind;
using skep::host::FramePieces;
using skep::test::fake_plugin;
using skep::test::HelperDriver;

// A helper without anybody at its socket's other end but this test.
struct Bare {
  std::array<int, 2> sockets{};
  std::array<int, 2> output{};
  std::optional<Child> child;

  Bare() {
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
    REQUIRE(pipe2(output.data(), O_CLOEXEC) == 0);
  }
  ~Bare() {
    for (const int descriptor : {sockets[0], sockets[1], output[0], output[1]}) {
      if (descriptor >= 0) close(descriptor);
    }
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;

  void spawn(Result<Child> (*how)(const skep::host::ChildPlan&)) {
    Result<CheckedFile> file = CheckedFile::open(fake_plugin("fake-crashes"), std::nullopt);
    REQUIRE(file);
    Result<Child> made =
        how({SKEP_TEST_PLUGIN_HOST, "bare", sockets[1], file->descriptor(), output[1]});
    REQUIRE(made);
    child = *made;
    close(std::exchange(sockets[1], -1));
    skep::host::Hello hello;
    hello.name = "bare";
    hello.path = file->path();
    hello.identity = skep::host::read_note(*file).value();
    send(FrameKind::hello, {}, to_body(hello));
    // Its first frame: ready.
    std::array<char, 8> byte{};
    REQUIRE(recv(sockets[0], byte.data(), byte.size(), 0) == 8);
  }
  void send(FrameKind kind, std::string_view interface, std::string_view rest, int32_t code = 0) {
    FrameHead head;
    head.kind = kind;
    head.number = 1;
    head.code = code;
    FramePieces pieces(head, interface, {}, rest);
    REQUIRE(pieces.send_some(sockets[0]) == FramePieces::Sent::all);
  }
  void hang() {
    send(FrameKind::call, SKEP_TEST_CRASHES, "\"hang\"",
         static_cast<int32_t>(offsetof(skep_test_crashes, misbehave)));
  }
  // Its end, waited for.
  siginfo_t end() {
    siginfo_t info{};
    pollfd waiting{child->pidfd, POLLIN, 0};
    CHECK(poll(&waiting, 1, 10'000) == 1);
    REQUIRE(waitid(P_PIDFD, static_cast<id_t>(child->pidfd), &info, WEXITED | WNOHANG) == 0);
    close(child->pidfd);
    return info;
  }
};

bool is_there(pid_t pid) {
  return kill(pid, 0) == 0;
}

}  // namespace

TEST_CASE("a helper dies with the thread that spawned it, which is why one permanent thread does") {
  Bare helper;
  std::thread shortlived([&] { helper.spawn(&skep::host::spawn_child_here); });
  shortlived.join();
  const siginfo_t end = helper.end();
  CHECK(end.si_code == CLD_KILLED);
  CHECK(end.si_status == SIGKILL);
}

TEST_CASE("a helper spawned from a short-lived thread lives on") {
  std::unique_ptr<HelperDriver> driver;
  std::thread shortlived([&] { driver = std::make_unique<HelperDriver>("fake-crashes"); });
  shortlived.join();
  driver->until_ready();
  CHECK(driver->lives());
}

TEST_CASE("a helper ends with its socket, also when its driver hangs in a call") {
  for (const bool hung : {false, true}) {
    Bare helper;
    helper.spawn(&skep::host::spawn_child);
    if (hung) helper.hang();
    close(std::exchange(helper.sockets[0], -1));
    const siginfo_t end = helper.end();
    CHECK(end.si_code == CLD_EXITED);
    CHECK(end.si_status == 0);
  }
}

TEST_CASE("a helper that is told nonsense ends and says so") {
  Bare helper;
  helper.spawn(&skep::host::spawn_child);
  helper.send(FrameKind::reply, {}, "that is for the helper to say");
  const siginfo_t end = helper.end();
  CHECK(end.si_code == CLD_EXITED);
  CHECK(end.si_status == 4);
}

TEST_CASE("a host that is killed takes its helper along, also one that hangs") {
  for (const char* way : {"", "hang", "spin"}) {
    INFO(way);
    std::array<int, 2> output{};
    REQUIRE(pipe2(output.data(), O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    std::string program = SKEP_TEST_SMALL_HOST;
    std::string plugin = fake_plugin("fake-crashes");
    std::string argument = way;
    std::array<char*, 4> arguments = {program.data(), plugin.data(), argument.data(), nullptr};
    pid_t host = 0;
    REQUIRE(posix_spawn(&host, program.c_str(), &actions, nullptr, arguments.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(output[1]);
    std::array<char, 32> text{};
    pollfd waiting{output[0], POLLIN, 0};
    CHECK(poll(&waiting, 1, 10'000) == 1);
    REQUIRE(read(output[0], text.data(), text.size() - 1) > 0);
    close(output[0]);
    const pid_t helper = std::stoi(text.data());
    CHECK(is_there(helper));
    kill(host, SIGKILL);
    waitpid(host, nullptr, 0);
    const auto until = std::chrono::steady_clock::now() + skep::test::patience;
    while (is_there(helper) && std::chrono::steady_clock::now() < until) poll(nullptr, 0, 1);
    CHECK_FALSE(is_there(helper));
  }
}
