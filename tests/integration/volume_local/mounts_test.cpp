// volume-local and the kernel's mounts: made once, undone, found again, and never reached through.
//
// The test enters a mount namespace of its own, so that nothing it mounts is seen outside and all
// of it goes with the process. Without root everything is skipped, and says so. A second host of
// the same folders is what a restarted driver is: nothing of the first is known to it.
// SPDX-License-Identifier: Apache-2.0
#define CATCH_CONFIG_RUNNER
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "skep/cpp/members.hpp"
#include "tests/unit/sdk/fake_host.hpp"

namespace skep::sdk::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

const skep_plugin& plugin() {
  static void* const library = dlopen(SKEP_TEST_VOLUME_LOCAL, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  const auto query =
      reinterpret_cast<const skep_plugin* (*)()>(dlsym(library, "skep_plugin_query"));
  return *query();
}

// A folder of the test's own on a tmpfs of its own; with the process's namespace it goes.
struct Ground {
  Ground() {
    std::string pattern = fs::temp_directory_path() / "skep-mounts-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = fs::canonical(pattern);
    REQUIRE(mount("tmpfs", path.c_str(), "tmpfs", 0, nullptr) == 0);
    fs::create_directories(data());
    fs::create_directories(device());
    std::ofstream(device() + "/precious") << "data";
  }
  ~Ground() {
    umount2(path.c_str(), MNT_DETACH);
    fs::remove_all(path);
  }
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  std::string data() const { return path + "/data"; }
  std::string device() const { return path + "/device"; }
  std::string path;
};

struct Volumes : FakeHost {
  explicit Volumes(const Ground& ground) : FakeHost(plugin().create), folder(ground.data()) {
    REQUIRE(configure(json::object(), ground.data()).status == SKEP_OK);
  }
  Outcome create(const TextMap& options) {
    return volume(&skep_volume_1::create, {{"volume", "v"}, {"options", options}});
  }
  Outcome publish(const std::string& holder, const Names& others = {}) {
    return volume(&skep_volume_1::publish,
                  {{"volume", "v"}, {"holder", holder}, {"holders", others}});
  }
  Outcome unpublish(const std::string& holder, const Names& others = {}) {
    return volume(&skep_volume_1::unpublish,
                  {{"volume", "v"}, {"holder", holder}, {"holders", others}});
  }
  Outcome remove() { return volume(&skep_volume_1::remove, {{"volume", "v"}}); }
  Outcome restore(const Names& holders) {
    const Outcome outcome =
        base(&skep_base_1::restore, {{"id", "v"}, {"handle", {}}, {"holders", holders}});
    REQUIRE(base(&skep_base_1::restore_done, {{"ids", {"v"}}}).status == SKEP_OK);
    return outcome;
  }
  std::string path() const { return folder + "/volumes/v/_data"; }
  Names told() {
    Names paths;
    const Outcome outcome = volume(&skep_volume_1::mounts);
    for (const json& one : outcome.reply.at("mounts")) paths.push_back(one.at("path"));
    return paths;
  }

  std::string folder;
};

// How often something is mounted at `path`.
long mounted(const std::string& path) {
  std::ifstream table("/proc/self/mountinfo");
  long count = 0;
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string word;
    for (int i = 0; i < 5; ++i) fields >> word;
    count += word == path ? 1 : 0;
  }
  return count;
}

