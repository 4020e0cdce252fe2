// What a task may have mounted: the rules, Docker's JSON both ways, and what is not built.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/mounts.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/model/validate.hpp"
#include "daemon/api/docker_json/docker_json.hpp"

namespace skep {
namespace {

using docker_json::parse_service_spec;
using model::Mount;
using model::MountType;
using Json = nlohmann::ordered_json;

Mount mount_of(MountType type, const std::string& source, const std::string& target) {
  Mount mount;
  mount.type = type;
  mount.source = source;
  mount.target = target;
  return mount;
}

std::string refusal(const Mount& mount) {
  const Status status = model::validate_mounts({mount});
  return status ? "accepted" : status.error().message;
}

std::string service_with(const std::string& mounts) {
  return R"({"Name":"web","TaskTemplate":{"ContainerSpec":{"Image":"httpd","Mounts":)" + mounts +
         "}}}";
}

TEST_CASE("a volume, a bind and memory are accepted") {
  std::vector<Mount> mounts = {
      mount_of(MountType::volume, "data", "/data"), mount_of(MountType::volume, "", "/anonymous"),
      mount_of(MountType::bind, "/etc", "/host/etc"), mount_of(MountType::tmpfs, "", "/tmp")};
  mounts[0].read_only = true;
  mounts[3].tmpfs = model::TmpfsOptions{1 << 20, 0700};
  CHECK(model::validate_mounts(mounts));
}

TEST_CASE("two mounts at one place are refused, however it is spelled") {
  const std::vector<Mount> mounts = {mount_of(MountType::volume, "aa", "/data"),
                                     mount_of(MountType::volume, "bb", "//data/./")};
  CHECK(model::validate_mounts(mounts).error().message == "duplicate mount point: //data/./");
  model::ServiceSpec spec;
  spec.task.container.image = "httpd";
  spec.task.container.mounts = mounts;
  const Status status = model::validate_service_spec(spec);
  REQUIRE_FALSE(status);
  CHECK(status.error().message ==
        "TaskTemplate.ContainerSpec.Mounts: duplicate mount point: //data/./");
  CHECK_FALSE(model::validate_mounts(std::vector<Mount>(300, mounts[0])));
}

TEST_CASE("each kind of mount has a source of its kind and a place below the root") {
  CHECK(refusal(mount_of(MountType::volume, "data", "data")) ==
        "invalid mount target, must be an absolute path: data");
  CHECK(refusal(mount_of(MountType::volume, "data", "")) ==
        "invalid mount config for type \"volume\": field Target must not be empty");
  CHECK(refusal(mount_of(MountType::volume, "data", "/./a/..")) ==
        "invalid mount config for type \"volume\": invalid specification: destination can't be "
        "'/'");
  CHECK(refusal(mount_of(MountType::bind, "data", "/data")) ==
        "invalid bind mount source, must be an absolute path: data");
  CHECK(refusal(mount_of(MountType::volume, "/data", "/data")) ==
        "invalid volume mount source, must not be an absolute path: /data");
  CHECK(refusal(mount_of(MountType::tmpfs, "data", "/data")) ==
        "invalid tmpfs source, source must be empty");
  CHECK(refusal(mount_of(MountType::bind, std::string("/a\0b", 4), "/data")) ==
        "invalid mount config for type \"bind\": a path holds a zero byte");
}

TEST_CASE("options of another kind of mount, and values that mean nothing, are refused") {
  Mount bind = mount_of(MountType::bind, "/etc", "/e");
  bind.volume.emplace();
  CHECK(refusal(bind) ==
        "invalid mount config for type \"bind\": field VolumeOptions must not be specified");
  bind.volume.reset();
  bind.tmpfs.emplace();
  CHECK(refusal(bind) ==
        "invalid mount config for type \"bind\": field TmpfsOptions must not be specified");
  bind.tmpfs.reset();
  bind.bind = model::BindOptions{"upwards"};
  CHECK(refusal(bind) ==
        "invalid mount config for type \"bind\": invalid propagation mode: upwards");
  Mount memory = mount_of(MountType::tmpfs, "", "/t");
  memory.bind.emplace();
  CHECK(refusal(memory) ==
        "invalid mount config for type \"tmpfs\": field BindOptions must not be specified");
  memory.bind.reset();
  memory.tmpfs = model::TmpfsOptions{-1, 0};
  CHECK(refusal(memory).ends_with("the size must not be negative"));
  memory.tmpfs = model::TmpfsOptions{0, 010000};
  CHECK(refusal(memory).ends_with("the mode must be at most 7777"));
  Mount anonymous = mount_of(MountType::volume, "", "/d");
  anonymous.read_only = true;
  CHECK(refusal(anonymous).ends_with("must not set ReadOnly mode when using anonymous volumes"));
}

TEST_CASE("a volume's name is Docker's") {
  for (const char* good : {"ab", "0.1", "Data_2-x"}) CHECK(model::validate_volume_name(good));
  CHECK(model::validate_volume_name("a").error().message ==
        "volume name is too short, names should be at least two alphanumeric characters");
  CHECK(model::validate_volume_name("./data").error().message ==
        "\"./data\" includes invalid characters for a local volume name, only "
        "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use "
        "absolute path");
  CHECK(model::validate_volume_name(std::string(128, 'a')));
  CHECK_FALSE(model::validate_volume_name(std::string(129, 'a')));
  CHECK(refusal(mount_of(MountType::volume, "-x", "/d")).starts_with("\"-x\" includes"));
}

TEST_CASE("the drivers that a node must have are those that not every node has") {
  std::vector<Mount> mounts(5, mount_of(MountType::volume, "data", "/data"));
  const std::vector<std::string> names = {"", "local", "volume-local", "nfs", "ceph"};
  for (size_t i = 0; i < names.size(); ++i) {
    mounts[i].volume.emplace();
    mounts[i].volume->driver = model::VolumeDriverConfig{names[i], {}};
  }
  CHECK(model::foreign_volume_drivers(mounts) == std::vector<std::string>{"ceph", "nfs"});
  CHECK(model::foreign_volume_drivers({mount_of(MountType::volume, "data", "/d")}).empty());
}

TEST_CASE("mounts go through Docker's JSON and back") {
  const std::string mounts =
      R"([{"Type":"volume","Source":"data","Target":"/data","ReadOnly":true,)"
      R"("VolumeOptions":{"NoCopy":true,"Labels":{"a":"b"},)"
      R"("DriverConfig":{"Name":"local","Options":{"type":"tmpfs"}}}},)"
      R"({"Type":"bind","Source":"/etc","Target":"/e","Consistency":"cached",)"
      R"("BindOptions":{"Propagation":"rprivate"}},)"
      R"({"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":1048576,"Mode":448}}])";
  const auto spec = parse_service_spec(service_with(mounts));
  REQUIRE(spec);
  REQUIRE(spec->task.container.mounts.size() == 3);
  CHECK(spec->task.container.mounts[0].volume->driver->options.at("type") == "tmpfs");
  CHECK(spec->task.container.mounts[2].tmpfs->mode == 0700);
  CHECK(model::validate_service_spec(*spec));
  const Json shown = Json::parse(docker_json::service_spec_to_json(*spec));
  CHECK(shown["TaskTemplate"]["ContainerSpec"]["Mounts"] == Json::parse(mounts));
  const auto again = parse_service_spec(shown.dump());
  REQUIRE(again);
  CHECK_FALSE(docker_json::first_template_difference(spec->task, again->task));
  model::TaskSpec other = spec->task;
  other.container.mounts[0].source = "more";
  CHECK(docker_json::first_template_difference(spec->task, other) ==
        "TaskTemplate.ContainerSpec.Mounts");
}

TEST_CASE("kinds and options of mounts that aren't built are refused by name") {
  const auto refused = [](const std::string& mount) {
    const auto spec = parse_service_spec(service_with("[" + mount + "]"));
    if (spec) return std::string("accepted");
    CHECK(spec.error().kind == ErrorKind::unimplemented);
    return spec.error().message;
  };
  CHECK(refused(R"({"Type":"cluster","Source":"x","Target":"/x"})") ==
        "not implemented yet: TaskTemplate.ContainerSpec.Mounts: type cluster");
  CHECK(refused(R"({"Type":"volume","Target":"/x","VolumeOptions":{"Subpath":"a"}})") ==
        "not implemented yet: VolumeOptions.Subpath");
  CHECK(refused(R"({"Type":"bind","Source":"/x","Target":"/x",
      "BindOptions":{"Propagation":"rshared"}})") ==
        "not implemented yet: BindOptions.Propagation: the only propagation is rprivate");
  CHECK(refused(R"({"Type":"bind","Source":"/x","Target":"/x",
      "BindOptions":{"Propagation":"rprivate","NonRecursive":false}})") == "accepted");
  CHECK(refused(R"({"Type":"volume","Source":"{{.Task.Slot}}","Target":"/x"})") ==
        "not implemented yet: Source: placeholders ({{...}})");
  CHECK(refused(R"({"Type":"Cluster","Source":"x","Target":"/x"})") ==
        "not implemented yet: TaskTemplate.ContainerSpec.Mounts: type cluster");
  CHECK(refused(R"({"Type":"bind","Source":"/x","Target":"/x",
      "BindOptions":{"Propagation":"RShared"}})") ==
        "not implemented yet: BindOptions.Propagation: the only propagation is rprivate");
}

