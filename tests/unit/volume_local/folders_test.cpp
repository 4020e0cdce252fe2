// Volumes on disk: whole or not there, whatever happens while they are made.
// SPDX-License-Identifier: Apache-2.0
#include "folders.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace skep::volume_local {
namespace {

namespace fs = std::filesystem;

struct Root {
  Root() {
    std::string pattern = fs::temp_directory_path() / "skep-volumes-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = fs::canonical(pattern);
  }
  ~Root() { fs::remove_all(path); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  std::string path;
};

void plain(const std::string&, Record&) {}

size_t entries(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("a volume is there with its record and its data, whatever the umask") {
  const Root root;
  const Folders folders(root.path);
  const mode_t mask = umask(077);
  folders.make("v", {{{"type", "tmpfs"}}, 4096}, [](const std::string& data, Record& record) {
    CHECK(fs::is_directory(data));
    record.project = 7;
  });
  umask(mask);
  const std::optional<Record> record = folders.read("v");
  REQUIRE(record);
  CHECK(record->options == sdk::TextMap{{"type", "tmpfs"}});
  CHECK(record->capacity_bytes == 4096);
  CHECK(record->project == 7);
  CHECK(fs::status(folders.data("v")).permissions() == fs::perms(0755));
  CHECK(fs::status(folders.folder("v")).permissions() == fs::perms(0701));
  CHECK(folders.names() == std::vector<std::string>{"v"});
  CHECK_FALSE(folders.read("w"));
}

TEST_CASE("a volume whose making fails leaves nothing, not even a name") {
  const Root root;
  const Folders folders(root.path);
  CHECK_THROWS_AS(folders.make("v", {},
                               [](const std::string&, Record&) {
                                 throw sdk::Failure(SKEP_E_EXHAUSTED, "full");
                               }),
                  sdk::Failure);
  CHECK(entries(root.path) == 0);
  folders.make("v", {}, plain);
  std::ofstream(folders.data("v") + "/file") << "kept";
  CHECK_THROWS_AS(folders.make("v", {}, plain), std::system_error);
  CHECK(fs::exists(folders.data("v") + "/file"));
  CHECK(entries(root.path) == 1);
}

TEST_CASE(
    "what a crash left half made is no volume, is in nobody's way, and is found to be swept") {
  const Root root;
  const Folders folders(root.path);
  fs::create_directories(root.path + "/.new-v/_data");
  fs::create_directories(root.path + "/.old-w/_data/deep");
  CHECK(folders.names().empty());
  const std::vector<std::string> unfinished = folders.unfinished();
  CHECK(unfinished.size() == 2);
  // Somebody may delete these while the same names are used again.
  folders.make("v", {}, plain);
  folders.make("w", {}, plain);
  const std::optional<std::string> old = folders.take_away("w");
  REQUIRE(old);
  for (const std::string& path : unfinished) {
    CHECK(path != *old);
    CHECK(fs::path(path).filename().string().starts_with(".old-"));
    CHECK(fs::exists(path + "/_data"));
  }
  CHECK(folders.names() == std::vector<std::string>{"v"});
  CHECK(folders.unfinished().size() == 3);
}

TEST_CASE("a volume is taken away by one step, as often as one of its name comes again") {
  const Root root;
  const Folders folders(root.path);
  CHECK_FALSE(folders.take_away("v"));
  for (size_t times = 1; times < 4; ++times) {
    folders.make("v", {}, plain);
    std::ofstream(folders.data("v") + "/file") << "gone";
    const std::optional<std::string> old = folders.take_away("v");
    REQUIRE(old);
    CHECK(fs::exists(*old + "/_data/file"));
    CHECK_FALSE(folders.has("v"));
    CHECK(entries(root.path) == times);
  }
}

TEST_CASE("a record that can't be read is an error that names the file, not an empty record") {
  const Root root;
  const Folders folders(root.path);
  folders.make("v", {}, plain);
  for (const char* text : {"", "{", "[]", R"({"options":{}})", R"({"version":2,"options":{}})"}) {
    std::ofstream(folders.folder("v") + "/volume.json") << text;
    CHECK_THROWS_WITH(folders.read("v"), Catch::Contains("volume.json"));
  }
}

}  // namespace skep::volume_local
