// How the daemon's plugins are shown: one word for their state, and a page for one of them.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/plugin/daemon_view.hpp"

using Catch::Matchers::Contains;
using skep::cli::Json;

namespace {

Json plugin(const std::string& name, const std::string& state, const std::string& probe,
            const std::string& why = "") {
  return {{"name", name},
          {"id", "volume-x"},
          {"version", "1.2"},
          {"path", "/opt/x.so"},
          {"interfaces", {"skep.base/1", "skep.volume/1"}},
          {"isolation", "process"},
          {"pid", 4711},
          {"state", state},
          {"reason", state == "serving" ? "" : why},
          {"probe", {{"state", probe}, {"reason", state == "serving" ? why : ""}}},
          {"restarts", 3},
          {"recent_losses", 0},
          {"log_level", "info"}};
}

std::string state(const std::string& run, const std::string& probe, const std::string& why = "") {
  return skep::cli::plugin_state(plugin("a", run, probe, why));
}

}  // namespace

TEST_CASE("a plugin's state is one word, with its reason when it isn't the good one") {
  CHECK(state("serving", "ready", "ignored") == "ready");
  CHECK(state("serving", "not_ready", "no pool") == "not ready: no pool");
  CHECK(state("serving", "broken", "no kernel support") == "broken: no kernel support");
  CHECK(state("serving", "unknown") == "not ready: not asked yet");
  CHECK(state("restarting", "ready", "killed by signal 9") == "restarting: killed by signal 9");
  CHECK(state("unhealthy", "ready", "lost 5 times") == "unhealthy: lost 5 times");
  CHECK(state("ended", "ready") == "ended");
}

TEST_CASE("a plugin's kind is that of its first interface beyond the base") {
  const auto kind = [](const Json& interfaces) {
    return skep::cli::plugin_kind({{"interfaces", interfaces}});
  };
  CHECK(kind({"skep.base/1", "skep.volume/1"}) == "volume");
  CHECK(kind({"skep.runtime.exec/1", "skep.runtime/1"}) == "runtime");
  CHECK(kind({"skep.base/1"}) == "-");
  CHECK(kind(Json::array()) == "-");
}

TEST_CASE("the list stands in the order of the names, and tells which balancer is used") {
  Json balancer = plugin("lb-null", "serving", "ready");
  balancer["interfaces"] = {"skep.base/1", "skep.lb/1"};
  const Json answer = {
      {"plugins", {plugin("v10", "serving", "ready"), plugin("v9", "serving", "ready"), balancer}},
      {"lb", {{"used", "lb-null"}, {"passed_over", Json::array()}}}};
  const std::vector<Json> rows = skep::cli::plugin_rows(answer);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0]["State"] == "ready (in use)");
  CHECK(rows[1]["Name"] == "v9");
  CHECK(rows[2] == Json({{"Name", "v10"},
                         {"ID", "volume-x"},
                         {"Version", "1.2"},
                         {"Kind", "volume"},
                         {"Isolation", "process"},
                         {"State", "ready"},
                         {"Restarts", "3"}}));
}

TEST_CASE("a plugin's page shows each operation with its errors and times, and its own figures") {
  Json one = plugin("a", "serving", "ready");
  one["recent_losses"] = 2;
  one["config"] = {{"root", "/srv"}};
  one["operations"] = {{{"interface", "skep.volume/1"},
                        {"operation", "publish"},
                        {"ended", 12},
                        {"in_flight", 1},
                        {"errors", {{"busy", 2}, {"not_found", 1}}},
                        {"p50_ns", 12345},
                        {"p99_ns", 2'500'000'000}},
                       {{"interface", "skep.base/1"},
                        {"operation", "probe"},
                        {"ended", 0},
                        {"in_flight", 0},
                        {"errors", Json::object()},
                        {"p50_ns", 0},
                        {"p99_ns", 0}}};
  one["metrics"] = {{{"name", "pool.free"}, {"kind", "gauge"}, {"value", -7}}};
  const std::string page = skep::cli::plugin_page(one);
  CHECK_THAT(page, Contains("Plugin:     volume-x 1.2\nState:      ready\n"));
  CHECK_THAT(page, Contains("Isolation:  process (4711)\n"));
  CHECK_THAT(page, Contains("Restarts:   3 (lost 2 times within two minutes)\n"));
  CHECK_THAT(page, Contains("Config:     {\"root\":\"/srv\"}\n"));
  CHECK_THAT(page, Contains("volume.publish   12        1           12.3us    2.5s      busy 2, "
                            "not_found 1\n"));
  CHECK_THAT(page, Contains("base.probe       0         0           -         -         -\n"));
  CHECK_THAT(page, Contains("pool.free   gauge     -7\n"));
  CHECK_THAT(skep::cli::plugin_page(plugin("b", "serving", "ready")), !Contains("OPERATION"));
}