TEST_CASE(
    "placeholders in a volume's labels and its driver's options are refused, not kept as text") {
  const auto refused = [](const std::string& options) {
    const auto spec = parse_service_spec(service_with(
        R"([{"Type":"volume","Source":"data","Target":"/x","VolumeOptions":)" + options + "}]"));
    return spec ? "accepted" : spec.error().message;
  };
  CHECK(refused(R"({"Labels":{"a":"b","slot":"x{{.Task.Slot}}"}})") ==
        "not implemented yet: VolumeOptions.Labels: placeholders ({{...}})");
  CHECK(refused(R"({"DriverConfig":{"Options":{"device":":/x/{{.Node.Hostname}}"}}})") ==
        "not implemented yet: VolumeOptions.DriverConfig.Options: placeholders ({{...}})");
  // Docker doesn't look for them in keys and in the driver's name.
  CHECK(refused(R"({"Labels":{"{{a}}":"b"},"DriverConfig":{"Name":"x","Options":{"{{":"}}"}}})") ==
        "accepted");
}

TEST_CASE("the words of a mount may be written in capitals, and one without a type is a bind") {
  const auto mount = [](const std::string& json) {
    const auto spec = parse_service_spec(service_with("[" + json + "]"));
    REQUIRE(spec);
    return spec->task.container.mounts.at(0);
  };
  CHECK(mount(R"({"Type":"Volume","Target":"/x"})").type == MountType::volume);
  CHECK(mount(R"({"Type":"TMPFS","Target":"/x"})").type == MountType::tmpfs);
  for (const char* bind :
       {R"({"Source":"/a","Target":"/x"})", R"({"Type":"","Source":"/a","Target":"/x"})",
        R"({"Type":null,"Source":"/a","Target":"/x"})"}) {
    CHECK(mount(bind).type == MountType::bind);
  }
  const Mount spelled = mount(R"({"Type":"BIND","Source":"/a","Target":"/x",
      "BindOptions":{"Propagation":"RPrivate"}})");
  CHECK(spelled.bind->propagation == "rprivate");
  const auto refused = [](const std::string& json) {
    const auto spec = parse_service_spec(service_with("[" + json + "]"));
    REQUIRE_FALSE(spec);
    CHECK(spec.error().kind == ErrorKind::invalid);
    return spec.error().message;
  };
  CHECK(refused(R"({"Type":"Floppy","Target":"/x"})") == R"(invalid MountType: "Floppy")");
  CHECK(refused(R"({"Type":7,"Target":"/x"})") ==
        "TaskTemplate.ContainerSpec.Mounts[0].Type: expected a string, got number");
  CHECK(refused(R"({"Source":"/a","Target":"/x","BindOptions":{"Propagation":"Upwards"}})") ==
        R"(invalid MountPropagation: "Upwards")");
}

