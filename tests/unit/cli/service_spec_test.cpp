// Specs made and edited from options.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands/service_edit.hpp"

using namespace skep::cli;

TEST_CASE("a spec holds only what was asked for") {
  CreateOptions options;
  options.name = "web";
  options.fields.replicas = 3;
  options.fields.limit_memory = 1024;
  options.constraints = {"node.role==worker"};
  options.env = {"A=1"};
  const auto spec = make_spec(options, {"httpd:2.4", "sleep", "5"});
  REQUIRE(spec);
  CHECK(*spec == Json::parse(R"({"Name":"web","Labels":{},
    "Mode":{"Replicated":{"Replicas":3}},
    "TaskTemplate":{"ContainerSpec":{"Image":"httpd:2.4","Args":["sleep","5"],"Env":["A=1"]},
      "Placement":{"Constraints":["node.role==worker"]},
      "Resources":{"Limits":{"MemoryBytes":1024}}}})"));
}

TEST_CASE("replicas of a global service are refused before anything is sent") {
  CreateOptions options;
  options.mode = "global";
  options.fields.replicas = 2;
  CHECK_FALSE(make_spec(options, {"httpd"}));
}

TEST_CASE("an edit keeps what it doesn't know") {
  Json spec = Json::parse(R"({"Name":"web","Labels":{"a":"1","b":"2"},"Later":{"x":1},
    "Mode":{"Replicated":{"Replicas":1}},
    "TaskTemplate":{"ForceUpdate":4,"ContainerSpec":{"Image":"httpd","Env":["A=1","B=2"]},
      "Placement":{"Constraints":["node.id==x"]}}})");
  EditOptions options;
  options.labels.remove = {"a"};
  options.labels.add = {"c=3"};
  options.env.add = {"A=9"};
  options.env.remove = {"B"};
  options.constraints.remove = {"node.id==x"};
  options.force = true;
  REQUIRE(edit_spec(options, spec));
  CHECK(spec["Labels"] == Json::parse(R"({"b":"2","c":"3"})"));
  CHECK(spec["Later"]["x"] == 1);
  CHECK(spec["TaskTemplate"]["ContainerSpec"]["Env"] == Json::parse(R"(["A=9"])"));
  CHECK(spec["TaskTemplate"]["Placement"]["Constraints"].empty());
  CHECK(spec["TaskTemplate"]["ForceUpdate"] == 5);
}

TEST_CASE("an edit that changes nothing sends the spec back as it was") {
  const Json before = Json::parse(R"({"Name":"web","Labels":{},
    "Mode":{"Replicated":{"Replicas":1}},"TaskTemplate":{"ContainerSpec":{"Image":"httpd"}}})");
  Json spec = before;
  REQUIRE(edit_spec(EditOptions(), spec));
  CHECK(spec == before);
}

TEST_CASE("ports and shell words are read") {
  CHECK(parse_published_port("8080:80/udp").value() ==
        Json::parse(
            R"({"Protocol":"udp","TargetPort":80,"PublishedPort":8080,"PublishMode":"ingress"})"));
  CHECK(parse_published_port("published=1,target=2,mode=host").value()["PublishMode"] == "host");
  CHECK_FALSE(parse_published_port("80-90:80"));
  CHECK_FALSE(parse_published_port("99999"));
  CHECK(shell_words("sh -c 'a b' \"c\\\"d\"").value() == Words{"sh", "-c", "a b", "c\"d"});
  CHECK_FALSE(shell_words("'open"));
}
