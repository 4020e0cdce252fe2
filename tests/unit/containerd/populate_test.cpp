// The first content of a volume: copied once, whole, by nobody else's leave, and also when it was
// cut off before.
//
// The surprise: this program has a readdir of its own, which a test can make fail, because no file
// system at hand does. It is found before the C library's by everything in the program.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/populate.hpp"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <skep/cpp/driver.hpp>
#include <thread>
#include <vector>

#include "runtime-containerd/populate_record.hpp"

namespace {
std::atomic<bool> readdir_fails = false;
}  // namespace

extern "C" dirent* readdir(DIR* list) {
  static const auto real = reinterpret_cast<dirent* (*)(DIR*)>(dlsym(RTLD_NEXT, "readdir"));
  if (!readdir_fails) return real(list);
  errno = EIO;
  return nullptr;
}

namespace skep::containerd {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// An image of two layers with /srv/site, and an empty volume.
class Image {
 public:
  Image() {
    std::string pattern = (fs::temp_directory_path() / "skep-populate-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    for (const char* name : {"upper", "lower", "volume", "outside"}) fs::create_directory(at(name));
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
  size_t entries(const std::string& name = "volume") const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(at(name)), fs::directory_iterator()));
  }
  Filling filling(const std::string& target = "/srv/site") const {
    Filling filling;
    filling.folder = at("volume").string();
    filling.target = target;
    filling.layers = {at("upper"), at("lower")};
    filling.state = at("state");
    filling.check = [] {};
    return filling;
  }
  void fill(const std::string& target = "/srv/site") const { populate(filling(target)); }
  // A program in cp's place; it is given -a FROM TO.
  std::string copier(const std::string& lines) const {
    write("copier", "#!/bin/sh\n" + lines + "\n");
    fs::permissions(at("copier"), fs::perms(0755));
    return at("copier").string();
  }
  // What a crash leaves: our folder in the volume, and the record that says so.
  void leave_half(const std::string& stage) const {
    fs::create_directories(at("state"));
    write("state/.skep-1234." + stage, at("volume").string());
    fs::create_directory(at("volume/.skep-1234"));
    REQUIRE(chown(at("volume/.skep-1234").c_str(), 33, 33) == 0);
    REQUIRE(chmod(at("volume/.skep-1234").c_str(), 0750) == 0);
  }
  struct stat status(const std::string& name) const {
    struct stat found {};
    REQUIRE(lstat(at(name).c_str(), &found) == 0);
    return found;
  }
  void check_nothing_owed() const {
    REQUIRE(entries("state") == 1);  // where locks are held
    CHECK(fs::is_empty(at("state/locks")));
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
    check_nothing_owed();  // and the view was never seen here
  }

  fs::path folder;
};

bool can_run() {
  if (geteuid() == 0) return true;
  WARN("skipped: mounting needs root");
  return false;
}

