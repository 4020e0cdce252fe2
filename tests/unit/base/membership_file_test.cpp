// The file by which a node finds its cluster again: an operator may have edited it.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/membership_file.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

namespace skep {
namespace {

struct Folder {
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "skep-member-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST_CASE("what was saved is loaded again, and no file is no membership") {
  const Folder folder;
  const std::filesystem::path file = folder.path / "membership.json";
  const auto none = load_membership(file);
  REQUIRE(none);
  CHECK_FALSE(none->has_value());
  MembershipFile saved;
  saved.listen_address = "0.0.0.0:2377";
  saved.managers.push_back({model::NodeId{}, "10.1.0.1:2377"});
  REQUIRE(save_membership(file, saved));
  const auto loaded = load_membership(file);
  REQUIRE(loaded);
  REQUIRE(loaded->has_value());
  CHECK((*loaded)->listen_address == saved.listen_address);
  REQUIRE((*loaded)->managers.size() == 1);
  CHECK((*loaded)->managers[0].address == "10.1.0.1:2377");
}

TEST_CASE("a file with members of another type is refused with a sentence that names it") {
  const Folder folder;
  const std::filesystem::path file = folder.path / "membership.json";
  for (const char* text : {"no json", "[]", R"({"listen": 7})", R"({"managers": ["10.1.0.1"]})",
                           R"({"managers": [{"address": 1}]})", R"({"managers": {"node": 1}})"}) {
    std::ofstream(file) << text;
    const auto loaded = load_membership(file);
    INFO(text);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().kind == ErrorKind::internal);
    CHECK(loaded.error().message.find("membership.json") != std::string::npos);
  }
}

}  // namespace
}  // namespace skep