const TextMap tmpfs = {{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", "size=64k"}};

TextMap bind(const Ground& ground, const std::string& flags = "bind") {
  return {{"type", "none"}, {"device", ground.device()}, {"o", flags}};
}

}  // namespace

TEST_CASE("a tmpfs is mounted for the first holder, once, and unmounted after the last") {
  const Ground ground;
  Volumes host(ground);
  REQUIRE(host.create(tmpfs).status == SKEP_OK);
  CHECK(mounted(host.path()) == 0);
  CHECK(host.publish("a").reply.at("path") == host.path());
  CHECK(host.publish("b", {"a"}).status == SKEP_OK);
  CHECK(host.publish("b", {"a"}).status == SKEP_OK);
  CHECK(mounted(host.path()) == 1);
  CHECK(host.told() == Names{host.path()});
  // Its size is the option's.
  std::ofstream file(host.path() + "/file");
  file << std::string(1 << 20, 'x') << std::flush;
  CHECK_FALSE(file);
  file.close();
  CHECK(host.unpublish("a", {"b"}).status == SKEP_OK);
  CHECK(mounted(host.path()) == 1);
  CHECK(host.unpublish("b").status == SKEP_OK);
  CHECK(mounted(host.path()) == 0);
  CHECK(host.told().empty());
  CHECK(host.volume(&skep_volume_1::usage, {{"volume", "v"}}).reply.at("used_bytes") == 0);
  CHECK(host.remove().status == SKEP_OK);
}

TEST_CASE("a bound folder outlives its volume, even one that was still mounted") {
  const Ground ground;
  std::optional<Volumes> host(ground);
  REQUIRE(host->create(bind(ground, "bind,ro")).status == SKEP_OK);
  CHECK(host->volume(&skep_volume_1::usage, {{"volume", "v"}}).status == SKEP_E_UNAVAILABLE);
  REQUIRE(host->publish("a").status == SKEP_OK);
  CHECK(fs::exists(host->path() + "/precious"));
  CHECK(open((host->path() + "/new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600) == -1);
  CHECK(errno == EROFS);
  CHECK(host->remove().status == SKEP_E_BUSY);
  // A driver that starts anew and is told of no holder.
  host.emplace(ground);
  CHECK(mounted(host->path()) == 1);
  CHECK(host->remove().status == SKEP_OK);
  CHECK(mounted(host->path()) == 0);
  CHECK(fs::exists(ground.device() + "/precious"));
  CHECK_FALSE(fs::exists(ground.data() + "/volumes/v"));
}

TEST_CASE("a mount that nobody holds and somebody uses does not keep a restart from the rest") {
  const Ground ground;
  std::optional<Volumes> host(ground);
  REQUIRE(host->create(tmpfs).status == SKEP_OK);
  REQUIRE(host->publish("a").status == SKEP_OK);
  const std::string left = ground.data() + "/volumes/.new-w";
  fs::create_directory(left);
  const int used = open((host->path() + "/file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(used >= 0);
  host.emplace(ground);
  CHECK(host->base(&skep_base_1::restore_done, {{"ids", json::array()}}).status == SKEP_OK);
  CHECK(mounted(host->path()) == 1);
  CHECK_FALSE(fs::exists(left));
  REQUIRE_FALSE(host->lines.empty());
  CHECK(host->lines.at(1).find("volume v stays mounted: ") != std::string::npos);
  close(used);
  CHECK(host->base(&skep_base_1::restore_done, {{"ids", json::array()}}).status == SKEP_OK);
  CHECK(mounted(host->path()) == 0);
}

TEST_CASE("what is being deleted is never reached through a mount, and keeps no start waiting") {
  const Ground ground;
  std::optional<Volumes> host(ground);
  REQUIRE(host->create({}).status == SKEP_OK);
  const std::string old = ground.data() + "/volumes/.old-1-w";
  fs::create_directories(old + "/_data/deep");
  REQUIRE(mount(ground.device().c_str(), (old + "/_data").c_str(), nullptr, MS_BIND, nullptr) == 0);
  const int used = open((old + "/_data").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  host.emplace(ground);
  REQUIRE(host->restore({}).status == SKEP_OK);
  // In use, so it stays; and nobody waits for it.
  CHECK(host->remove().status == SKEP_OK);
  const auto gone = [](const std::string& path) {
    for (int i = 0; i < 6000 && fs::exists(path); ++i) usleep(10'000);
    return !fs::exists(path);
  };
  CHECK(gone(ground.data() + "/volumes/.old-1-v"));
  CHECK(mounted(old + "/_data") == 1);
  close(used);
  host.emplace(ground);
  REQUIRE(host->restore({}).status == SKEP_E_NOTFOUND);
  CHECK(gone(old));
  CHECK(fs::exists(ground.device() + "/precious"));
}

TEST_CASE("a bind that a killed driver left without its flags gets them with the next publish") {
  const Ground ground;
  Volumes host(ground);
  REQUIRE(host.create(bind(ground, "bind,ro")).status == SKEP_OK);
  REQUIRE(mount(ground.device().c_str(), host.path().c_str(), nullptr, MS_BIND, nullptr) == 0);
  REQUIRE(host.publish("a").status == SKEP_OK);
  CHECK(mounted(host.path()) == 1);
  CHECK(open((host.path() + "/new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600) == -1);
  CHECK(errno == EROFS);
  CHECK(host.publish("b", {"a"}).status == SKEP_OK);
  CHECK(host.unpublish("b", {"a"}).status == SKEP_OK);
  CHECK(host.unpublish("a").status == SKEP_OK);
  CHECK(mounted(host.path()) == 0);
}

TEST_CASE("after a restart a mount is found, kept while it is held, and not made twice") {
  const Ground ground;
  std::optional<Volumes> host(ground);
  REQUIRE(host->create(tmpfs).status == SKEP_OK);
  REQUIRE(host->publish("a").status == SKEP_OK);
  std::ofstream(host->path() + "/file") << "kept";

  host.emplace(ground);
  CHECK(host->restore({"a"}).status == SKEP_OK);
  CHECK(host->publish("a").status == SKEP_OK);
  CHECK(host->publish("b", {"a"}).status == SKEP_OK);
  CHECK(mounted(host->path()) == 1);
  CHECK(fs::exists(host->path() + "/file"));
  CHECK(host->remove().status == SKEP_E_BUSY);

  host.emplace(ground);
  CHECK(host->restore({}).status == SKEP_OK);
  CHECK(mounted(host->path()) == 0);
}

TEST_CASE("while something has a file open there, the last unpublish is busy and can be repeated") {
  const Ground ground;
  Volumes host(ground);
  REQUIRE(host.create(tmpfs).status == SKEP_OK);
  REQUIRE(host.publish("a").status == SKEP_OK);
  const int file = open((host.path() + "/f").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  CHECK(host.unpublish("a").status == SKEP_E_BUSY);
  CHECK(host.remove().status == SKEP_E_BUSY);
  close(file);
  CHECK(host.unpublish("a").status == SKEP_OK);
  CHECK(host.remove().status == SKEP_OK);
}

TEST_CASE("what can't be mounted is told by its reason, and leaves nothing mounted") {
  const Ground ground;
  Volumes host(ground);
  const auto refusal = [&](const TextMap& options) {
    REQUIRE(host.create(options).status == SKEP_OK);
    const Outcome outcome = host.publish("a");
    CHECK(mounted(host.path()) == 0);
    CHECK(host.remove().status == SKEP_OK);
    return outcome;
  };
  CHECK(refusal({{"type", "nosuchfs"}, {"device", "x"}}).error ==
        "mounting x as nosuchfs: the kernel has no file system of this type");
  CHECK(refusal({{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", "nosuchoption"}}).status ==
        SKEP_E_INVALID);
  const Outcome gone = refusal({{"type", "none"}, {"device", "/no/such/folder"}, {"o", "bind"}});
  CHECK(gone.status == SKEP_E_PRECONDITION);
  CHECK(gone.error == "mounting /no/such/folder as none: No such file or directory");
}

TEST_CASE("what is mounted below a bound folder stays mounted there when the volume is unmounted") {
  const Ground ground;
  const std::string below = ground.device() + "/below";
  fs::create_directories(below);
  REQUIRE(mount(nullptr, ground.path.c_str(), nullptr, MS_SHARED | MS_REC, nullptr) == 0);
  REQUIRE(mount("tmpfs", below.c_str(), "tmpfs", 0, nullptr) == 0);
  Volumes host(ground);
  REQUIRE(host.create(bind(ground, "rbind")).status == SKEP_OK);
  REQUIRE(host.publish("a").status == SKEP_OK);
  CHECK(mounted(host.path() + "/below") == 1);
  CHECK(host.unpublish("a").status == SKEP_OK);
  CHECK(mounted(host.path()) == 0);
  CHECK(mounted(below) == 1);
}

TEST_CASE("a limit that the file system would not keep is refused, not dropped") {
  const Ground ground;  // a tmpfs: it has no project quotas
  Volumes host(ground);
  const Outcome size = host.create({{"size", "1m"}});
  CHECK(size.status == SKEP_E_INVALID);
  CHECK_THAT(size.error, Catch::StartsWith("\"options.size\": the file system of ") &&
                             Catch::Contains("no project quota"));
  const json capacity = {{"volume", "v"}, {"capacity_bytes", 1 << 20}};
  for (const auto member : {&skep_volume_1::create, &skep_volume_1::validate}) {
    CHECK(host.volume(member, capacity).status == SKEP_E_INVALID);
  }
  CHECK_FALSE(fs::exists(ground.data() + "/volumes/v"));
}

TEST_CASE(
    "a folder with a limit is full when the limit is reached, where the kernel has project "
    "quotas") {
  const Ground ground;
  const std::string image = ground.path + "/image";
  const std::string made = "truncate -s 32M " + image + " && mkfs.ext4 -q -O project,quota " +
                           "-E quotatype=prjquota " + image + " && mount -o loop,prjquota " +
                           image + " " + ground.data() + " 2>/dev/null";
  if (std::system(made.c_str()) != 0) {
    std::cout << "SKIP: no ext4 with project quotas can be mounted here\n";
    return;
  }
  Volumes host(ground);
  const auto created = host.create({{"size", "1m"}});
  CHECK(created.error.empty());
  CHECK(created.reply.at("capacity_bytes") == 1 << 20);
  std::ofstream file(host.path() + "/file");
  file << std::string(2 << 20, 'x') << std::flush;
  CHECK_FALSE(file);
  file.close();
  CHECK(host.remove().status == SKEP_OK);
  CHECK(host.create({{"size", "2m"}}).status == SKEP_OK);
  CHECK(umount2(ground.data().c_str(), MNT_DETACH) == 0);
}

}  // namespace skep::sdk::test

int main(int count, char** arguments) {
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::cout << "SKIP: mounting needs root\n";
    return 77;
  }
  return Catch::Session().run(count, arguments);
}
