// The test program's entry. "list FOLDER ADDRESS" makes it a second process that loads the driver
// anew and prints what it finds: that is how the recovery tests tell that nothing lives in the
// first process.
// SPDX-License-Identifier: Apache-2.0
#define CATCH_CONFIG_RUNNER
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <exception>
#include <string_view>

#include "tests/integration/runtime_plugin/world.hpp"

int main(int count, char** arguments) {
  using skep::test::json;
  if (count == 4 && std::string_view(arguments[1]) == "list") {
    const json config = {{"address", arguments[3]}};
    skep::test::Plugin plugin(config, "node-1", std::string(arguments[2]) + "/data");
    const skep::test::Outcome outcome = plugin.call(plugin.runtime->list, json::object());
    std::puts(outcome.ok() ? outcome.reply.dump().c_str() : outcome.error.c_str());
    return outcome.ok() ? 0 : 1;
  }
  if (geteuid() != 0) {
    std::puts("SKIP: needs root, for containers");
    return 77;  // as CMakeLists.txt tells ctest
  }
  if (access("/usr/bin/containerd", X_OK) != 0) {
    std::puts("SKIP: needs containerd, which is not installed");
    return 77;  // as CMakeLists.txt tells ctest
  }
  try {
    skep::test::World::get();
  } catch (const std::exception& error) {
    std::printf("the tests' containerd can't be set up: %s\n", error.what());
    return 1;
  }
  const int result = Catch::Session().run(count, arguments);
  skep::test::World::end();
  return result;
}
