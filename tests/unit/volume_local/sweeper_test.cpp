// Trees that are deleted in the background: all of them, nothing else, and no longer than wanted.
// SPDX-License-Identifier: Apache-2.0
#include "sweeper.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "tests/unit/temporary_folder.hpp"

namespace skep::volume_local {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::TemporaryFolder;

// Until `done`, a minute at most; then it is said whether it was.
template <class Done>
bool within_a_minute(Done done) {
  const auto until = std::chrono::steady_clock::now() + 1min;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

struct Log {
  std::mutex mutex;
  std::vector<std::string> lines;  // guarded by mutex
  Sweeper::Log heard() {
    return [this](int32_t, const std::string& line) {
      const std::scoped_lock lock(mutex);
      lines.push_back(line);
    };
  }
  bool empty() {
    const std::scoped_lock lock(mutex);
    return lines.empty();
  }
};

// A file that has the attribute "immutable", where the file system has such.
class Immutable {
 public:
  explicit Immutable(std::string path) : path_(std::move(path)) {
    std::ofstream(path_) << "x";
    works_ = std::system(("chattr +i " + path_ + " 2>/dev/null").c_str()) == 0;
  }
  ~Immutable() {
    if (works_) static_cast<void>(std::system(("chattr -i " + path_).c_str()));
  }
  Immutable(const Immutable&) = delete;
  Immutable& operator=(const Immutable&) = delete;
  bool works() const { return works_; }

 private:
  std::string path_;
  bool works_ = false;
};

}  // namespace

TEST_CASE("two that delete one tree are in nobody's way: an old driver beside a new one") {
  const TemporaryFolder folder;
  Log log;
  for (int round = 0; round < 20; ++round) {
    const std::string tree = folder.file("tree" + std::to_string(round));
    for (int count = 0; count < 40; ++count) {
      fs::create_directories(tree + "/" + std::to_string(count) + "/below/deeper");
    }
    Sweeper one(log.heard());
    Sweeper other(log.heard());
    one.sweep(tree);
    other.sweep(tree);
    REQUIRE(within_a_minute([&] { return !fs::exists(tree); }));
  }
  CHECK(log.empty());
}

TEST_CASE("a tree is deleted with all that is in it, and nothing that a link names") {
  const TemporaryFolder folder;
  fs::create_directories(folder.file("kept"));
  std::ofstream(folder.file("kept/file")) << "kept";
  for (const char* name :
       {"tree/_data/a/b/c", "tree/_data/empty", "tree/.sweep-1/x", "tree/.hid"}) {
    fs::create_directories(folder.file(name));
  }
  std::ofstream(folder.file("tree/_data/a/b/c/file")) << "gone";
  std::ofstream(folder.file("tree/volume.json")) << "gone";
  fs::create_directory_symlink(folder.file("kept"), folder.file("tree/_data/a/link"));
  fs::create_directory_symlink(folder.file("kept"), folder.file("tree/link"));
  REQUIRE(mkfifo(folder.file("tree/_data/pipe").c_str(), 0600) == 0);
  fs::permissions(folder.file("tree/_data/a"), fs::perms::none);
  Log log;
  Sweeper sweeper(log.heard());
  sweeper.sweep(folder.file("tree"));
  CHECK(within_a_minute([&] { return !fs::exists(folder.file("tree")); }));
  CHECK(fs::exists(folder.file("kept/file")));
  CHECK(log.empty());
}

TEST_CASE("a tree may be deeper than there are descriptors, and than a path is long") {
  const TemporaryFolder folder;
  fs::create_directory(folder.file("tree"));
  int in = open(folder.file("tree").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::string name(200, 'd');
  for (int depth = 0; depth < 200; ++depth) {
    REQUIRE(mkdirat(in, name.c_str(), 0700) == 0);
    const int below = openat(in, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(in);
    in = below;
  }
  close(in);
  rlimit usual = {};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &usual) == 0);
  const auto open_now =
      static_cast<rlim_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
  const rlimit few = {open_now + 10, usual.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  Log log;
  Sweeper sweeper(log.heard());
  sweeper.sweep(folder.file("tree"));
  const bool gone = within_a_minute([&] { return access(folder.file("tree").c_str(), F_OK) != 0; });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
  CHECK(gone);
  CHECK(log.empty());
}

TEST_CASE("the end waits for no tree, and the next one takes up what is left") {
  const TemporaryFolder folder;
  constexpr int files = 1'000;
  const auto left = [&] {
    std::error_code gone;
    return std::distance(fs::directory_iterator(folder.file("tree"), gone), {});
  };
  bool cut_off = false;  // a machine that is busy elsewhere may see the whole tree go once or twice
  for (int attempt = 0; attempt < 20 && !cut_off; ++attempt) {
    fs::create_directory(folder.file("tree"));
    for (int file = 0; file < files; ++file) {
      const std::string name = folder.file("tree/" + std::to_string(file));
      REQUIRE((mknod(name.c_str(), S_IFREG | 0600, 0) == 0 || errno == EEXIST));
    }
    Log log;
    {
      Sweeper sweeper(log.heard());
      sweeper.sweep(folder.file("tree"));
      REQUIRE(within_a_minute([&] { return left() < files; }));
    }
    cut_off = left() > 0;
  }
  CHECK(cut_off);
  Log log;
  Sweeper sweeper(log.heard());
  sweeper.sweep(folder.file("tree"));
  CHECK(within_a_minute([&] { return !fs::exists(folder.file("tree")); }));
  CHECK(log.empty());
}

TEST_CASE("what can't be deleted is told, and keeps nothing else") {
  const TemporaryFolder folder;
  for (const char* tree : {"stays", "goes"}) fs::create_directories(folder.file(tree));
  const Immutable file(folder.file("stays/file"));
  if (!file.works()) {
    WARN("skipped: no file here can be made immutable");
    return;
  }
  Log log;
  Sweeper sweeper(log.heard());
  sweeper.sweep(folder.file("stays"));
  sweeper.sweep(folder.file("goes"));
  CHECK(within_a_minute([&] { return !fs::exists(folder.file("goes")); }));
  REQUIRE_FALSE(log.empty());
  CHECK_THAT(log.lines[0], Catch::Contains("stays can't be deleted") &&
                               Catch::Contains("Operation not permitted"));
}

}  // namespace skep::volume_local
