// Old and new drivers on this host, which is itself built twice: as today's and as the next minor.
//
// Both programs together are the eight pairings: {C, C++} x {old, new} driver x {old, new} host.
// Each must load and do the operations that both know; what one side lacks is "unimplemented" and
// nothing else. A driver that can't do without the new host is refused by the old one before any
// code of it has run. Each host is tried both ways: with the driver in this process, and in its own
// helper program.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "sdk/host/helper.hpp"
#include "sdk/host/instance.hpp"
#include "tests/unit/plugin_host/helper_driver.hpp"
#include "tests/unit/plugin_host/listener.hpp"
#include "tests/unit/temporary_folder.hpp"

static_assert(SKEP_ABI_MINOR == SKEP_TEST_HOST_MINOR,
              "this program has the headers it is named for");

namespace {

using nlohmann::json;
using skep::ErrorKind;
using skep::Result;
using skep::host::CheckedFile;
using skep::host::find_operation;
using skep::host::Instance;
using skep::host::Operation;
using skep::host::PluginIdentity;
using skep::test::End;
using skep::test::fake_plugin;
using skep::test::HelperDriver;
using skep::test::Recorder;

constexpr bool host_is_new = SKEP_TEST_HOST_MINOR == 1;

// A driver, wherever it runs.
class Loaded {
 public:
  virtual ~Loaded() = default;
  virtual End call(const Operation& operation, const std::string& request) = 0;
  virtual bool has(const Operation& operation) = 0;

  End call(const char* interface, const char* name, const json& request) {
    const Operation* operation = find_operation(interface, name);
    if (operation == nullptr) FAIL("this host knows no " << interface << " " << name);
    return call(*operation, request.dump());
  }
  json reply(const char* interface, const char* name, const json& request) {
    const End end = call(interface, name, request);
    INFO(interface << " " << name << ": " << end.error);
    REQUIRE(end.status == SKEP_OK);
    return json::parse(end.reply);
  }
};

Result<std::unique_ptr<Instance>> load(const std::string& path, Recorder& recorder) {
  SKEP_TRY_ASSIGN(CheckedFile file, CheckedFile::open(path, std::nullopt));
  SKEP_TRY_ASSIGN(PluginIdentity identity, skep::host::read_note(file));
  return Instance::load(std::move(file), std::move(identity), recorder);
}

class InProcess final : public Loaded {
 public:
  explicit InProcess(const std::string& plugin) {
    auto made = load(fake_plugin(plugin), *recorder_);
    if (!made) FAIL(made.error().message);
    instance_ = std::move(*made);
  }
  using Loaded::call;
  End call(const Operation& operation, const std::string& request) override {
    instance_->call(operation, ++number_, request);
    return recorder_->ends(number_).at(number_ - 1);
  }
  bool has(const Operation& operation) override { return instance_->has(operation); }

 private:
  Recorder* recorder_ = new Recorder;  // for ever, as Instance wants it
  std::unique_ptr<Instance> instance_;
  uint64_t number_ = 0;
};

class OutOfProcess final : public Loaded {
 public:
  explicit OutOfProcess(const std::string& plugin) : driver_(plugin) { driver_.until_ready(); }
  using Loaded::call;
  End call(const Operation& operation, const std::string& request) override {
    return driver_.end_of(driver_.begin(operation, request));
  }
  bool has(const Operation& operation) override {
    return std::any_of(driver_.present.begin(), driver_.present.end(),
                       [&](const Operation* there) { return *there == operation; });
  }

 private:
  HelperDriver driver_;
};

std::unique_ptr<Loaded> start(const std::string& plugin, bool in_helper) {
  if (in_helper) return std::make_unique<OutOfProcess>(plugin);
  return std::make_unique<InProcess>(plugin);
}

// What both minors have.
void do_common_operations(Loaded& driver) {
  driver.reply(SKEP_BASE_1, "configure",
               {{"config", json::object()},
                {"run_dir", "/run"},
                {"data_dir", "/var"},
                {"plugin_dir", "/"},
                {"node", "n"}});
  CHECK(driver.reply(SKEP_BASE_1, "probe", json::object()).at("state") == "ready");
  CHECK(driver.reply(SKEP_BASE_1, "restore_done", {{"ids", json::array()}}) == json::object());
  const json volume = {{"volume", "data"}};
  CHECK(driver.reply(SKEP_VOLUME_1, "create", volume).at("handle").at("version") == 1);
  CHECK(driver.reply(SKEP_VOLUME_1, "get", volume).at("volume") == "data");
  const json holder = {{"volume", "data"}, {"holder", "c"}, {"holders", json::array()}};
  CHECK(driver.reply(SKEP_VOLUME_1, "publish", holder).at("path") == "/srv/data");
  CHECK(driver.reply(SKEP_VOLUME_1, "unpublish", holder) == json::object());
  CHECK(driver.reply(SKEP_VOLUME_1, "remove", volume) == json::object());
  // Optional, and absent in all of them.
  CHECK(driver.call(SKEP_VOLUME_1, "stage", volume).status == SKEP_E_UNIMPLEMENTED);
}

// What the next minor appended, to the driver's tables and to the host's.
void check_what_was_added(Loaded& driver, bool driver_is_new) {
  const json seen = driver.reply(SKEP_BASE_1, "capabilities", json::object());
  CHECK(seen.at("host_minor") == SKEP_TEST_HOST_MINOR);
  CHECK(seen.at("host_added") == (driver_is_new && host_is_new ? 42 : -1));
  for (const char* interface : {SKEP_BASE_1, SKEP_VOLUME_1}) {
    INFO(interface);
    if (!host_is_new) {
      CHECK(find_operation(interface, "added") == nullptr);
    } else if (driver_is_new) {
      CHECK(driver.has(*find_operation(interface, "added")));
      CHECK_FALSE(driver.reply(interface, "added", json::object()).at("added").empty());
    } else {
      CHECK_FALSE(driver.has(*find_operation(interface, "added")));
      const End end = driver.call(interface, "added", json::object());
      CHECK(end.status == SKEP_E_UNIMPLEMENTED);
      CHECK(end.error == "driver old-and-new lacks the operation added");
    }
  }
}

// A file that is there when any code of a driver has run.
class Marker {
 public:
  Marker()
      : path_(std::filesystem::temp_directory_path() / ("abi-marker-" + std::to_string(getpid()))) {
    setenv("SKEP_TEST_MARKER", path_.c_str(), 1);
  }
  ~Marker() {
    unsetenv("SKEP_TEST_MARKER");
    std::filesystem::remove(path_);
  }
  bool is_there() const { return std::filesystem::exists(path_); }