TEST_CASE("a volume is shown, listed and asked for as with Docker") {
  docker_json::VolumeView view;
  view.name = "data";
  view.driver = "local";
  view.mountpoint = "/v/data";
  view.scope = "local";
  view.labels = {{"a", "b"}};
  const Json shown = Json::parse(docker_json::volume_to_json(view));
  CHECK(shown["Name"] == "data");
  CHECK(shown["Options"] == Json::object());
  CHECK(docker_json::parse_volume(shown.dump()) == view);
  docker_json::VolumeList list;
  list.volumes = {view};
  CHECK(docker_json::parse_volumes(docker_json::volumes_to_json(list)) == list);
  CHECK(docker_json::volumes_to_json({}) == R"({"Volumes":[],"Warnings":[]})");
  CHECK(docker_json::pruned_volumes_to_json({"a"}, 7) ==
        R"({"VolumesDeleted":["a"],"SpaceReclaimed":7})");

  const auto asked = docker_json::parse_volume_create(
      R"({"Name":"data","Driver":"nfs","DriverOpts":{"k":"v"},"Labels":null})");
  REQUIRE(asked);
  CHECK(asked->options.at("k") == "v");
  CHECK(docker_json::parse_volume_create(docker_json::volume_create_to_json(*asked)) == *asked);
  CHECK(docker_json::parse_volume_create("{}"));
  CHECK(docker_json::parse_volume_create(R"({"Name":7})").error().kind == ErrorKind::invalid);
  const auto cluster = docker_json::parse_volume_create(R"({"ClusterVolumeSpec":{}})");
  REQUIRE_FALSE(cluster);
  CHECK(cluster.error().message == "not implemented yet: ClusterVolumeSpec");
}

}  // namespace
}  // namespace skep
