// The first content of a volume: copied once, whole, and also when it was cut off before.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/populate.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <skep/cpp/driver.hpp>

namespace skep::containerd {
namespace {

namespace fs = std::filesystem;

// An image of two layers with /srv/site, and an empty volume.
class Image {
 public:
  Image() {
    std::string pattern = (fs::temp_directory_path() / "skep-populate-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    for (const char* name : {"upper", "lower", "volume", "cover"}) fs::create_directory(at(name));
    fs::create_directories(at("lower/srv/site/deep"));
    fs::create_directories(at("upper/srv/site"));
    write("lower/srv/site/page", "old");
    write("lower/srv/site/deep/file", "deep");
    write("upper/srv/site/page", "new");
    fs::create_hard_link(at("lower/srv/site/deep/file"), at("lower/srv/site/deep/same"));
    fs::create_symlink("/etc/passwd", at("lower/srv/site/link"));
    fs::create_directory_symlink("/srv/site", at("lower/alias"));
    REQUIRE(chown(at("upper/srv/site/page").c_str(), 33, 34) == 0);
    for (const char* layer : {"lower", "upper"}) {
      REQUIRE(chown(at(std::string(layer) + "/srv/site").c_str(), 33, 33) == 0);
      REQUIRE(chmod(at(std::string(layer) + "/srv/site").c_str(), 0750) == 0);
    }
  }
  ~Image() { fs::remove_all(folder); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  fs::path at(const std::string& name) const { return folder / name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(at(name)) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(at(name));
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  size_t entries() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(at("volume")), fs::directory_iterator()));
  }
  void fill(const std::string& target = "/srv/site") const {
    populate(at("volume").string(), target, {at("upper"), at("lower")}, at("cover"));
  }
  struct stat status(const std::string& name) const {
    struct stat found {};
    REQUIRE(lstat(at(name).c_str(), &found) == 0);
    return found;
  }
  void check_whole() const {
    CHECK(entries() == 3);
    CHECK(read("volume/page") == "new");
    CHECK(read("volume/deep/file") == "deep");
    CHECK(status("volume/page").st_uid == 33);
    CHECK(status("volume/page").st_gid == 34);
    CHECK(status("volume/deep/file").st_nlink == 2);
    CHECK(fs::read_symlink(at("volume/link")) == "/etc/passwd");
    CHECK(status("volume").st_uid == 33);
    CHECK((status("volume").st_mode & 07777) == 0750);
    CHECK(fs::is_empty(at("cover")));  // the overlay was never seen here
  }

  fs::path folder;
};

bool can_run() {
  if (geteuid() == 0) return true;
  WARN("skipped: mounting needs root");
  return false;
}

TEST_CASE("an empty volume gets what the image has there, as it is there") {
  if (!can_run()) return;
  const Image image;
  image.fill();
  image.check_whole();
}

TEST_CASE("a volume that holds anything is left alone") {
  if (!can_run()) return;
  const Image image;
  image.write("volume/mine", "mine");
  image.fill();
  CHECK(image.entries() == 1);
  image.fill();
  CHECK(image.entries() == 1);
}

TEST_CASE("what a crash cut off is finished, whichever part it was") {
  if (!can_run()) return;
  SECTION("half copied") {
    const Image image;
    fs::create_directory(image.at("volume/.skep-populate"));
    image.write("volume/.skep-populate/page", "ha");
    image.fill();
    image.check_whole();
  }
  SECTION("half moved") {
    const Image image;
    image.fill();
    fs::create_directory(image.at("volume/.skep-populated"));
    REQUIRE(chown(image.at("volume/.skep-populated").c_str(), 33, 33) == 0);
    REQUIRE(chmod(image.at("volume/.skep-populated").c_str(), 0750) == 0);
    fs::rename(image.at("volume/deep"), image.at("volume/.skep-populated/deep"));
    image.fill();
    image.check_whole();
  }
}

TEST_CASE(
    "an image without such a folder leaves the volume as it is, and no link leads out of it") {
  if (!can_run()) return;
  const Image image;
  image.fill("/nothing/here");
  image.fill("/srv/site/page");
  CHECK(image.entries() == 0);
  fs::create_directory_symlink("/etc", image.at("lower/out"));
  image.fill("/out");
  CHECK(image.entries() == 0);  // the image has no /etc of its own
  image.fill("/alias");         // means the image's /srv/site
  image.check_whole();
}

TEST_CASE("an image of one layer needs no mount") {
  if (!can_run()) return;
  const Image image;
  populate(image.at("volume").string(), "/srv/site", {image.at("lower")}, "/nowhere");
  CHECK(image.read("volume/page") == "old");
}

TEST_CASE("a volume that isn't there is an error that names it") {
  const Image image;
  try {
    populate("/no/such/volume", "/srv/site", {image.at("lower")}, image.at("cover"));
    FAIL("it was filled");
  } catch (const sdk::Failure& failure) {
    CHECK(failure.code() == SKEP_E_INTERNAL);
    CHECK(std::string(failure.what()) ==
          "filling the empty volume: /no/such/volume: No such file or directory");
  }
}

}  // namespace
}  // namespace skep::containerd
