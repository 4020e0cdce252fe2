// The helper's way out, with several threads that talk at once and a host that is slow to listen.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/process/output.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "sdk/host/process/link.hpp"

namespace {

using namespace skep::host;

// Reads frames until a reply of this number has come, or nothing more comes.
std::vector<FrameHead> read_until(int socket, uint64_t number) {
  FrameReader reader(Side::helper);
  std::vector<FrameHead> heads;
  pollfd waiting{socket, POLLIN, 0};
  while (poll(&waiting, 1, 10'000) == 1) {
    const std::span<char> room = reader.room();
    const ssize_t count = recv(socket, room.data(), std::min<size_t>(room.size(), 10'000), 0);
    if (count <= 0) return heads;
    reader.received(static_cast<size_t>(count));
    Frame frame;
    FrameReader::Next next = FrameReader::Next::more;
    while ((next = reader.next(frame)) == FrameReader::Next::frame) {
      heads.push_back(frame.head);
      if (frame.head.kind == FrameKind::reply && frame.head.number == number) return heads;
    }
    REQUIRE(next == FrameReader::Next::more);
  }
  return heads;
}

}  // namespace

TEST_CASE("frames of many threads leave whole, and those of one thread in order") {
  std::array<int, 2> sockets{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
  Output& output = *new Output(sockets[0]);  // its thread goes on for ever
  constexpr uint64_t talkers = 4;
  constexpr int turns = 300;
  std::vector<std::thread> threads;
  for (uint64_t talker = 1; talker <= talkers; ++talker) {
    threads.emplace_back([&output, talker] {
      // Long enough that the socket takes only a part of one at times.
      const std::string line(static_cast<size_t>(20'000 + 9'000 * talker), 'l');
      for (int turn = 1; turn <= turns; ++turn) {
        output.log(talker, turn, line);
        FrameHead head;
        head.kind = FrameKind::item;
        head.number = talker;
        head.code = turn;
        output.send(head, {}, "item");
        output.figure("turns", 1, false);
      }
    });
  }
  std::thread last([&] {
    for (std::thread& thread : threads) thread.join();
    output.flush();
    FrameHead head;
    head.kind = FrameKind::reply;
    head.number = 99;
    output.send(head, {}, {});
  });
  const std::vector<FrameHead> heads = read_until(sockets[1], 99);
  last.join();
  std::map<uint64_t, int32_t> items;
  int64_t counted = 0;
  for (const FrameHead& head : heads) {
    if (head.kind == FrameKind::metric) counted += head.value;
    if (head.kind == FrameKind::item) CHECK(head.code == ++items[head.number]);
    // A line may be dropped; one that comes is of this turn, before its item.
    if (head.kind == FrameKind::log && head.number != 0) {
      CHECK(head.code == items[head.number] + 1);
    }
  }
  for (uint64_t talker = 1; talker <= talkers; ++talker) CHECK(items[talker] == turns);
  CHECK(counted == talkers * turns);
  close(sockets[1]);
}

TEST_CASE("nothing is in flight only when the last reply has left, so an end does not lose it") {
  std::array<int, 2> sockets{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
  Output output(sockets[0]);  // which makes no thread for replies alone
  HostLink link(output, SKEP_LOG_INFO);
  link.begin(1, no_deadline);
  // More than the socket takes while nobody reads.
  std::thread driver([&link] { link.completed(1, SKEP_OK, std::string(8u << 20, 'r'), {}); });
  while (!link.cancelled(1)) std::this_thread::yield();  // it is no longer known
  std::future<void> idle = std::async(std::launch::async, [&link] { link.wait_until_idle(); });
  CHECK(idle.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
  const std::vector<FrameHead> heads = read_until(sockets[1], 1);
  driver.join();
  idle.wait();
  REQUIRE(heads.size() == 1);
  CHECK(heads.front().second == 8u << 20);
  close(sockets[0]);
  close(sockets[1]);
}
