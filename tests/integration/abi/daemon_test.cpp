// Old and new drivers through the daemon's own loader, which has the headers of today.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "daemon/drivers/plugin.hpp"
#include "sdk/host/catalog.hpp"
#include "tests/unit/drivers/run.hpp"

namespace {

using skep::drivers::Plugin;
using skep::drivers::PluginConfig;
using skep::test::fake_plugin;
using skep::test::run;

PluginConfig config_of(const std::string& plugin) {
  PluginConfig config;
  config.name = "old-and-new";
  config.path = fake_plugin(plugin);
  return config;
}

}  // namespace

TEST_CASE("the daemon loads drivers of its own minor and of the next, and calls what it knows") {
  const std::string plugin =
      GENERATE("old-and-new-c-0", "old-and-new-c-1", "old-and-new-cpp-0", "old-and-new-cpp-1");
  INFO(plugin);
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("abi-daemon-" + std::to_string(getpid()));
  boost::asio::io_context loop;
  auto opened = Plugin::open(config_of(plugin));
  if (!opened) FAIL(opened.error().message);
  skep::drivers::PluginPlace place;
  place.run_dir = folder / "run";
  place.data_dir = folder / "data";
  place.node = "n";
  CHECK(run(loop, (*opened)->configure(place)));
  const auto reply =
      run(loop, (*opened)->call(SKEP_OPERATION(SKEP_VOLUME_1, skep_volume_1, publish), "data",
                                R"({"volume":"data","holder":"c","holders":[]})", {}));
  if (!reply) FAIL(reply.error().message);
  CHECK(*reply == R"({"path":"/srv/data"})");
  opened->reset();
  std::filesystem::remove_all(folder);
}

TEST_CASE("the daemon refuses a driver that needs the next host, in a sentence") {
  const std::string plugin = GENERATE("old-and-new-c-1-needed", "old-and-new-cpp-1-needed");
  const std::filesystem::path marker =
      std::filesystem::temp_directory_path() / ("abi-daemon-marker-" + std::to_string(getpid()));
  setenv("SKEP_TEST_MARKER", marker.c_str(), 1);
  const auto opened = Plugin::open(config_of(plugin));
  unsetenv("SKEP_TEST_MARKER");
  REQUIRE_FALSE(opened);
  CHECK_THAT(opened.error().message,
             Catch::Contains("host_too_old: ") &&
                 Catch::Contains("needs plugin ABI 1.1, this host has 1.0; update skep"));
  CHECK_FALSE(std::filesystem::exists(marker));
}