sdk::Failure failure_of(const Filling& filling) {
  try {
    populate(filling);
  } catch (const sdk::Failure& failure) {
    return failure;
  }
  return sdk::Failure(SKEP_OK, "it was filled");
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

TEST_CASE("a container's lock on its volume is in nobody's way") {
  if (!can_run()) return;
  const Image image;
  const int held = open(image.at("volume").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(flock(held, LOCK_EX) == 0);
  alarm(20);  // it once waited for ever
  SECTION("on an empty one") {
    image.fill();
    image.check_whole();
  }
  SECTION("on one that is in use") {
    image.write("volume/mine", "mine");
    image.fill();
    CHECK(image.entries() == 1);
  }
  alarm(0);
  close(held);
}

TEST_CASE("whichever descriptors are free, the copy finds its own") {
  if (!can_run()) return;
  for (int lowest = 3; lowest < 13; ++lowest) {
    const Image image;
    std::vector<int> taken;
    while (taken.empty() || taken.back() < lowest - 1) {
      taken.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
    const sdk::Failure failure = failure_of(image.filling());
    for (const int descriptor : taken) close(descriptor);
    INFO(failure.what());
    image.check_whole();
  }
}

TEST_CASE("a folder that can't be read is an error, and not an empty folder") {
  if (!can_run()) return;
  const Image image;
  image.write("volume/page", "mine");
  readdir_fails = true;
  const sdk::Failure failure = failure_of(image.filling());
  readdir_fails = false;
  CHECK(failure.code() == SKEP_E_INTERNAL);
  CHECK(std::string(failure.what()) ==
        "filling the empty volume: reading its folder: Input/output error");
  CHECK(image.entries() == 1);
  CHECK(image.read("volume/page") == "mine");
}

TEST_CASE("whatever a container puts into its volume, it is the container's data") {
  if (!can_run()) return;
  const Image image;
  for (const std::string name : {".skep-populate", ".skep-populated", ".skep-1234"}) {
    SECTION("a folder " + name) {
      fs::create_directory(image.at("volume/" + name));
      image.write("volume/" + name + "/page", "planted");
      image.write("volume/page", "mine");
      image.fill();
      CHECK(image.entries() == 2);
      CHECK(image.read("volume/page") == "mine");
      CHECK(image.read("volume/" + name + "/page") == "planted");
    }
    SECTION("a file " + name) {
      image.write("volume/" + name, "planted");
      image.fill();
      CHECK(image.entries() == 1);
    }
  }
}

TEST_CASE("what a crash cut off is begun anew or finished, whichever part it was") {
  if (!can_run()) return;
  const Image image;
  SECTION("half copied") {
    image.leave_half("gathering");
    image.write("volume/.skep-1234/page", "ha");
    image.fill();
    image.check_whole();
  }
  SECTION("not even begun") {
    image.leave_half("gathering");
    fs::remove(image.at("volume/.skep-1234"));
    image.fill();
    image.check_whole();
  }
  SECTION("half moved") {
    image.fill();
    image.leave_half("moving");
    fs::rename(image.at("volume/deep"), image.at("volume/.skep-1234/deep"));
    image.fill();
    image.check_whole();
  }
  SECTION("moved, but for the record") {
    image.fill();
    image.leave_half("moving");
    fs::remove(image.at("volume/.skep-1234"));
    image.fill();
    image.check_whole();
  }
  SECTION("moved, but for the record, and then made anew") {
    image.leave_half("moving");
    fs::remove(image.at("volume/.skep-1234"));
    image.fill();
    image.check_whole();
  }
  SECTION("killed while it copied") {
    const pid_t driver = fork();
    if (driver == 0) {
      Filling filling = image.filling();
      filling.copier = image.copier(R"(cp "$2/page" "$3" && kill -9 $PPID; while :; do :; done)");
      populate(filling);
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(driver, &status, 0) == driver);
    CHECK(WIFSIGNALED(status));
    CHECK(image.entries() == 1);
    alarm(20);  // the copier ends with its driver: its lock is free
    image.fill();
    alarm(0);
    image.check_whole();
  }
}

TEST_CASE("what somebody put into the volume meanwhile is never touched") {
  if (!can_run()) return;
  const Image image;
  image.write("volume/page", "mine");
  SECTION("after a crash while it was copied, it stays alone") {
    image.leave_half("gathering");
    image.write("volume/.skep-1234/deep", "ours");
    image.fill();
    CHECK(image.entries() == 1);
  }
  SECTION("after a crash while it was moved, it is what counts") {
    image.leave_half("moving");
    image.write("volume/.skep-1234/page", "ours");
    image.write("volume/.skep-1234/other", "ours");
    image.fill();
    CHECK(image.entries() == 2);
    CHECK(image.read("volume/other") == "ours");
  }
  SECTION("while it is copied, it stays alone") {
    fs::remove(image.at("volume/page"));
    Filling filling = image.filling();
    filling.copier = image.copier(R"(cp "$@" && echo -n mine > "$3/../page")");
    populate(filling);
    CHECK(image.entries() == 1);
  }
  CHECK(image.read("volume/page") == "mine");
  image.check_nothing_owed();
}

TEST_CASE("a copy that nobody waits for ends at once, and the next one is whole") {
  if (!can_run()) return;
  const Image image;
  Filling filling = image.filling();
  filling.copier = image.copier("cp $2/page $3; echo $$ > $3/../pid; exec sleep 1000");
  filling.check = [&] {
    if (!image.read("volume/pid").empty()) throw sdk::Failure(SKEP_E_DEADLINE, "it is late");
  };
  const auto begun = std::chrono::steady_clock::now();
  const sdk::Failure failure = failure_of(filling);
  CHECK(std::chrono::steady_clock::now() - begun < 10s);
  CHECK(failure.code() == SKEP_E_DEADLINE);
  CHECK(std::string(failure.what()) == "it is late");
  const pid_t program = std::stoi(image.read("volume/pid"));
  CHECK(kill(program, 0) != 0);  // killed, and waited for
  fs::remove(image.at("volume/pid"));
  image.fill();
  image.check_whole();
}

TEST_CASE("a volume that somebody else fills is waited for, as long as one wants") {
  if (!can_run()) return;
  const Image image;
  Filling slow = image.filling();
  slow.copier = image.copier("while [ ! -e " + image.at("outside/go").string() +
                             " ]; do sleep 0.01; done; exec cp \"$@\"");
  std::thread first([&] { populate(slow); });
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (image.entries() == 0 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(1ms);
  }
  CHECK(image.entries() == 1);  // the first has begun
  Filling second = image.filling();
  second.check = [] { throw sdk::Failure(SKEP_E_CANCELLED, "gone"); };
  CHECK(std::string(failure_of(second).what()) == "gone");
  second.check = [&] { image.write("outside/go", ""); };
  second.copier = "/no/such/program";  // it has nothing left to copy
  CHECK(std::string(failure_of(second).what()) == "it was filled");
  image.check_whole();
  first.join();
}

TEST_CASE("a volume that holds something is waited for too, while somebody may be filling it") {
  if (!can_run()) return;
  const Image image;
  image.write("volume/page", "new");  // the first of what comes
  const File folder(open(image.at("volume").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Stop never;
  std::optional<File> lock(FillingRecords(image.at("state")).lock(folder.number(), never));
  Filling second = image.filling();
  int looks = 0;
  second.check = [&] {
    if (++looks == 3) throw sdk::Failure(SKEP_E_CANCELLED, "gone");
  };
  CHECK(std::string(failure_of(second).what()) == "gone");
  lock.reset();
  image.fill();
  CHECK(image.entries() == 1);
}

TEST_CASE("a file system that can't rename without replacing is asked first") {
  const Image image;
  const auto folder = [&](const char* name) {
    fs::create_directory(image.at(name));
    return File(open(image.at(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  };
  const File from = folder("from");
  const File to = folder("to");
  for (const char* const name : {"from/a", "from/b", "to/b"}) image.write(name, name);
  constexpr unsigned unknown_to_all = 1U << 30;  // EINVAL, as NFS answers to any flag
  for (const unsigned how : {unsigned{RENAME_NOREPLACE}, unknown_to_all}) {
    CHECK(move_if_free(from.number(), to.number(), "a", how));
    CHECK_FALSE(move_if_free(from.number(), to.number(), "b", how));
    CHECK(image.read("to/a") == "from/a");
    CHECK(image.read("to/b") == "to/b");
    CHECK(image.read("from/b") == "from/b");
    fs::rename(image.at("to/a"), image.at("from/a"));
    CHECK_THROWS_AS(move_if_free(from.number(), to.number(), "c", how), sdk::Failure);
  }
}

TEST_CASE("a copy writes through no link that a container put in its way") {
  if (!can_run()) return;
  const Image image;
  REQUIRE(mkfifo(image.at("outside/fifo").c_str(), 0666) == 0);
  const File reader(open(image.at("outside/fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  Filling filling = image.filling();
  filling.copier =
      image.copier("ln -s " + image.at("outside/fifo").string() + " $3/page; exec cp \"$@\"");
  populate(filling);
  char byte = 0;
  CHECK(read(reader.number(), &byte, 1) == 0);  // nobody has written
  image.check_whole();
}

TEST_CASE("a copy reaches nothing but the volume, whatever lies in its way") {
  if (!can_run()) return;
  const Image image;
  Filling filling = image.filling();
  const std::string outside = image.at("outside").string();
  filling.copier = image.copier("cp \"$@\"; cd $3; ln -s " + outside + " away; ln -s /proc/1/root" +
                                outside + R"( far; mknod disk b 7 0; mknod null c 1 3
    echo leaked > away/a; echo leaked > far/b; (: < disk) && echo opened > device
    (: > null) && echo opened > device; mkdir up; echo leaked > up/../../../../../leaked; exit 0)");
  populate(filling);
  CHECK(image.entries("outside") == 0);
  CHECK_FALSE(fs::exists("/leaked"));
  CHECK_FALSE(fs::exists(image.at("leaked")));
  CHECK_FALSE(fs::exists(image.at("volume/device")));
  CHECK(fs::is_symlink(image.at("volume/far")));
}

TEST_CASE("an image of many layers fills a volume as any other") {
  if (!can_run()) return;
  const Image image;
  Filling filling = image.filling();
  const std::string common = "a-folder-" + std::string(60, 'x') + ",with:marks";
  for (int layer = 0; layer < 120; ++layer) {
    const std::string name = common + std::to_string(layer);
    fs::create_directories(image.at(name) / "srv");
    filling.layers.insert(filling.layers.begin() + 1, image.at(name));
  }
  populate(filling);
  image.check_whole();
}

TEST_CASE("a volume that is too small is told, and not left full") {
  if (!can_run()) return;
  const Image image;
  image.write("upper/srv/site/page", std::string(1 << 20, 'x'));
  sdk::Failure failure(SKEP_OK, "");
  std::thread([&] {  // with mounts of its own
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", image.at("volume").c_str(), "tmpfs", 0, "size=256k") != 0) {
      return;
    }
    failure = failure_of(image.filling());
    if (image.entries() != 0) failure = sdk::Failure(SKEP_E_INTERNAL, "something is left");
  })
      .join();
  INFO(failure.what());
  CHECK(failure.code() == SKEP_E_EXHAUSTED);
  image.check_nothing_owed();
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

TEST_CASE("an image of one layer fills a volume too") {
  if (!can_run()) return;
  const Image image;
  Filling filling = image.filling();
  filling.layers = {image.at("lower")};
  populate(filling);
  CHECK(image.read("volume/page") == "old");
}

TEST_CASE("a volume that isn't there is an error that names it, and so is a copy that fails") {
  if (!can_run()) return;
  const Image image;
  Filling filling = image.filling();
  filling.copier = image.copier("echo no, never >&2; exit 3");
  CHECK(std::string(failure_of(filling).what()) == "filling the empty volume: no, never");
  filling.copier = image.copier("exit 3");
  CHECK_THAT(failure_of(filling).what(), Catch::EndsWith("copier ended with code 3"));
  CHECK(image.entries() == 0);
  filling.folder = "/no/such/volume";
  const sdk::Failure failure = failure_of(filling);
  CHECK(failure.code() == SKEP_E_INTERNAL);
  CHECK(std::string(failure.what()) ==
        "filling the empty volume: /no/such/volume: No such file or directory");
}

}  // namespace
}  // namespace skep::containerd
