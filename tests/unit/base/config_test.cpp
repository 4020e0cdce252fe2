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
  CHECK(complaint("[plugins.x]\npath = \"x.so\"\nisolate = \"none\"\n") ==
        "skepd.toml:3: unknown key 'plugins.x.isolate'");
}

TEST_CASE("a value of the wrong type is refused with its key") {
  CHECK(complaint("data_dir = 7\n") == "skepd.toml:1: 'data_dir' must be a string");
  CHECK(complaint("api = \"x\"\n") == "skepd.toml:1: 'api' must be a table");
  CHECK(complaint("[log]\nlevel = \"loud\"\n").find("not 'loud'") != std::string::npos);
}

TEST_CASE("a plugin without a path is refused") {
  CHECK(complaint("[plugins.x]\n").find("'plugins.x.path' is missing") != std::string::npos);
}

// The name becomes a folder's, and part of the API's paths.
TEST_CASE("a plugin's name is short and plain") {
  const std::string long_name(64, 'a');
  for (const std::string name : {"..", "../x", "a/b", "", "A", "a b", "a.b", "-a", "ä"}) {
    CHECK(complaint("[plugins.\"" + name + "\"]\npath = \"x.so\"\n").find("a plugin's name") !=
          std::string::npos);
  }
  CHECK(complaint("[plugins." + long_name + "]\npath = \"x.so\"\n").find("a plugin's name") !=
        std::string::npos);
  CHECK(base::parse_config("[plugins.a-2]\npath = \"x.so\"\n", "skepd.toml"));
}

TEST_CASE("how far a plugin is kept apart is read, and checked") {
  const auto config = base::parse_config(
      "lb = [\"b\", \"a\"]\n[plugins.a]\npath = \"a.so\"\nisolation = \"in-process\"\n"
      "debug = true\n[plugins.b]\npath = \"b.so\"\n[plugins.b.limits]\n"
      "address_space = \"4g\"\nopen_files = 64\n"
      "[plugins.c]\npath = \"c.so\"\n[plugins.c.limits]\naddress_space = \"none\"\n",
      "skepd.toml");
  REQUIRE(config);
  CHECK(config->lb == std::vector<std::string>{"b", "a"});
  CHECK(config->plugins.at("a").isolation == "in-process");
  CHECK(config->plugins.at("a").debug);
  CHECK(config->plugins.at("a").address_space_bytes == int64_t{512} << 20);
  CHECK(config->plugins.at("b").isolation.empty());
  CHECK(config->plugins.at("b").address_space_bytes == int64_t{4} << 30);
  CHECK(config->plugins.at("b").open_files == 64);
  CHECK(config->plugins.at("c").address_space_bytes == 0);

  const std::string plugin = "[plugins.x]\npath = \"x.so\"\n";
  CHECK(complaint(plugin + "isolation = \"none\"\n") ==
        "skepd.toml:3: 'plugins.x.isolation' must be process or in-process, not 'none'");
  CHECK(complaint(plugin + "debug = 1\n").find("must be true or false") != std::string::npos);
  const std::string limits = plugin + "[plugins.x.limits]\n";
  for (const char* size : {"512", "m", "0m", "5t", "-1g", "9999999999g"}) {
    CHECK(complaint(limits + "address_space = \"" + size + "\"\n").find("must be a size") !=
          std::string::npos);
  }
  for (const char* size : {"1k", "16m", "31m"}) {
    CHECK(complaint(limits + "address_space = \"" + size + "\"\n") ==
          "skepd.toml:4: 'plugins.x.limits.address_space' must be \"32m\" at least, or a driver's "
          "process does not come up, not \"" +
              std::string(size) + "\"");
  }
  CHECK(base::parse_config(limits + "address_space = \"32m\"\n", "skepd.toml").has_value());
  CHECK(complaint(limits + "open_files = 2\n").find("from 16 on") != std::string::npos);
  CHECK(complaint(limits + "open_files = \"2\"\n").find("from 16 on") != std::string::npos);
  CHECK(complaint(limits + "cpus = 2\n").find("unknown key") != std::string::npos);
  CHECK(complaint("lb = \"a\"\n").find("list of strings") != std::string::npos);
  CHECK(complaint("lb = [1]\n").find("list of strings") != std::string::npos);
  CHECK(complaint("lb = [\"z\"]\n") == "skepd.toml:1: 'lb' names 'z', but there is no [plugins.z]");
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
