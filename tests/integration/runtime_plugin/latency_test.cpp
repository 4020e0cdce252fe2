// How long until a container runs, against `ctr run -d` on the same containerd, one after the other
// so that a busy machine slows both. Not a test: hidden behind the tag [.latency], it prints
// medians.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>

#include "tests/integration/runtime_plugin/world.hpp"

namespace skep::test {

TEST_CASE("create and start against ctr run -d", "[.latency]") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string ctr = "ctr -a " + world.folder() + "/c.sock -n k8s.io ";
  std::vector<double> created;
  std::vector<double> both;
  std::vector<double> reference;
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto ms = [](auto span) { return std::chrono::duration<double, std::milli>(span).count(); };
  for (int i = 0; i < 20; ++i) {
    const std::string id = world.new_id();
    const json request = world.request(id, "sleep 60");
    const auto begin = now();
    REQUIRE(plugin->call(plugin->runtime->create, request).ok());
    const auto middle = now();
    REQUIRE(plugin->call(plugin->runtime->start, {{"id", id}}).ok());
    created.push_back(ms(middle - begin));
    both.push_back(ms(now() - begin));
    const std::string name = "reference" + std::to_string(i);
    const auto other = now();
    world.shell(ctr + "run -d " + image_name + " " + name + " /bin/sleep 60 </dev/null >/dev/null");
    reference.push_back(ms(now() - other));
    remove(*plugin, id);
    world.shell(ctr + "tasks rm -f " + name + " && " + ctr + "containers rm " + name);
  }
  const auto median = [](std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  std::printf("median ms: create %.1f, create and start %.1f, ctr run -d %.1f\n", median(created),
              median(both), median(reference));
}

}  // namespace skep::test
