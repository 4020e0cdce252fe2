// Looking at paths: what is said of each, how many processes it takes, and that none is waited for.
// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>
#include <sys/wait.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/agent/path_looks.hpp"
#include "tests/unit/agent/silent_folder.hpp"

namespace skep::agent::test {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::milliseconds kShort{500};
constexpr int kAll = PathLooks::kLooksMax;

// The processes of this one that look at something, ended ones among them.
std::set<std::string> looking_processes() {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    FILE* file = fopen((entry.path() / "stat").c_str(), "r");
    if (file == nullptr) continue;
    int pid = 0;
    int parent = 0;
    char name[32] = {};
    const int read = fscanf(file, "%d (%31[^)]) %*c %d", &pid, name, &parent);
    fclose(file);
    if (read == 3 && parent == getpid() && std::string(name) == "skepd-look") {
      found.insert(std::to_string(pid));
    }
  }
  return found;
}

class Looking {
 public:
  explicit Looking(std::chrono::milliseconds limit = std::chrono::seconds(8))
      : paths(std::make_unique<PathLooks>(loop.get_executor(), limit)) {
    std::string pattern = (fs::temp_directory_path() / "skep-looks-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    // Those that an earlier test left to themselves end in their own time.
    REQUIRE(until([] { return looking_processes().empty(); }));
  }
  ~Looking() { fs::remove_all(folder); }
  Looking(const Looking&) = delete;
  Looking& operator=(const Looking&) = delete;

  // The answers come in the order in which they are known.
  void ask(const std::string& path) {
    boost::asio::co_spawn(loop, paths->exists(path),
                          [this](const std::exception_ptr&, Result<bool> answer) {
                            answers.push_back(std::move(answer));
                          });
  }
  bool until(const std::function<bool()>& fact) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!fact()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      loop.restart();
      loop.run_one_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  Result<bool> exists(const std::string& path) {
    const size_t before = answers.size();
    ask(path);
    REQUIRE(until([&] { return answers.size() > before; }));
    return answers.back();
  }

  boost::asio::io_context loop{1};
  std::unique_ptr<PathLooks> paths;
  std::vector<Result<bool>> answers;
  std::string folder;
};

TEST_CASE("what is there and what is not are told apart, and no process is left") {
  Looking world;
  fs::create_symlink(world.folder, world.folder + "/link");
  fs::create_symlink("nowhere", world.folder + "/broken");
  CHECK(world.exists(world.folder + "/link").value());
  CHECK_FALSE(world.exists(world.folder + "/broken").value());
  CHECK_FALSE(world.exists(world.folder + "/none/below").value());
  CHECK_FALSE(world.exists("/dev/null/below").value());
  CHECK(looking_processes().empty());
}

TEST_CASE("a path that can't be one is invalid, a server that is broken is a matter of time") {
  Looking world;
  fs::create_symlink("round", world.folder + "/round");
  const Result<bool> round = world.exists(world.folder + "/round");
  CHECK(round.error() == Error{ErrorKind::invalid, "Too many levels of symbolic links"});
  CHECK(world.exists("/" + std::string(300, 'a')).error().kind == ErrorKind::invalid);
  if (!SilentFolder::can_be()) return;
  fs::create_directory(world.folder + "/silent");
  SilentFolder silent(world.folder + "/silent");
  silent.die();
  const Result<bool> broken = world.exists(world.folder + "/silent/x");
  CHECK(broken.error() == Error{ErrorKind::unavailable, "Transport endpoint is not connected"});
}

TEST_CASE("a path that hangs is looked at by one process, however often somebody asks") {
  if (!SilentFolder::can_be()) return;
  Looking world(kShort);
  fs::create_directory(world.folder + "/silent");
  SilentFolder silent(world.folder + "/silent");
  world.ask(world.folder + "/silent/x");
  REQUIRE(world.until([&] { return silent.take() > 0 && !world.answers.empty(); }));
  const std::set<std::string> first = looking_processes();
  CHECK(first.size() == 1);  // killed, and there for all that
  for (int count = 0; count < 3; ++count) {
    CHECK(world.exists(world.folder + "/silent/x").error() ==
          Error{ErrorKind::unavailable, "its file system does not answer"});
  }
  CHECK(looking_processes() == first);
  CHECK(world.exists(world.folder).value());
  silent.end();
  fs::create_directory(world.folder + "/silent/x");
  CHECK(world.until([] { return looking_processes().empty(); }));
  CHECK(world.exists(world.folder + "/silent/x").value());
}

TEST_CASE("paths that hang use up the looks there are, and others are told so until one ends") {
  if (!SilentFolder::can_be()) return;
  Looking world(kShort);
  fs::create_directory(world.folder + "/silent");
  SilentFolder silent(world.folder + "/silent");
  // Each is taken before it is killed: from then on it can't be.
  for (int index = 0; index < kAll; ++index) {
    world.ask(world.folder + "/silent/" + std::to_string(index));
  }
  REQUIRE(world.until([&] { return silent.take() == kAll; }));
  REQUIRE(world.until([&] { return world.answers.size() == PathLooks::kLooksMax; }));
  CHECK(looking_processes().size() == PathLooks::kLooksMax);
  CHECK(
      world.exists(world.folder).error() ==
      Error{ErrorKind::unavailable, "it can't be looked at, because 16 other paths do not answer"});
  silent.end();
  CHECK(world.until([&] { return world.exists(world.folder).has_value(); }));
  CHECK(world.until([] { return looking_processes().empty(); }));
}

TEST_CASE("the end of the owner waits for no look, and no process stays afterwards") {
  if (!SilentFolder::can_be()) return;
  Looking world;
  fs::create_directory(world.folder + "/silent");
  SilentFolder silent(world.folder + "/silent");
  world.ask(world.folder + "/silent/x");
  REQUIRE(world.until([&] { return silent.take() > 0; }));
  CHECK(looking_processes().size() == 1);
  world.paths.reset();
  CHECK(world.answers.empty());
  silent.end();
  CHECK(world.until([] { return looking_processes().empty(); }));
}

TEST_CASE("a look that can't be started is told, and the next one works") {
  Looking world;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const Result<bool> answer = world.exists(world.folder);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(answer.error() ==
        Error{ErrorKind::unavailable, "can't start to look at it: Too many open files"});
  CHECK(world.exists(world.folder).value());
  CHECK(looking_processes().empty());
}

}  // namespace
}  // namespace skep::agent::test
