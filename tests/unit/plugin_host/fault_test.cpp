// The fault table: every way to break that a driver has, in a helper process. After each the host
// lives, the call has an end in time, and either the same helper serves on or a new one does.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <csignal>
#include <iostream>

#include "tests/unit/plugin_host/helper_driver.hpp"

namespace {

using skep::test::End;
using skep::test::HelperDriver;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Row {
  const char* way;
  const char* end;  // how the call ends: what lost() or the error says
  bool lost;
};

// The ways that end the process, and how lost() tells of it.
const Row deadly[] = {
    {"throw_in_thread", "killed by signal 6 (Aborted)", true},
    {"abort", "killed by signal 6 (Aborted)", true},
    {"null_write", "killed by signal 11 (Segmentation fault)", true},
    {"stack_overflow", "killed by signal 11 (Segmentation fault)", true},
    {"exit", "exited with code 0", true},
    {"garbage", "broke the protocol with its host and was killed", true},
    {"gigabyte", "broke the protocol with its host and was killed", true},
    {"forge", "broke the protocol with its host and was killed", true},
    {"forge_status", "broke the protocol with its host and was killed", true},
    {"forge_ready", "broke the protocol with its host and was killed", true},
    {"forge_log", "broke the protocol with its host and was killed", true},
    {"fork", "killed by signal 6 (Aborted)", true},
};

// The ways that a host answers for, and goes on.
const Row survived[] = {
    {"throw", "the driver threw an exception: over the wall", false},
    {"throw_int", "the driver threw something that is no exception", false},
#ifndef SKEP_SANITIZED
    {"memory_bomb", "the driver threw an exception: std::bad_alloc", false},
#endif
    {"bad_utf8", "the driver gave a reply that is not UTF-8", false},
    {"too_much", "the driver gave a reply of 67108865 bytes, over the limit of 67108864", false},
    {"end_nonsense", "the driver completed with status 77, which is no end (what?)", false},
    {"return_nonsense", "the driver returned status 77, which is none", false},
};

std::string quoted(const char* way) {
  return "\"" + std::string(way) + "\"";
}

skep::host::HelperOptions with_memory(int64_t bytes) {
  skep::host::HelperOptions options;
  options.limits.address_space_bytes = bytes;
  return options;
}

}  // namespace

TEST_CASE("a driver that ends its process is lost in time, and the next helper serves") {
  for (const Row& row : deadly) {
    INFO(row.way);
    HelperDriver driver("fake-crashes");
    driver.until_ready();
    const auto start = steady_clock::now();
    const End end = driver.misbehave(row.way);
    CHECK(end.status == SKEP_E_PLUGIN_LOST);
    CHECK(driver.how_lost() == row.end);
    // 10 ms is the goal, which ./dev bench plugin_call measures; a test machine may be busy.
    CHECK(driver.lost_at - start < milliseconds(3000));
    HelperDriver next("fake-crashes");
    next.until_ready();
    CHECK(next.lives());
  }
}

// Every operation in turn, until each way was tried on each kind and each operation at least once.
TEST_CASE("drivers of every kind break in the same ways, with the same ends") {
  for (const skep::host::Interface& interface : skep::host::interfaces()) {
    if (interface.kind == "base") continue;
    const size_t turns = std::max(std::size(deadly), interface.operations.size());
    for (size_t turn = 0; turn < turns; ++turn) {
      const skep::host::Operation& operation =
          interface.operations[turn % interface.operations.size()];
      const Row& row = deadly[turn % std::size(deadly)];
      INFO(interface.id << " " << operation.name << ": " << row.way);
      HelperDriver driver("fake-crashes");
      driver.until_ready();
      const Row& gentle = survived[turn % std::size(survived)];
      const End end = driver.end_of(driver.begin(operation, quoted(gentle.way), "key"));
      CHECK(end.error == gentle.end);
      const uint64_t hung = driver.begin(operation, quoted("hang"), "another");
      const End lost = driver.end_of(driver.begin(operation, quoted(row.way), "key"));
      CHECK(lost.status == SKEP_E_PLUGIN_LOST);
      CHECK(driver.how_lost() == row.end);
      CHECK_FALSE(driver.ends.contains(hung));
    }
    HelperDriver spinning("fake-crashes");
    spinning.until_ready();
    spinning.begin(interface.operations.front(), quoted("spin"), "key");
    spinning.begin(interface.operations.back(), quoted("hang"), "another");
    CHECK(spinning.lives());
    spinning.helper->kill();
    CHECK(spinning.how_lost() == "killed by signal 9 (Killed)");
  }
}

TEST_CASE("what a host can answer for is the call's error, and the same helper serves on") {
  for (const Row& row : survived) {
    INFO(row.way);
    HelperDriver driver("fake-crashes", with_memory(int64_t{512} << 20));
    driver.until_ready();
    const End end = driver.misbehave(row.way);
    CHECK(end.status == SKEP_E_INTERNAL);
    CHECK(end.error == row.end);
    CHECK(driver.lives());
    CHECK(driver.told("plugin misbehaving: "));
  }
}

