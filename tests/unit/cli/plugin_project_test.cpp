// A new plugin's folder: whole, named right, or not there at all.
// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/project.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

using skep::ErrorKind;
using skep::Status;
using skep::cli::make_plugin_project;
using skep::cli::NewPlugin;
using skep::cli::PluginTemplateFile;

namespace {

namespace fs = std::filesystem;

constexpr PluginTemplateFile kFiles[] = {
    {"network-c", "README.md", "a network\n"},
    {"volume-c", "README.md", "# @name@\n"},
    {"volume-c", "src/@name@.c", "const char* a = \"@name@\", *b = \"@name@@name@ @nam\";\n"},
    {"volume-cpp", "README.md", "in C++\n"}};

class Folder : public skep::testing::TemporaryFolder {
 public:
  Status make(NewPlugin wanted) const { return make_plugin_project(wanted, path(), kFiles); }
  std::string text(const std::string& inside) const {
    std::ifstream written(file(inside));
    return {std::istreambuf_iterator<char>(written), {}};
  }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path()), {}));
  }
};

}  // namespace

TEST_CASE("a new plugin gets the files of its kind and language, with its name filled in") {
  const Folder folder;
  const Status made = folder.make({.kind = "volume", .language = "c", .name = "my-disk"});
  if (!made) FAIL(made.error().message);
  CHECK(folder.text("my-disk/README.md") == "# my-disk\n");
  CHECK(folder.text("my-disk/src/my-disk.c") ==
        "const char* a = \"my-disk\", *b = \"my-diskmy-disk @nam\";\n");
  CHECK(folder.entries() == 1);
  CHECK(std::distance(fs::recursive_directory_iterator(folder.path() + "/my-disk"), {}) == 3);
  struct stat status {};
  REQUIRE(stat((folder.path() + "/my-disk").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0755);
}

TEST_CASE("a name that can't be a plugin's makes nothing") {
  const Folder folder;
  for (const std::string& name :
       {std::string(), std::string("Disk"), std::string("1disk"), std::string("-disk"),
        std::string("a/b"), std::string(".."), std::string("my_disk"), std::string(65, 'a')}) {
    const Status made = folder.make({.kind = "volume", .language = "c", .name = name});
    REQUIRE(!made);
    CHECK(made.error().kind == ErrorKind::invalid);
    CHECK(made.error().message.find("\"" + name + "\" can't be the name") == 0);
  }
  CHECK(folder.entries() == 0);
}

TEST_CASE("a kind or language without a template is answered with those there are") {
  const Folder folder;
  const Status kind = folder.make({.kind = "volum", .language = "c", .name = "a"});
  REQUIRE(!kind);
  CHECK(kind.error().message ==
        "there is no template for kind \"volum\" in C; there are: network, volume");
  const Status language = folder.make({.kind = "volume", .language = "rust", .name = "a"});
  REQUIRE(!language);
  CHECK(language.error().message.find("--lang knows c and cpp") != std::string::npos);
  CHECK(!folder.make({.kind = "network", .language = "cpp", .name = "a"}));
  CHECK(folder.entries() == 0);
}

TEST_CASE("what already has the name stays as it is") {
  const Folder folder;
  fs::create_directory(folder.path() + "/taken");
  REQUIRE_FALSE(symlink("nowhere", (folder.path() + "/link").c_str()));
  for (const char* name : {"taken", "link"}) {
    const Status made = folder.make({.kind = "volume", .language = "c", .name = name});
    REQUIRE(!made);
    CHECK(made.error().kind == ErrorKind::conflict);
    CHECK(made.error().message ==
          std::string(name) + " already exists; take another name or another folder");
  }
  CHECK(fs::is_empty(folder.path() + "/taken"));
  CHECK(folder.entries() == 2);
}

TEST_CASE("a file that can't be written leaves no folder") {
  const Folder folder;
  // One path is a file in one row and a folder in the next.
  constexpr PluginTemplateFile clash[] = {{"volume-c", "a", ""}, {"volume-c", "a/b", ""}};
  CHECK(!make_plugin_project({.kind = "volume", .language = "c", .name = "disk"}, folder.path(),
                             clash));
  CHECK(folder.entries() == 0);
  CHECK(!make_plugin_project({.kind = "volume", .language = "c", .name = "disk"},
                             folder.path() + "/nowhere", kFiles));
}
