// What VolumeDriver does for the driver that derives from it: holders, pages, sharings, absence.
// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "skep/cpp/volume.hpp"
#include "tests/unit/sdk/fake_host.hpp"

namespace skep::sdk::test {
namespace {

namespace fs = std::filesystem;

class InMemory final : public VolumeDriver {
 public:
  std::vector<std::string> names;
  std::string path = "/p";

  VolumeCapabilities capabilities() override { return {"local", {"all", "none"}}; }
  void validate(const ValidateVolume& request) override {
    only_known_options(request.options, {"known"});
  }
  CreatedVolume create(const CreateVolume& request) override {
    names.push_back(request.volume);
    return {{{"version", 1}}, 42};
  }
  void remove(const RemoveVolume& request) override {
    (void)get(request.volume);
    std::erase(names, request.volume);
  }
  std::vector<Volume> list() override {
    std::vector<Volume> volumes;
    for (const std::string& name : names) {
      Volume volume;
      volume.volume = name;
      volume.path = path;
      volumes.push_back(volume);
    }
    return volumes;
  }
  std::string publish(const PublishVolume& request) override { return get(request.volume).path; }
  void unpublish(const UnpublishVolume& request) override { (void)get(request.volume); }
};

struct Volumes : HostOf<InMemory> {
  Volumes() { REQUIRE(configure().status == SKEP_OK); }
  Outcome make(const std::string& name, const json& more = json::object()) {
    json request = {{"volume", name}};
    request.update(more);
    return volume(&skep_volume_1::create, request);
  }
  Outcome publish(const std::string& holder, const std::vector<std::string>& others = {}) {
    return volume(&skep_volume_1::publish,
                  {{"volume", "v"}, {"holder", holder}, {"holders", others}});
  }
  Outcome unpublish(const std::string& holder, const std::vector<std::string>& others = {}) {
    return volume(&skep_volume_1::unpublish,
                  {{"volume", "v"}, {"holder", holder}, {"holders", others}});
  }
  Outcome remove(const std::string& name) {
    return volume(&skep_volume_1::remove, {{"volume", name}});
  }
};

}  // namespace

TEST_CASE("a volume that is held is not removed, and the refusal names a holder") {
  Volumes host;
  REQUIRE(host.make("v").reply == json{{"handle", {{"version", 1}}}, {"capacity_bytes", 42}});
  CHECK(host.publish("task-a").reply == json{{"path", "/p"}});
  CHECK(host.publish("task-b", {"task-a"}).status == SKEP_OK);
  CHECK(host.unpublish("task-a", {"task-b"}).status == SKEP_OK);
  const auto busy = host.remove("v");
  CHECK(busy.status == SKEP_E_BUSY);
  CHECK(busy.error == "volume v is held by task-b");
  CHECK(host.unpublish("task-b").status == SKEP_OK);
  CHECK(host.remove("v").status == SKEP_OK);
}

TEST_CASE("a restored volume is held by whom the host names, and one that is gone is not found") {
  Volumes host;
  host.make("v");
  const auto restore = [&](const char* id) {
    return host.base(&skep_base_1::restore, {{"id", id}, {"handle", {}}, {"holders", {"task-z"}}});
  };
  CHECK(restore("gone").status == SKEP_E_NOTFOUND);
  CHECK(restore("v").status == SKEP_OK);
  CHECK(host.base(&skep_base_1::restore_done, {{"ids", {"v"}}}).status == SKEP_OK);
  CHECK(host.remove("v").status == SKEP_E_BUSY);
  CHECK(host.remove("gone").status == SKEP_OK);
}

TEST_CASE("a publish that fails leaves no holder behind") {
  Volumes host;
  CHECK(host.publish("task-a").status == SKEP_E_NOTFOUND);
  host.make("v");
  CHECK(host.remove("v").status == SKEP_OK);
}

TEST_CASE("taking away what isn't there has done its work") {
  Volumes host;
  CHECK(host.remove("nothing").status == SKEP_OK);
  CHECK(host.unpublish("nobody").status == SKEP_OK);
}

TEST_CASE("create and validate refuse the same options and sharings") {
  Volumes host;
  for (const auto member : {&skep_volume_1::create, &skep_volume_1::validate}) {
    const auto option = host.volume(member, {{"volume", "v"}, {"options", {{"odd", "1"}}}});
    CHECK(option.status == SKEP_E_INVALID);
    CHECK(option.error == "there is no option \"odd\"");
    CHECK(host.volume(member, {{"volume", "v"}, {"sharing", "onewriter"}}).status ==
          SKEP_E_UNIMPLEMENTED);
    CHECK(host.volume(member, {{"volume", "v"}, {"sharing", "none"}}).status == SKEP_OK);
  }
  CHECK(host.base(&skep_base_1::capabilities).reply ==
        json{{"scope", "local"}, {"sharing", {"all", "none"}}});
}

TEST_CASE(
    "a walk through the list tells a volume that stays exactly once, while others come and go") {
  Volumes host;
  for (const char* name : {"d", "b", "f", "a"}) host.make(name);
  const auto page = [&](const json& request) {
    return host.volume(&skep_volume_1::list, request).reply;
  };
  const auto names = [](const json& reply) {
    std::vector<std::string> told;
    for (const json& volume : reply.at("volumes")) told.push_back(volume.at("volume"));
    return told;
  };
  const json first = page({{"max", 2}});
  CHECK(names(first) == std::vector<std::string>{"a", "b"});
  host.remove("a");
  host.make("c");
  host.make("e");
  const json second = page({{"max", 2}, {"token", first.at("next")}});
  CHECK(names(second) == std::vector<std::string>{"c", "d"});
  const json third = page({{"max", 2}, {"token", second.at("next")}});
  CHECK(names(third) == std::vector<std::string>{"e", "f"});
  CHECK_FALSE(third.contains("next"));
  CHECK(names(page(json::object())).size() == 5);
  CHECK(host.volume(&skep_volume_1::list, {{"max", 0}}).status == SKEP_E_INVALID);
}

TEST_CASE("usage counts the files of a folder, each once") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("skep-usage-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "below");
  Volumes host;
  host.driver().path = folder;
  host.make("v");
  const auto used = [&] {
    return host.volume(&skep_volume_1::usage, {{"volume", "v"}})
        .reply.at("used_bytes")
        .get<int64_t>();
  };
  const int64_t empty = used();
  std::ofstream(folder / "below/file") << std::string(1 << 20, 'x') << std::flush;
  const int64_t full = used();
  CHECK(full >= empty + (1 << 20));
  std::filesystem::create_hard_link(folder / "below/file", folder / "again");
  CHECK(used() == full);
  std::filesystem::remove_all(folder);
}

TEST_CASE("a count ends when nobody waits for it, and when its time is over") {
  std::string root = fs::temp_directory_path() / "skep-usage-XXXXXX";
  REQUIRE(mkdtemp(root.data()) != nullptr);
  for (int file = 0; file < 100; ++file) std::ofstream(root + "/" + std::to_string(file)) << "x";
  Volumes host;
  host.driver().path = root;
  host.make("v");
  const auto counted = [&] { return host.volume(&skep_volume_1::usage, {{"volume", "v"}}); };
  host.looks_until_unwanted = 50;
  const Outcome cancelled = counted();
  CHECK(cancelled.status == SKEP_E_CANCELLED);
  CHECK(cancelled.error == "nobody waits for it any more");
  host.looks_until_unwanted = -1;
  CHECK(counted().status == SKEP_OK);
  host.deadline = 1;  // a millisecond after the machine's start
  CHECK(counted().status == SKEP_E_DEADLINE);
  host.deadline = std::numeric_limits<int64_t>::max();
  CHECK(counted().status == SKEP_OK);
  CHECK(folder_usage(root).used_bytes > 0);  // outside of any operation
  fs::remove_all(root);
}

TEST_CASE("usage counts to the last folder with few descriptors, and what can't be read is told") {
  std::string root = fs::temp_directory_path() / "skep-usage-XXXXXX";
  REQUIRE(mkdtemp(root.data()) != nullptr);
  std::string folder = root;
  int64_t wanted = 0;
  for (int depth = 0; depth < 50; ++depth) {
    std::ofstream(folder + "/file") << std::string(8192, 'x');
    folder += "/d";
    fs::create_directory(folder);
  }
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat status = {};
    REQUIRE(lstat(entry.path().c_str(), &status) == 0);
    wanted += int64_t{status.st_blocks} * 512;
  }
  struct stat top = {};
  REQUIRE(lstat(root.c_str(), &top) == 0);
  wanted += int64_t{top.st_blocks} * 512;
  rlimit usual = {};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &usual) == 0);
  const auto open_now =
      static_cast<rlim_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
  const rlimit few = {open_now + 10, usual.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  const int64_t counted = folder_usage(root).used_bytes;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
  CHECK(counted == wanted);
  bool thrown = false;
  const rlimit none = {3, usual.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  try {
    (void)folder_usage(root);
  } catch (const std::system_error& error) {
    thrown = error.code().value() == EMFILE;
  }
  REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
  CHECK(thrown);
  fs::remove_all(root);
}

TEST_CASE("a name that could leave the driver's folder is refused") {
  for (const char* name : {"", ".", "..", ".hidden", "a/b", "../a", "a b", "-a"}) {
    CHECK_THROWS_AS(only_file_name(name, "volume"), Failure);
  }
  CHECK_THROWS_AS(only_file_name(std::string("a\0b", 3), "volume"), Failure);
  CHECK_NOTHROW(only_file_name("Data_1.old-2", "volume"));
}

}  // namespace skep::sdk::test
