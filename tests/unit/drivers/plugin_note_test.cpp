// What is refused before any code of a plugin runs, and with which words.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/note.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>

#include "daemon/drivers/plugin.hpp"
#include "tests/unit/drivers/run.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace {

using skep::Result;
using skep::drivers::Isolation;
using skep::drivers::Plugin;
using skep::drivers::PluginConfig;
using skep::host::CheckedFile;
using skep::host::parse_note;
using skep::test::fake_plugin;
using skep::test::Place;
using skep::test::run;

class Folder : public skep::testing::TemporaryFolder {
 public:
  std::string copy_of(const std::string& plugin) const {
    const std::string target = file("copy.so");
    std::filesystem::copy_file(fake_plugin(plugin), target);
    chmod(target.c_str(), 0644);
    return target;
  }
  std::string with_text(const std::string& text) const {
    const std::string target = file("text.so");
    std::ofstream(target) << text;
    chmod(target.c_str(), 0644);
    return target;
  }
};

// The code word of the refusal; "loaded" when there was none. `isolation` makes no difference: what
// is refused in one place is refused in the other, in the same words.
std::string refusal_in(Isolation isolation, const std::string& path,
                       const std::optional<std::string>& sha256) {
  PluginConfig config;
  config.name = "test";
  config.path = path;
  config.sha256 = sha256;
  config.isolation = isolation;
  const Place place;
  boost::asio::io_context loop;
  const Result<std::unique_ptr<Plugin>> opened =
      run(loop, Plugin::open(std::move(config), place.place()));
  if (opened) return "loaded";
  INFO(opened.error().message);
  CHECK(opened.error().message.find(';') != std::string::npos);  // a remedy follows the fact
  return opened.error().message.substr(0, opened.error().message.find(':'));
}

std::string refusal(const std::string& path, std::optional<std::string> sha256 = std::nullopt) {
  const std::string word = refusal_in(Isolation::process, path, sha256);
  CHECK(refusal_in(Isolation::in_process, path, sha256) == word);
  return word;
}

}  // namespace

TEST_CASE("a good plugin's note tells who it is") {
  const Result<CheckedFile> file = CheckedFile::open(fake_plugin("fake-behaviour"), std::nullopt);
  if (!file) FAIL(file.error().message);
  const auto identity = skep::host::read_note(*file);
  if (!identity) FAIL(identity.error().message);
  CHECK(identity->id == "fake-behaviour");
  CHECK(identity->version == "1.0");
  CHECK(identity->interfaces == std::vector<std::string>{"skep.base/1", "skep.x-test/1"});
}

TEST_CASE("files that are no plugins for this host are refused by name") {
  const Folder folder;
  CHECK(refusal("/does/not/exist.so") == "not_a_file");
  CHECK(refusal("relative.so") == "not_a_file");
  CHECK(refusal(folder.path()) == "not_a_file");
  CHECK(refusal(folder.with_text("hello")) == "not_elf");
  CHECK(refusal(folder.with_text(std::string("\177ELF\2\1\1", 7) + std::string(57, '\0'))) ==
        "wrong_machine");
  CHECK(refusal(fake_plugin("fake-no-note")) == "no_note");
  CHECK(refusal(fake_plugin("fake-old-abi")) == "abi_major");
  CHECK(refusal(fake_plugin("fake-new-host")) == "host_too_old");
  CHECK(refusal(fake_plugin("fake-differs")) == "note_differs");
  CHECK(refusal(fake_plugin("fake-undefined")) == "missing_symbol");
  CHECK(refusal(fake_plugin("fake-behaviour")) == "loaded");
}

TEST_CASE("a cut plugin is refused, wherever it was cut") {
  const Folder folder;
  const std::string path = folder.copy_of("fake-behaviour");
  // Behind the loaded segments only tables for debuggers follow; 5000 lies well inside them.
  for (const uintmax_t length : {5000, 700, 200, 64, 20}) {
    std::filesystem::resize_file(path, length);
    CHECK(refusal(path) != "loaded");
  }
}

