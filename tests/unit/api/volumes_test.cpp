// The endpoints of volumes, as Docker's clients see them: statuses, sentences, filters, prune.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/unit/api/api_world.hpp"

namespace skep::api::test {
namespace {

using Json = nlohmann::json;
using Names = std::vector<std::string>;

const model::Labels kAnonymous = {{agent::kAnonymousVolumeLabel, ""}};

Names listed(ApiWorld& world, const std::string& filters) {
  const Response answer = world.ask_filtered("GET", "/v1.47/volumes", filters);
  REQUIRE(answer.status == 200);
  const Json body = Json::parse(answer.body);
  Names names;
  for (const Json& volume : body["Volumes"]) names.push_back(volume["Name"]);
  return names;
}

// What a prune with these filters removed.
Names pruned(ApiWorld& world, const std::string& filters, const std::string& version = "/v1.47") {
  const Response answer = world.ask_filtered("POST", version + "/volumes/prune", filters);
  REQUIRE(answer.status == 200);
  return Json::parse(answer.body)["VolumesDeleted"].get<Names>();
}

TEST_CASE("a volume that is asked for is made as asked, and shown") {
  ApiWorld world;
  const Response made = world.ask("POST", "/v1.47/volumes/create",
                                  R"({"Name":"data","Driver":"nfs","DriverOpts":{"k":"v"},)"
                                  R"("Labels":{"tier":"gold"}})");
  CHECK(made.status == 201);
  REQUIRE(world.volumes.wishes.size() == 1);
  const agent::VolumeWish& wish = world.volumes.wishes.front();
  CHECK(wish.name == "data");
  CHECK(wish.driver == "nfs");
  CHECK(wish.options.at("k") == "v");
  CHECK(wish.labels.at("tier") == "gold");
  const Json expected = Json::parse(
      R"({"CreatedAt":"2020-09-13T12:26:40Z","Driver":"local","Labels":{"tier":"gold"},)"
      R"("Mountpoint":"/volumes/data","Name":"data","Options":{"k":"v"},"Scope":"local"})");
  CHECK(Json::parse(made.body) == expected);
  CHECK(Json::parse(world.ask("GET", "/volumes/data").body) == expected);
  CHECK(world.ask("POST", "/volumes/create", "{}").status == 201);
  CHECK(world.volumes.wishes.back().name.empty());
}

TEST_CASE("what can't be a request for a volume is refused before anybody is asked") {
  ApiWorld world;
  const auto refused = [&](const std::string& body) {
    return told(world.ask("POST", "/v1.47/volumes/create", body));
  };
  CHECK(refused("") == "400 the body is empty, expected JSON");
  CHECK(refused("{\"Name\":") == "400 the body is not valid JSON");
  CHECK(refused("{}{}") == "400 the body is not valid JSON");
  CHECK(refused("[]") == "400 body: expected an object, got array");
  CHECK(refused(R"({"Name":7})") == "400 Name: expected a string, got number");
  CHECK(refused(R"({"Driver":{}})") == "400 Driver: expected a string, got object");
  CHECK(refused(R"({"DriverOpts":["a"]})") == "400 DriverOpts: expected an object, got array");
  CHECK(refused(R"({"Labels":{"a":1}})") == "400 Labels.a: expected a string, got number");
  CHECK(refused(R"({"Name":"x","ClusterVolumeSpec":{"Group":"g"}})") ==
        "501 not implemented yet: ClusterVolumeSpec");
  CHECK(world.volumes.calls.empty());
  CHECK(
      world.ask("POST", "/volumes/create", R"({"Labels":null,"ClusterVolumeSpec":null})").status ==
      201);
}

TEST_CASE("why a volume can't be made comes with the status of its kind") {
  ApiWorld world;
  const auto refused = [&](ErrorKind kind) {
    world.volumes.refusals.insert_or_assign("create data", Error{kind, "create data: why"});
    return told(world.ask("POST", "/volumes/create", R"({"Name":"data"})"));
  };
  CHECK(refused(ErrorKind::invalid) == "400 create data: why");
  CHECK(refused(ErrorKind::not_found) == "404 create data: why");
  CHECK(refused(ErrorKind::conflict) == "409 create data: why");
  CHECK(refused(ErrorKind::internal) == "500 create data: why");
  CHECK(refused(ErrorKind::unavailable) == "503 create data: why");
  CHECK(world.volumes.volumes.empty());
}

TEST_CASE("a volume that isn't there is told in Docker's words, whatever its name") {
  ApiWorld world;
  CHECK(told(world.ask("GET", "/v1.47/volumes/data")) == "404 get data: no such volume");
  CHECK(told(world.ask("DELETE", "/v1.47/volumes/data")) == "404 get data: no such volume");
  CHECK(told(world.ask("GET", "/volumes/a/b")) == "404 get a/b: no such volume");
  CHECK(told(world.ask("DELETE", "/volumes/%2Fetc%20x")) == "404 get /etc x: no such volume");
  CHECK(told(world.ask("PATCH", "/volumes/data")) == "404 page not found");
}

TEST_CASE("a volume is removed unless it is in use, and by force also if it isn't there") {
  ApiWorld world;
  world.volumes.add("data");
  world.volumes.add("busy").holders = {"c0ffee"};
  CHECK(told(world.ask("DELETE", "/v1.47/volumes/data")) == "204");
  CHECK(world.volumes.calls == Names{"remove data"});
  for (const char* force : {"", "?force=1", "?force=true"}) {
    CHECK(told(world.ask("DELETE", std::string("/v1.47/volumes/busy") + force)) ==
          "409 remove busy: volume is in use - [c0ffee]");
  }
  CHECK(world.volumes.calls.back() == "remove busy by force");
  CHECK(told(world.ask("DELETE", "/volumes/gone?force=1")) == "204");
  CHECK(told(world.ask("DELETE", "/volumes/gone?force=0")) == "404 get gone: no such volume");
}

TEST_CASE("the list is an object with warnings, also without a volume") {
  ApiWorld world;
  CHECK(told(world.ask("GET", "/v1.47/volumes")) == R"(200 {"Volumes":[],"Warnings":[]})");
  world.volumes.add("b2");
  world.volumes.add("a1");
  CHECK(listed(world, "{}") == Names{"a1", "b2"});
  CHECK(listed(world, R"({"name":{}})") == Names{"a1", "b2"});
}

TEST_CASE("volumes are listed by name as Docker finds them: by a regular expression") {
  ApiWorld world;
  for (const char* name : {"data", "data-2", "metadata", "a.b", "axb"}) world.volumes.add(name);
  CHECK(listed(world, R"({"name":["data"]})") == Names{"data", "data-2", "metadata"});
  CHECK(listed(world, R"({"name":["^data$"]})") == Names{"data"});
  CHECK(listed(world, R"({"name":["^data"]})") == Names{"data", "data-2"});
  CHECK(listed(world, R"({"name":["a.b"]})") == Names{"a.b", "axb"});
  CHECK(listed(world, R"({"name":["a\\.b", "-[0-9]"]})") == Names{"a.b", "data-2"});
  // What is no expression finds nothing and isn't an error, as with Docker.
  CHECK(listed(world, R"({"name":["data("]})").empty());
  CHECK(listed(world, R"({"name":["*", "axb"]})") == Names{"axb"});
  CHECK(listed(world, R"({"name":["(a*)*$"]})").size() == 5);
}

TEST_CASE("volumes are listed by driver, label and use, all of which must hold") {
  ApiWorld world;
  world.volumes.add("plain");
  world.volumes.add("gold", {{"tier", "gold"}});
  world.volumes.add("team", {{"tier", "gold"}, {"team", "a"}}).holders = {"c0ffee"};
  world.volumes.add("far").driver = "nfs";
  CHECK(listed(world, R"({"driver":["nfs"]})") == Names{"far"});
  CHECK(listed(world, R"({"driver":["nfs","local"]})").size() == 4);
  CHECK(listed(world, R"({"driver":["ceph"]})").empty());
  CHECK(listed(world, R"({"label":["tier"]})") == Names{"gold", "team"});
  CHECK(listed(world, R"({"label":["tier=gold","team=a"]})") == Names{"team"});
  CHECK(listed(world, R"({"label":["tier=silver"]})").empty());
  CHECK(listed(world, R"({"dangling":["true"]})") == Names{"far", "gold", "plain"});
  CHECK(listed(world, R"({"dangling":["0"]})") == Names{"team"});
  CHECK(listed(world, R"({"dangling":{"1":true},"label":{"tier":true}})") == Names{"gold"});
}

TEST_CASE("filters that mean nothing are refused in Docker's words") {
  ApiWorld world;
  const auto refused = [&](const std::string& filters) {
    return told(world.ask_filtered("GET", "/v1.47/volumes", filters));
  };
  CHECK(refused(R"({"size":["1"]})") == "400 invalid filter 'size'");
  CHECK(refused(R"({"dangling":["maybe"]})") == "400 invalid filter 'dangling=[maybe]'");
  CHECK(refused(R"({"dangling":["True"]})") == "400 invalid filter 'dangling=[True]'");
  CHECK(refused(R"({"dangling":["0","1"]})") == "400 invalid filter 'dangling=[0 1]'");
  for (const char* malformed : {"{", "[]", "7", R"({"name":"data"})", R"({"name":[7]})"}) {
    CHECK(told(world.ask_filtered("GET", "/volumes", malformed)).starts_with("400 filters: "));
  }
}

TEST_CASE("prune takes what nobody named, and all only if it is told so") {
  ApiWorld world;
  world.volumes.add("named");
  world.volumes.add("nameless", kAnonymous);
  world.volumes.add("busy", kAnonymous).holders = {"c0ffee"};
  world.volumes.add("special", kAnonymous).options = {{"type", "tmpfs"}};
  world.volumes.add("far", kAnonymous).driver = "nfs";
  CHECK(pruned(world, R"({"all":["false"]})") == Names{"nameless"});
  CHECK(pruned(world, "{}").empty());
  CHECK(pruned(world, R"({"all":["t"]})") == Names{"named"});
  CHECK(world.volumes.volumes.size() == 3);
  for (const std::string& call : world.volumes.calls)
    CHECK(call.find("by force") == std::string::npos);
}

TEST_CASE("prune takes named volumes from clients of an older version") {
  ApiWorld world;
  world.volumes.add("named");
  CHECK(pruned(world, "{}", "/v1.42").empty());
  CHECK(pruned(world, R"({"all":["true"]})", "/v1.41") == Names{"named"});
  world.volumes.add("more");
  CHECK(pruned(world, "{}", "/v1.41") == Names{"more"});
  world.volumes.add("kept");
  CHECK(told(world.ask_filtered("POST", "/v1.41/volumes/prune", R"({"all":["0"]})")) ==
        "400 invalid filter 'all=[0 true]': only one value is expected");
}

TEST_CASE("all labels of a prune must hold, and all labels that spare one") {
  ApiWorld world;
  const auto fill = [&] {
    world.volumes.volumes.clear();
    world.volumes.add("plain");
    world.volumes.add("tmp", {{"tmp", ""}});
    world.volumes.add("team", {{"tmp", ""}, {"team", "a"}});
  };
  fill();
  CHECK(pruned(world, R"({"all":["1"],"label":["tmp","team=a"]})") == Names{"team"});
  fill();
  CHECK(pruned(world, R"({"all":["1"],"label":["tmp"]})") == Names{"team", "tmp"});
  fill();
  CHECK(pruned(world, R"({"all":["1"],"label!":["tmp","team=a"]})") == Names{"plain", "tmp"});
  fill();
  CHECK(pruned(world, R"({"all":["1"],"label!":["tmp"]})") == Names{"plain"});
  fill();
  CHECK(pruned(world, R"({"all":["1"],"label":["tmp"],"label!":["team"]})") == Names{"tmp"});
  fill();
  CHECK(pruned(world, R"({"label":["tmp"]})").empty());
}

TEST_CASE("a prune that can't be meant removes nothing") {
  ApiWorld world;
  world.volumes.add("nameless", kAnonymous);
  const auto refused = [&](const std::string& filters) {
    return told(world.ask_filtered("POST", "/v1.47/volumes/prune", filters));
  };
  CHECK(refused(R"({"all":["maybe"]})") ==
        "400 invalid filter 'all': strconv.ParseBool: parsing \"maybe\": invalid syntax");
  CHECK(refused(R"({"all":["1","true"]})") ==
        "400 invalid filter 'all=[1 true]': only one value is expected");
  CHECK(refused(R"({"name":["nameless"]})") == "400 invalid filter 'name'");
  CHECK(refused(R"({"until":["1h"]})") == "400 invalid filter 'until'");
  CHECK(refused("{").starts_with("400 filters: "));
  CHECK(world.volumes.calls.empty());
  CHECK(world.events().empty());
}

TEST_CASE("prune goes on after a volume that can't be removed, and tells which and why") {
  ApiWorld world;
  for (const char* name : {"a1", "b2", "c3", "d4", "e5"}) {
    world.volumes.add(name, kAnonymous);
    world.volumes.bytes[name] = 10;
  }
  world.volumes.refusals.emplace("remove b2",
                                 Error{ErrorKind::busy, "remove b2: somebody reads it"});
  world.volumes.refusals.emplace("remove a1", Error{ErrorKind::conflict, "remove a1: no"});
  // These are taken into use and away in the last moment, which is nobody's mistake.
  world.volumes.while_removed = [&](const std::string& name) {
    if (name == "c3") world.volumes.volumes[name].holders = {"c0ffee"};
    if (name == "d4") world.volumes.volumes.erase(name);
  };
  const Response answer = world.ask("POST", "/v1.47/volumes/prune");
  CHECK(answer.status == 200);
  CHECK(Json::parse(answer.body) == Json::parse(R"({"VolumesDeleted":["e5"],"SpaceReclaimed":10,
          "Warnings":["remove a1: no","remove b2: somebody reads it"]})"));
  CHECK(world.events() == Names{"volume prune  reclaimed=10 local"});
}

TEST_CASE("a volume whose bytes can't be counted counts as none, is removed, and this is told") {
  ApiWorld world;
  world.volumes.add("a1", kAnonymous);
  world.volumes.add("b2", kAnonymous);
  world.volumes.add("c3", kAnonymous);
  world.volumes.add("d4", kAnonymous);
  world.volumes.bytes = {{"a1", 5}, {"b2", 7}, {"c3", 11}, {"d4", -1}};
  world.volumes.refusals.emplace("usage b2", Error{ErrorKind::deadline, "no answer in 30 s"});
  world.volumes.refusals.emplace("usage c3", Error{ErrorKind::unimplemented, "it can't count"});
  const Response answer = world.ask("POST", "/v1.47/volumes/prune");
  CHECK(answer.status == 200);
  CHECK(Json::parse(answer.body) ==
        Json::parse(R"({"VolumesDeleted":["a1","b2","c3","d4"],"SpaceReclaimed":5,
          "Warnings":["could not determine size of volume b2: no answer in 30 s",
                      "could not determine size of volume c3: it can't count"]})"));
  CHECK(world.events() == Names{"volume prune  reclaimed=5 local"});
}

TEST_CASE("what changes while others are counted is looked at again before it is removed") {
  ApiWorld world;
  for (const char* name : {"a1", "anew", "kept", "used", "z1"}) world.volumes.add(name);
  world.volumes.while_counted = [&](const std::string& name) {
    if (name == "a1") {
      world.volumes.volumes.erase("z1");
      world.volumes.add("kept", {{"keep", ""}});
      world.volumes.volumes["used"].holders = {"c0ffee"};
    }
    // Removed by somebody, and made anew by somebody who wants it.
    if (name == "anew") world.volumes.add("anew").created_at.unix_ns += 1;
  };
  CHECK(pruned(world, R"({"all":["1"],"label!":["keep"]})") == Names{"a1"});
  CHECK(world.volumes.volumes.size() == 3);
  CHECK(world.volumes.calls == Names{"usage a1", "remove a1", "usage anew"});
}

TEST_CASE("a prune that finds nothing answers Docker's two members, and is an event too") {
  ApiWorld world;
  CHECK(told(world.ask("POST", "/v1.47/volumes/prune")) ==
        R"(200 {"VolumesDeleted":[],"SpaceReclaimed":0})");
  CHECK(world.events() == Names{"volume prune  reclaimed=0 local"});
}

}  // namespace
}  // namespace skep::api::test