#ifdef SKEP_SANITIZED
TEST_CASE("a helper's memory has a limit") {
  std::cout
      << "SKIP: a sanitizer reserves terabytes of addresses, so a helper's can't be limited\n";
}
#endif

TEST_CASE("a driver that completes wrongly is found out in its helper, and told of in the log") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  CHECK(driver.misbehave("twice").reply == "\"first\"");
  CHECK(driver.turn_until([&] { return driver.told("operation 1 was completed more than once"); }));
  CHECK(driver.misbehave("after_return").status == SKEP_E_BUSY);
  CHECK(driver.turn_until([&] { return driver.told("operation 2 was completed more than once"); }));
  CHECK(driver.misbehave("unknown").reply == "{}");
  CHECK(driver.told("operation 3735928559 was completed more than once, or never given to it"));
  CHECK(driver.misbehave("forge_item").reply == "{}");
  CHECK(driver.told("operation 99 has ended, and yet an item came for it"));
  CHECK(driver.misbehave("elsewhere").reply == "\"from another thread\"");
  CHECK(driver.lives());
  CHECK_FALSE(driver.is_lost);
}

TEST_CASE("a call that hangs or spins holds up no other, and a kill ends it") {
  for (const char* way : {"hang", "spin"}) {
    INFO(way);
    HelperDriver driver("fake-crashes");
    driver.until_ready();
    const uint64_t stuck = driver.begin(CRASHES(misbehave), "\"" + std::string(way) + "\"");
    CHECK(driver.lives());
    CHECK_FALSE(driver.ends.contains(stuck));
    driver.helper->kill();
    CHECK(driver.how_lost() == "killed by signal 9 (Killed)");
  }
}

TEST_CASE("with every thread hung in the driver, calls queue and the host's word gets through") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  const uint64_t stream = driver.begin(CRASHES(misbehave), "\"emit_without_end\"");
  REQUIRE(driver.turn_until([&] { return driver.item_count > 0; }));
  // 32 run at most: the stream, 31 of these, and the others queue.
  for (int count = 0; count < 40; ++count) driver.begin(CRASHES(misbehave), "\"hang\"");
  const uint64_t queued = driver.begin(CRASHES(echo), "1");
  CHECK_FALSE(driver.turn_until([&] { return driver.ends.contains(queued); }, milliseconds(200)));
  driver.helper->cancel(stream);
  CHECK(driver.end_of(stream).status == SKEP_E_CANCELLED);
  // The end is read too, and waits for those that hang until the host's patience is over.
  driver.helper->end();
  CHECK_FALSE(driver.turn_until([&] { return driver.is_lost; }, milliseconds(200)));
  driver.helper->kill();
  CHECK(driver.how_lost() == "killed by signal 9 (Killed)");
}

TEST_CASE("a driver that closes its host's socket is given up with the next word") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  const uint64_t stuck = driver.begin(CRASHES(misbehave), "\"close_socket\"");
  // Whoever reads from it already goes on until something comes, and that may have been this.
  const auto until = steady_clock::now() + skep::test::patience;
  while (!driver.is_lost && steady_clock::now() < until) {
    driver.begin(CRASHES(echo), "1");
    driver.turn_until([&] { return driver.is_lost; }, milliseconds(50));
  }
  // It ends by itself, unless it is so slow that the host's patience is over first.
  CHECK((driver.how_lost() == "exited with code 3" ||
         driver.how == "closed its connection to its host and was killed"));
  CHECK_FALSE(driver.ends.contains(stuck));
  REQUIRE_FALSE(driver.output.empty());
  CHECK(driver.output.back() ==
        "skep-plugin-host: the driver has closed descriptor 3, which is not its own");
}

TEST_CASE("a driver that prints without end is heard in part, and serves on") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  driver.begin(CRASHES(misbehave), "\"print_without_end\"");
  REQUIRE(driver.turn_until([&] { return driver.printed_count > 1000; }));
  CHECK(driver.lives());
  CHECK(driver.turn_until([&] {
    return std::any_of(driver.output.begin(), driver.output.end(), [](const std::string& line) {
      return line.find("further lines were dropped") != std::string::npos;
    });
  }));
}

TEST_CASE("a driver that logs without end is heard in part, and serves on") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  for (int count = 0; count < 3; ++count) {
    driver.begin(CRASHES(misbehave), "\"log_without_end\"");
  }
  REQUIRE(driver.turn_until([&] { return driver.log_count > 5000; }));
  // Lines that the socket took in part, and replies that wait for their rest.
  const std::string document(20'000, 'd');
  for (int count = 0; count < 200; ++count) driver.begin(CRASHES(echo), document);
  REQUIRE(driver.turn_until([&] { return driver.is_lost || driver.ends.size() == 200; }));
  CHECK(driver.ends[driver.last].reply == document);
  for (const uint64_t stream : {1, 2, 3}) driver.helper->cancel(stream);
  CHECK(driver.end_of(1).status == SKEP_E_CANCELLED);
  CHECK(driver.turn_until([&] { return driver.told("lines of its log were dropped"); }));
}
