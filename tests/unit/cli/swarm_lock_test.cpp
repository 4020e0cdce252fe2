// How the unlock key gets from a person into the program.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/swarm_lock.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

using namespace skep;
using namespace skep::cli;

namespace {

Result<std::string> read_from_pipe(const std::string& text) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  Result<std::string> key = read_unlock_key(ends[0]);
  ::close(ends[0]);
  return key;
}

bool echoes(int terminal) {
  termios settings;
  return ::tcgetattr(terminal, &settings) != 0 || (settings.c_lflag & ECHO) != 0;
}

}  // namespace

TEST_CASE("a key that is piped in is the first line, without blanks around it") {
  CHECK(read_from_pipe("SWMKEY-1-abc\n") == "SWMKEY-1-abc");
  CHECK(read_from_pipe("  SWMKEY-1-abc\t\r\nand more\n") == "SWMKEY-1-abc");
  CHECK(read_from_pipe("SWMKEY-1-abc") == "SWMKEY-1-abc");
  CHECK(read_from_pipe("") == "");
  CHECK(read_from_pipe(" \n") == "");
  CHECK(read_from_pipe(std::string(10'000, 'x')).error().kind == ErrorKind::invalid);
}

TEST_CASE("a key that is typed is not shown, and afterwards what is typed is shown again") {
  const int person = ::posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(person >= 0);
  REQUIRE(::grantpt(person) == 0);
  REQUIRE(::unlockpt(person) == 0);
  const int terminal = ::open(::ptsname(person), O_RDWR | O_NOCTTY);
  REQUIRE(terminal >= 0);
  REQUIRE(echoes(terminal));
  bool silent = false;
  std::thread typist([&] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (echoes(terminal) && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    silent = !echoes(terminal);
    static_cast<void>(::write(person, "SWMKEY-1-abc\n", 13) == 13);
  });
  const Result<std::string> key = read_unlock_key(terminal);
  typist.join();
  CHECK(silent);
  CHECK(key == "SWMKEY-1-abc");
  CHECK(echoes(terminal));
  REQUIRE(::fcntl(person, F_SETFL, O_NONBLOCK) == 0);
  char shown[64];
  CHECK(::read(person, shown, sizeof shown) <= 0);
  ::close(terminal);
  ::close(person);
}

TEST_CASE("the instructions hold the key on a line of its own") {
  CHECK(unlock_instructions("SWMKEY-1-abc").find("\n    SWMKEY-1-abc\n") != std::string::npos);
}
