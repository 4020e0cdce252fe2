// skepd.toml: the defaults, and what an operator is told about a mistake.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/base/config.hpp"

#include <catch2/catch.hpp>

using namespace skep;

namespace {

std::string complaint(std::string_view text) {
  const auto config = base::parse_config(text, "skepd.toml");
  REQUIRE_FALSE(config);
  CHECK(config.error().kind == ErrorKind::invalid);
  return config.error().message;
}

}  // namespace

TEST_CASE("the printed default configuration is the default configuration") {
  const auto parsed = base::parse_config(base::default_config_text(), "printed");
  REQUIRE(parsed);
  const base::Config expected = base::default_config();
  CHECK(parsed->data_dir == expected.data_dir);
  CHECK(parsed->run_dir == expected.run_dir);
  CHECK(parsed->api_group == expected.api_group);
  CHECK(parsed->log_level == expected.log_level);
  REQUIRE(parsed->plugins.size() == expected.plugins.size());
  for (const auto& [name, plugin] : expected.plugins) {
    CHECK(parsed->plugins.at(name).path == plugin.path);
  }
}

TEST_CASE("an unknown key is refused with file, line and name") {
  CHECK(complaint("\n\ndatadir = \"/x\"\n") == "skepd.toml:3: unknown key 'datadir'");
  CHECK(complaint("[api]\nsockte = \"/x\"\n") == "skepd.toml:2: unknown key 'api.sockte'");
  CHECK(complaint("[plugins.x]\npath = \"x.so\"\nisolation = \"none\"\n") ==
        "skepd.toml:3: unknown key 'plugins.x.isolation'");
}

TEST_CASE("a value of the wrong type is refused with its key") {
  CHECK(complaint("data_dir = 7\n") == "skepd.toml:1: 'data_dir' must be a string");
  CHECK(complaint("api = \"x\"\n") == "skepd.toml:1: 'api' must be a table");
  CHECK(complaint("[log]\nlevel = \"loud\"\n").find("not 'loud'") != std::string::npos);
}

TEST_CASE("a plugin without a path is refused") {
  CHECK(complaint("[plugins.x]\n").find("'plugins.x.path' is missing") != std::string::npos);
}

TEST_CASE("text that is no TOML is refused with its line") {
  CHECK(complaint("a = 1\nb = = 2\n").find("skepd.toml:2:") == 0);
}

TEST_CASE("naming plugins replaces the default ones, and their section arrives as JSON") {
  const auto config = base::parse_config(
      "[plugins.mine]\npath = \"/opt/mine.so\"\nsha256 = \"ab\"\n"
      "[plugins.mine.config]\nsize = 3\nname = \"n\"\n",
      "skepd.toml");
  REQUIRE(config);
  REQUIRE(config->plugins.size() == 1);
  const base::PluginSection& mine = config->plugins.at("mine");
  CHECK(mine.path == "/opt/mine.so");
  CHECK(mine.sha256 == "ab");
  CHECK(mine.config_json.find("\"size\" : 3") != std::string::npos);
}

TEST_CASE("a configuration file that is named and not there is an error") {
  CHECK_FALSE(base::load_config("/nonexistent/skepd.toml"));
}