TEST_CASE("owner, mode and links are checked up to the root") {
  const Folder folder;
  const std::string path = folder.copy_of("fake-behaviour");
  CHECK(refusal(path) == "loaded");
  chmod(path.c_str(), 0664);
  CHECK(refusal(path) == "bad_mode");
  chmod(path.c_str(), 0644);
  chmod(folder.path().c_str(), 0777);
  CHECK(refusal(path) == "bad_mode");
  chmod(folder.path().c_str(), 0755);
  REQUIRE(symlink(path.c_str(), (folder.path() + "/link.so").c_str()) == 0);
  CHECK(refusal(folder.path() + "/link.so") == "not_a_file");
  if (geteuid() != 0) return;  // only root can give a file away
  REQUIRE(chown(path.c_str(), 12345, 0) == 0);
  CHECK(refusal(path) == "bad_owner");
}

TEST_CASE("a pinned hash lets only that content in") {
  const Folder folder;
  const std::string path = folder.copy_of("fake-behaviour");
  const Result<CheckedFile> file = CheckedFile::open(path, std::nullopt);
  REQUIRE(file.has_value());
  const std::string hash = skep::host::sha256_of(file->descriptor()).value();
  CHECK(hash.size() == 64);
  CHECK(refusal(path, hash) == "loaded");
  CHECK(refusal(path, std::string(64, '0')) == "bad_hash");
  std::ofstream(path, std::ios::app) << "x";
  CHECK(refusal(path, hash) == "bad_hash");
}

TEST_CASE("what was checked can't be changed before it is run") {
  Result<CheckedFile> file = CheckedFile::open(fake_plugin("fake-behaviour"), std::nullopt);
  REQUIRE(file);
  const std::string copy = "/proc/self/fd/" + std::to_string(file->descriptor());
  const int writer = open(copy.c_str(), O_RDWR);
  REQUIRE(writer >= 0);
  CHECK(pwrite(writer, "x", 1, 0) == -1);
  CHECK(errno == EPERM);
  CHECK(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0) == MAP_FAILED);
  CHECK(ftruncate(writer, 0) == -1);
  close(writer);
  char first = 0;
  CHECK(pread(file->descriptor(), &first, 1, 0) == 1);
  CHECK(first == '\x7f');
}

TEST_CASE("a note that can't be understood is named") {
  CHECK(parse_note("abi=1.0;host=0;id=a;ver=1;ifs=x y", "p").has_value());
  for (const char* text : {"", "abi=1;host=0;id=a;ifs=x", "abi=x.0;host=0;id=a;ifs=x",
                           "abi=1.0;id=a;ifs=x", "abi=1.0;host=0;ifs=x", "abi=1.0;host=0;id=a"}) {
    CHECK_FALSE(parse_note(text, "p").has_value());
  }
}

TEST_CASE(
    "a note that is no text, or an id that is none, is refused in words that can be printed") {
  const std::string path = "p";
  for (const std::string& id :
       {std::string("../x"), std::string("a b"), std::string("A"), std::string("a\xff\x1b[31m"),
        std::string(SKEP_ID_MAX + 1, 'a'), std::string("a\nb")}) {
    const auto refused = parse_note("abi=1.0;host=0;id=" + id + ";ver=1;ifs=x", path);
    REQUIRE_FALSE(refused.has_value());
    const std::string& message = refused.error().message;
    CHECK(message.rfind("no_note: ", 0) == 0);
    CHECK(std::all_of(message.begin(), message.end(), [](char c) { return c >= ' ' && c <= '~'; }));
  }
  CHECK_FALSE(parse_note("abi=1.0;host=0;id=a;ver=\xff;ifs=x", path).has_value());
  CHECK(parse_note("abi=1.0;host=0;id=" + std::string(SKEP_ID_MAX, 'a') + ";ifs=x", path));
}