 private:
  std::filesystem::path path_;
};

// A folder of the test's own.
class Folder : public skep::testing::TemporaryFolder {
 public:
  Folder() {
    for (const char* part : {"run", "data"}) std::filesystem::create_directories(file(part));
  }
  std::string operator/(const char* part) const { return file(part); }
};

// A volume's life, through any volume driver.
void do_volume_life(Loaded& driver) {
  const Folder folder;
  driver.reply(SKEP_BASE_1, "configure",
               {{"config", json::object()},
                {"run_dir", folder / "run"},
                {"data_dir", folder / "data"},
                {"plugin_dir", "/"},
                {"node", "n"}});
  CHECK(driver.reply(SKEP_BASE_1, "probe", json::object()).at("state") == "ready");
  driver.reply(SKEP_BASE_1, "restore_done", {{"ids", json::array()}});
  const json volume = {{"volume", "data"}};
  const json made = driver.reply(SKEP_VOLUME_1, "create", volume);
  CHECK(driver.reply(SKEP_VOLUME_1, "get", volume).at("handle") == made.at("handle"));
  const json holder = {{"volume", "data"}, {"holder", "c"}, {"holders", json::array()}};
  const std::string path = driver.reply(SKEP_VOLUME_1, "publish", holder).at("path");
  CHECK(std::filesystem::is_directory(path));
  CHECK(driver.call(SKEP_VOLUME_1, "remove", volume).status == SKEP_E_BUSY);
  driver.reply(SKEP_VOLUME_1, "unpublish", holder);
  driver.reply(SKEP_VOLUME_1, "remove", volume);
  CHECK(driver.call(SKEP_VOLUME_1, "get", volume).status == SKEP_E_NOTFOUND);
  CHECK_FALSE(std::filesystem::exists(path));
}

}  // namespace

TEST_CASE("old and new drivers in C and C++ do on this host what both sides know") {
  const bool in_helper = GENERATE(false, true);
  const std::string language = GENERATE("c", "cpp");
  const bool is_new = GENERATE(false, true);
  const std::string plugin = "old-and-new-" + language + (is_new ? "-1" : "-0");
  INFO(plugin << (in_helper ? " in a process of its own" : " in this process"));
  const auto driver = start(plugin, in_helper);
  do_common_operations(*driver);
  check_what_was_added(*driver, is_new);
}

TEST_CASE("a driver that needs the next host is refused by an older one, and nothing of it runs") {
  const std::string language = GENERATE("c", "cpp");
  const std::string plugin = "old-and-new-" + language + "-1-needed";
  INFO(plugin);
  const Marker marker;
  const auto loaded = load(fake_plugin(plugin), *new Recorder);
  if (host_is_new) {
    CHECK(loaded.has_value());
    CHECK(marker.is_there());
    return;
  }
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().kind == ErrorKind::precondition);
  CHECK(loaded.error().message == "host_too_old: " + fake_plugin(plugin) +
                                      " needs plugin ABI 1.1, this host has 1.0; update skep");
  CHECK_FALSE(marker.is_there());
}

TEST_CASE("a helper refuses it too, should its host have overlooked the note") {
  const std::string language = GENERATE("c", "cpp");
  const std::string plugin = "old-and-new-" + language + "-1-needed";
  INFO(plugin);
  const Marker marker;
  if (host_is_new) {
    const auto driver = start(plugin, true);
    do_common_operations(*driver);
    CHECK(marker.is_there());
    return;
  }
  const PluginIdentity identity = {1, 1, 1, "old-and-new", "1.0", {"skep.volume/1"}};
  HelperDriver driver(plugin, identity);
  CHECK(driver.how_lost() == "exited with code 0");
  REQUIRE(driver.refusal);
  CHECK_THAT(driver.refusal->message, Catch::StartsWith("host_too_old: "));
  CHECK_FALSE(marker.is_there());
}

TEST_CASE("the drivers of former releases, as they were built, work on this host") {
#ifndef __x86_64__
  WARN("skipped: the released drivers are for x86-64");
  return;
#endif
  const bool in_helper = GENERATE(false, true);
  size_t count = 0;
  for (const auto& release : std::filesystem::directory_iterator(SKEP_TEST_RELEASED)) {
    if (!release.is_directory()) continue;
    for (const auto& file : std::filesystem::directory_iterator(release)) {
      const std::string plugin = file.path().string();
      INFO(plugin << (in_helper ? " in a process of its own" : " in this process"));
      do_volume_life(*start(plugin, in_helper));
      ++count;
    }
  }
  CHECK(count >= 1);
}
