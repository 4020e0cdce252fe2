// Logs with rotation, limits and following.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "daemon/agent/log_reader.hpp"
#include "tests/unit/agent/world.hpp"

namespace skep::agent::test {
namespace {

namespace fs = std::filesystem;

std::string line(int second, const std::string& text, const std::string& stream = "stdout") {
  return "{\"time\":\"2024-01-01T00:00:0" + std::to_string(second) + ".000000000Z\",\"stream\":\"" +
         stream + "\",\"log\":\"" + text + "\\n\"}\n";
}

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "skep-log-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() { fs::remove_all(path); }
  void append(const std::string& name, const std::string& text) const {
    std::ofstream(path + "/" + name, std::ios::app) << text;
  }
  void rotate() const {
    if (fs::exists(path + "/json.log.1")) fs::rename(path + "/json.log.1", path + "/json.log.2");
    fs::rename(path + "/json.log", path + "/json.log.1");
  }
  std::string path;
};

struct Reading {
  explicit Reading(const Folder& folder, LogQuery query) : change(loop.get_executor()) {
    LogSource source;
    source.folder = folder.path;
    source.ended = [this] { return ended; };
    source.change = [this](std::chrono::milliseconds) { return change.changed(); };
    LogSink sink = [this](const LogLine& got) -> boost::asio::awaitable<bool> {
      text += got.text;
      co_return true;
    };
    boost::asio::co_spawn(loop, read_log(loop.get_executor(), source, query, sink),
                          [this](std::exception_ptr, Status status) {
                            done = true;
                            ok = status.has_value();
                          });
  }
  bool until(const std::function<bool()>& fact) {
    for (int i = 0; i < 400 && !fact(); ++i) {
      loop.restart();
      loop.run_one_for(std::chrono::milliseconds(25));
    }
    return fact();
  }
  boost::asio::io_context loop{1};
  Signal change;
  std::string text;
  bool ended = false;
  bool done = false;
  bool ok = false;
};

TEST_CASE("rotated files are read oldest first") {
  const Folder folder;
  folder.append("json.log.2", line(1, "a"));
  folder.append("json.log.1", line(2, "b") + "damage\n" + line(3, "c", "stderr"));
  folder.append("json.log", line(4, "d") + "{\"time\":\"half");
  Reading reading(folder, {});
  REQUIRE(reading.until([&] { return reading.done; }));
  CHECK(reading.ok);
  CHECK(reading.text == "a\nb\nc\nd\n");
}

TEST_CASE("tail, since, until and streams choose lines") {
  const Folder folder;
  folder.append("json.log.1", line(1, "a") + line(2, "b"));
  folder.append("json.log", line(3, "c", "stderr") + line(4, "d"));
  const auto read = [&](LogQuery query) {
    Reading reading(folder, query);
    REQUIRE(reading.until([&] { return reading.done; }));
    return reading.text;
  };
  LogQuery query;
  query.tail = 3;
  CHECK(read(query) == "b\nc\nd\n");
  query.err = false;
  CHECK(read(query) == "a\nb\nd\n");
  query.tail = 0;
  CHECK(read(query).empty());
  LogQuery span;
  span.since = {1704067202000000000};
  span.until = {1704067203000000000};
  CHECK(read(span) == "b\nc\n");
}

TEST_CASE("a follower goes through rotations and ends when the container has ended") {
  const Folder folder;
  folder.append("json.log", line(1, "a"));
  LogQuery query;
  query.follow = true;
  Reading reading(folder, query);
  REQUIRE(reading.until([&] { return reading.text == "a\n"; }));
  folder.append("json.log", line(2, "b"));
  folder.rotate();
  folder.append("json.log", line(3, "c"));
  folder.rotate();
  folder.append("json.log", line(4, "d"));
  REQUIRE(reading.until([&] { return reading.text == "a\nb\nc\nd\n"; }));
  CHECK_FALSE(reading.done);
  folder.append("json.log", line(5, "e"));
  reading.ended = true;
  reading.change.notify();
  REQUIRE(reading.until([&] { return reading.done; }));
  CHECK(reading.text == "a\nb\nc\nd\ne\n");
}

}  // namespace
}  // namespace skep::agent::test
