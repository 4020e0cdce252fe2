// Which objects a `filters` parameter lets through.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/filters.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/unit/api/api_world.hpp"

namespace {

using skep::api::Filters;
using skep::api::Request;

Filters labels(const char* json) {
  Request request;
  request.query.emplace_back("filters", json);
  return Filters::parse(request, {"label"}).value();
}

}  // namespace

TEST_CASE(
    "several label filters must all hold, so that a prune with two takes less than with one") {
  const skep::model::Labels one{{"a", "1"}};
  const skep::model::Labels both{{"a", "1"}, {"b", ""}};
  const Filters wanted = labels(R"({"label":{"a=1":true,"b":true}})");
  CHECK_FALSE(wanted.allows_label("label", {}));
  CHECK_FALSE(wanted.allows_label("label", one));
  CHECK(wanted.allows_label("label", both));
  CHECK_FALSE(labels(R"({"label":["a=2"]})").allows_label("label", both));
  CHECK(labels("{}").allows_label("label", {}));
}

TEST_CASE("containers and networks are found by name as volumes are: by a regular expression") {
  skep::api::test::ApiWorld world;
  for (const char* name : {"web.1.x", "web.2.y", "myweb.1.z"}) {
    skep::agent::Container container;
    container.id = name;
    container.name = name;
    container.state = skep::agent::ContainerState::running;
    world.containers.push_back(std::make_shared<const skep::agent::Container>(container));
    world.networks.push_back({name, name, "bridge", "", "", {}});
  }
  const auto count = [&](const char* path, const char* names) {
    const skep::api::Response answer =
        world.ask_filtered("GET", path, std::string(R"({"name":)") + names + "}");
    REQUIRE(answer.status == 200);
    return nlohmann::json::parse(answer.body).size();
  };
  for (const char* path : {"/containers/json", "/networks"}) {
    CHECK(count(path, R"(["web"])") == 3);
    CHECK(count(path, R"(["^web"])") == 2);
    CHECK(count(path, R"(["^web\\.1", "\\.z$"])") == 2);
    CHECK(count(path, R"(["web("])") == 0);
  }
  // A container's name is with and without the slash that Docker shows.
  CHECK(count("/containers/json", R"(["/web"])") == 2);
  CHECK(count("/containers/json", R"(["^/web.1.x$"])") == 1);
  CHECK(count("/containers/json", R"(["/myweb.1.z"])") == 1);
}
