// Old and new drivers through the daemon's own loader, which has the headers of today: in the
// daemon's process, and in one of their own.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "daemon/drivers/plugin.hpp"
#include "sdk/host/catalog.hpp"
#include "tests/unit/drivers/run.hpp"

namespace {

using skep::drivers::Isolation;
using skep::drivers::Plugin;
using skep::test::Place;
using skep::test::plugin_config;
using skep::test::run;

}  // namespace

TEST_CASE("the daemon loads drivers of its own minor and of the next, and calls what it knows") {
  const std::string plugin =
      GENERATE("old-and-new-c-0", "old-and-new-c-1", "old-and-new-cpp-0", "old-and-new-cpp-1");
  const Isolation isolation = GENERATE(Isolation::process, Isolation::in_process);
  INFO(plugin << (isolation == Isolation::process ? " in a process of its own" : " in-process"));
  const Place place;
  boost::asio::io_context loop;
  auto opened = run(loop, Plugin::open(plugin_config("p", plugin, isolation), place.place()));
  if (!opened) FAIL(opened.error().message);
  const auto& publish = SKEP_OPERATION(SKEP_VOLUME_1, skep_volume_1, publish);
  const std::string request = R"({"volume":"data","holder":"c","holders":[]})";
  const auto reply = run(loop, (*opened)->call(publish, "data", request, {}));
  if (!reply) FAIL(reply.error().message);
  CHECK(*reply == R"({"path":"/srv/data"})");
  CHECK_FALSE((*opened)->has(SKEP_OPERATION(SKEP_VOLUME_1, skep_volume_1, stage)));
  run(loop, (*opened)->end());
}

TEST_CASE("the daemon refuses a driver that needs the next host, in a sentence") {
  const std::string plugin = GENERATE("old-and-new-c-1-needed", "old-and-new-cpp-1-needed");
  const Isolation isolation = GENERATE(Isolation::process, Isolation::in_process);
  const std::filesystem::path marker =
      std::filesystem::temp_directory_path() / ("abi-daemon-marker-" + std::to_string(getpid()));
  const Place place;
  boost::asio::io_context loop;
  setenv("SKEP_TEST_MARKER", marker.c_str(), 1);
  const auto opened = run(loop, Plugin::open(plugin_config("p", plugin, isolation), place.place()));
  unsetenv("SKEP_TEST_MARKER");
  REQUIRE_FALSE(opened);
  CHECK_THAT(opened.error().message,
             Catch::Contains("host_too_old: ") &&
                 Catch::Contains("needs plugin ABI 1.1, this host has 1.0; update skep"));
  CHECK_FALSE(std::filesystem::exists(marker));
}
