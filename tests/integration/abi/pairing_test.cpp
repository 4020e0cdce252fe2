// Old and new drivers on this host, which is itself built twice: as today's and as the next minor.
//
// Both programs together are the eight pairings: {C, C++} x {old, new} driver x {old, new} host.
// Each must load and do the operations that both know; what one side lacks is "unimplemented" and
// nothing else. A driver that can't do without the new host is refused by the old one before any
// code of it has run.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "sdk/host/instance.hpp"
#include "tests/unit/plugin_host/listener.hpp"

static_assert(SKEP_ABI_MINOR == SKEP_TEST_HOST_MINOR,
              "this program has the headers it is named for");

namespace {

using nlohmann::json;
using skep::ErrorKind;
using skep::Result;
using skep::host::CheckedFile;
using skep::host::find_operation;
using skep::host::Instance;
using skep::host::PluginIdentity;
using skep::test::End;
using skep::test::fake_plugin;
using skep::test::Recorder;

constexpr bool host_is_new = SKEP_TEST_HOST_MINOR == 1;

// A driver in this process.
class Loaded {
 public:
  explicit Loaded(const std::string& plugin) {
    auto made = load(plugin, *recorder_);
    if (!made) FAIL(made.error().message);
    instance_ = std::move(*made);
  }

  static Result<std::unique_ptr<Instance>> load(const std::string& plugin, Recorder& recorder) {
    SKEP_TRY_ASSIGN(CheckedFile file, CheckedFile::open(fake_plugin(plugin), std::nullopt));
    SKEP_TRY_ASSIGN(PluginIdentity identity, skep::host::read_note(file));
    return Instance::load(std::move(file), std::move(identity), recorder);
  }

  End call(const char* interface, const char* name, const json& request) {
    const auto* operation = find_operation(interface, name);
    if (operation == nullptr) FAIL("this host knows no " << interface << " " << name);
    instance_->call(*operation, ++number_, request.dump());
    return recorder_->ends(number_).at(number_ - 1);
  }
  json reply(const char* interface, const char* name, const json& request) {
    const End end = call(interface, name, request);
    INFO(interface << " " << name << ": " << end.error);
    REQUIRE(end.status == SKEP_OK);
    return json::parse(end.reply);
  }
  bool has(const char* interface, const char* name) {
    return instance_->has(*find_operation(interface, name));
  }

 private:
  Recorder* recorder_ = new Recorder;  // for ever, as Instance wants it
  std::unique_ptr<Instance> instance_;
  uint64_t number_ = 0;
};

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
      CHECK(driver.has(interface, "added"));
      CHECK_FALSE(driver.reply(interface, "added", json::object()).at("added").empty());
    } else {
      CHECK_FALSE(driver.has(interface, "added"));
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

}  // namespace

TEST_CASE("old and new drivers in C and C++ do on this host what both sides know") {
  for (const std::string language : {"c", "cpp"}) {
    for (const bool is_new : {false, true}) {
      const std::string plugin = "old-and-new-" + language + (is_new ? "-1" : "-0");
      INFO(plugin);
      Loaded driver(plugin);
      do_common_operations(driver);
      check_what_was_added(driver, is_new);
    }
  }
}

TEST_CASE("a driver that needs the next host is refused by an older one, and nothing of it runs") {
  for (const std::string language : {"c", "cpp"}) {
    const std::string plugin = "old-and-new-" + language + "-1-needed";
    INFO(plugin);
    const Marker marker;
    const auto loaded = Loaded::load(plugin, *new Recorder);
    if (host_is_new) {
      CHECK(loaded.has_value());
      CHECK(marker.is_there());
    } else {
      REQUIRE_FALSE(loaded);
      CHECK(loaded.error().kind == ErrorKind::precondition);
      CHECK(loaded.error().message == "host_too_old: " + fake_plugin(plugin) +
                                          " needs plugin ABI 1.1, this host has 1.0; update skep");
      CHECK_FALSE(marker.is_there());
    }
  }
}
