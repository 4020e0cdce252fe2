// What the C header does for every driver, seen through the example that stands on it.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/sdk/c_header.h"
#include "tests/unit/sdk/fake_host.hpp"

namespace skep::sdk::test {
namespace {

namespace fs = std::filesystem;

const skep_plugin& plugin() {
  static void* const library = dlopen(SKEP_TEST_VOLUME_DIR_C, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  return *reinterpret_cast<const skep_plugin* (*)()>(dlsym(library, "skep_plugin_query"))();
}

struct Folder {
  Folder() {
    std::string pattern = fs::temp_directory_path() / "skep-volumes-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path;
};

}  // namespace

TEST_CASE("in C, a name with a NUL in it is refused, and not taken for what stands before it") {
  const Folder folder;
  FakeHost host(plugin().create);
  REQUIRE(host.configure(json::object(), folder.path).status == SKEP_OK);
  REQUIRE(host.volume(&skep_volume_1::create, {{"volume", "v"}}).status == SKEP_OK);
  const skep_call remove = host.table<skep_volume_1>(SKEP_VOLUME_1).remove;
  const std::string byte("{\"volume\":\"v\0x\"}", 16);
  for (const std::string& request : {std::string(R"({"volume":"v\u0000x"})"), byte}) {
    const Outcome refused = host.call(remove, request);
    CHECK(refused.status == SKEP_E_INVALID);
    CHECK(refused.error.find("without NUL") != std::string::npos);
  }
  CHECK(fs::exists(folder.path + "/v"));
  // A backslash before it makes it what it says.
  CHECK(host.call(remove, R"({"volume":"v","x":"\\u0000 \\"})").status == SKEP_OK);
  CHECK_FALSE(fs::exists(folder.path + "/v"));
}

TEST_CASE("in C, a file beside the volumes is no volume, and hides none") {
  const Folder folder;
  FakeHost host(plugin().create);
  REQUIRE(host.configure(json::object(), folder.path).status == SKEP_OK);
  REQUIRE(host.volume(&skep_volume_1::create, {{"volume", "v"}}).status == SKEP_OK);
  std::ofstream(folder.path + "/notes") << "of the operator";
  fs::create_directory(folder.path + "/lost+found");
  const Outcome listed = host.volume(&skep_volume_1::list);
  INFO(listed.error);
  REQUIRE(listed.status == SKEP_OK);
  REQUIRE(listed.reply.at("volumes").size() == 1);
  CHECK(listed.reply.at("volumes").at(0).at("volume") == "v");
  CHECK(host.volume(&skep_volume_1::get, {{"volume", "notes"}}).status == SKEP_E_NOTFOUND);
}

TEST_CASE("in C, a count ends when nobody waits for it, and when its time is over") {
  const Folder folder;
  FakeHost host(plugin().create);
  REQUIRE(host.configure(json::object(), folder.path).status == SKEP_OK);
  REQUIRE(host.volume(&skep_volume_1::create, {{"volume", "v"}}).status == SKEP_OK);
  for (int file = 0; file < 100; ++file) {
    std::ofstream(folder.path + "/v/data/" + std::to_string(file)) << "x";
  }
  const auto counted = [&] { return host.volume(&skep_volume_1::usage, {{"volume", "v"}}); };
  host.looks_until_unwanted = 50;
  const Outcome cancelled = counted();
  CHECK(cancelled.status == SKEP_E_CANCELLED);
  CHECK(cancelled.error == "nobody waits for it any more");
  host.looks_until_unwanted = -1;
  CHECK(counted().status == SKEP_OK);
  host.deadline = 1;  // a millisecond after the machine's start
  CHECK(counted().status == SKEP_E_DEADLINE);
}

TEST_CASE("in C, what a system call says becomes the code that fits it") {
  CHECK(c_header_code_of(ENOSPC) == SKEP_E_EXHAUSTED);
  CHECK(c_header_code_of(EMFILE) == SKEP_E_EXHAUSTED);
  CHECK(c_header_code_of(EBUSY) == SKEP_E_BUSY);
  CHECK(c_header_code_of(EROFS) == SKEP_E_DENIED);
  CHECK(c_header_code_of(EIO) == SKEP_E_INTERNAL);
}

TEST_CASE("in C, every file of a driver hears that nobody waits for the operation") {
  CHECK(c_header_unwanted_in_another_file() == SKEP_E_CANCELLED);
}

TEST_CASE("in C, an operation without any memory ends, and nothing crashes") {
  CHECK(c_header_without_memory() < SKEP_OK);
}

}  // namespace skep::sdk::test
