// `--mount`, word for word.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/mount_option.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace skep::cli {
namespace {

std::string refusal(const std::string& text) {
  const Result<Json> mount = parse_mount(text);
  return mount ? "accepted: " + mount->dump() : mount.error().message;
}

TEST_CASE("a mount is a volume unless it says otherwise") {
  CHECK(parse_mount("src=d,dst=/d").value() ==
        Json::parse(R"({"Type":"volume","Source":"d","Target":"/d"})"));
  CHECK(parse_mount("target=/d").value() == Json::parse(R"({"Type":"volume","Target":"/d"})"));
}

TEST_CASE("a volume's driver, options and labels are read") {
  CHECK(parse_mount("type=volume,source=d,destination=/d,volume-driver=nfs,volume-opt=a=b=c,"
                    "volume-opt=flag,volume-label=tier=gold,volume-nocopy,readonly")
            .value() ==
        Json::parse(
            R"({"Type":"volume","Source":"d","Target":"/d","ReadOnly":true,"VolumeOptions":{
          "DriverConfig":{"Name":"nfs","Options":{"a":"b=c","flag":""}},
          "Labels":{"tier":"gold"},"NoCopy":true}})"));
}

TEST_CASE("a quoted field may hold commas and quotes") {
  const Json mount = parse_mount(R"(target=/d,"volume-opt=o=addr=10.0.0.1,""rw""",ro)").value();
  CHECK(mount["VolumeOptions"]["DriverConfig"]["Options"]["o"] == R"(addr=10.0.0.1,"rw")");
  CHECK(mount["ReadOnly"] == true);
  CHECK(refusal("target=/d,\"src=d") == "a quote is not closed in 'target=/d,\"src=d'");
}

TEST_CASE("binds and memory have options of their own") {
  CHECK(parse_mount("type=Bind,src=/etc,dst=/e,ro=0,bind-propagation=rprivate").value() ==
        Json::parse(R"({"Type":"bind","Source":"/etc","Target":"/e","ReadOnly":false,
          "BindOptions":{"Propagation":"rprivate"}})"));
  CHECK(parse_mount("type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1770").value() ==
        Json::parse(R"({"Type":"tmpfs","Target":"/t",
          "TmpfsOptions":{"SizeBytes":67108864,"Mode":1016}})"));
  CHECK(parse_mount("type=bind,src=/e,dst=/e,bind-recursive=disabled")
            .value()["BindOptions"]["NonRecursive"] == true);
}

TEST_CASE("what can't be meant is refused in Docker's words") {
  CHECK(refusal("type=volume,source=d") == "target is required");
  CHECK(refusal("type=,target=/d") == "type is required");
  CHECK(refusal("target") == "invalid field 'target' must be a key=value pair");
  CHECK(refusal("target=/d,size=3") == "unexpected key 'size' in 'size=3'");
  CHECK(refusal("target=/d,ro=maybe") == "invalid value for ro: maybe");
  CHECK(refusal("target=/d,volume-nocopy=x") == "invalid value for volume-nocopy: x");
  CHECK(refusal("type=tmpfs,target=/d,tmpfs-mode=999") == "invalid value for tmpfs-mode: 999");
  CHECK(refusal("type=tmpfs,target=/d,tmpfs-size=big") == "invalid value for tmpfs-size: big");
  CHECK(refusal("type=bind,src=/e,dst=/e,volume-driver=x") ==
        "cannot mix 'volume-*' options with mount type 'bind'");
  CHECK(refusal("src=d,dst=/e,tmpfs-size=1m") ==
        "cannot mix 'tmpfs-*' options with mount type 'volume'");
  CHECK(refusal("src=d,dst=/e,bind-propagation=shared") ==
        "cannot mix 'bind-*' options with mount type 'volume'");
}

// What Docker's command 28 sent and said, word for word.
TEST_CASE("a bind's recursion is one of four words, whatever else was said of it before") {
  const std::string bind = "type=bind,src=/e,dst=/e,";
  const auto options = [&](const std::string& more) {
    const Result<Json> mount = parse_mount(bind + more);
    REQUIRE(mount);
    return mount->value("BindOptions", Json());
  };
  CHECK(options("bind-recursive=enabled").is_null());
  CHECK(options("bind-recursive=disabled") == Json::parse(R"({"NonRecursive":true})"));
  CHECK(options("ro,bind-recursive=writable") == Json::parse(R"({"ReadOnlyNonRecursive":true})"));
  CHECK(options("ro,bind-propagation=rprivate,bind-recursive=readonly") ==
        Json::parse(R"({"Propagation":"rprivate","ReadOnlyForceRecursive":true})"));
  CHECK(options("bind-nonrecursive,bind-recursive=enabled") ==
        Json::parse(R"({"NonRecursive":true})"));
  for (const char* before : {"", "bind-propagation=rprivate,", "bind-nonrecursive,"}) {
    CHECK(refusal(bind + before + "bind-recursive=bogus") ==
          "invalid value for bind-recursive: bogus (must be \"enabled\", \"disabled\", "
          "\"writable\", or \"readonly\")");
  }
  CHECK(refusal(bind + "bind-recursive=writable") ==
        "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
  CHECK(refusal(bind + "bind-propagation=rprivate,bind-recursive=readonly") ==
        "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
  CHECK(refusal(bind + "ro,bind-recursive=readonly,bind-propagation=shared") ==
        "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in "
        "conjunction");
}

TEST_CASE("keys may be written in capitals, values only where they are words of Docker's") {
  CHECK(parse_mount("Type=Bind,SRC=/A,Target=/X,BIND-Propagation=RPrivate,Consistency=Cached")
            .value() == Json::parse(R"({"Type":"bind","Source":"/A","Target":"/X",
          "Consistency":"cached","BindOptions":{"Propagation":"rprivate"}})"));
  CHECK(parse_mount("src=d,dst=/x,READONLY,Volume-NoCopy").value() ==
        Json::parse(R"({"Type":"volume","Source":"d","Target":"/x","ReadOnly":true,
          "VolumeOptions":{"NoCopy":true}})"));
  CHECK(refusal("src=d,dst=/x,Foo=1") == "unexpected key 'foo' in 'Foo=1'");
  CHECK(refusal("src=d,dst=/x,RO=X") == "invalid value for ro: X");
  CHECK(refusal("src=d,dst=/x,Foo") == "invalid field 'Foo' must be a key=value pair");
}

TEST_CASE("a label or an option without a key is none, and an image's part is passed on") {
  CHECK(parse_mount("src=d,dst=/x,volume-label==v,volume-opt==v,volume-label=a").value() ==
        Json::parse(R"({"Type":"volume","Source":"d","Target":"/x",
          "VolumeOptions":{"Labels":{"a":""},"DriverConfig":{"Options":{}}}})"));
  CHECK(parse_mount("type=image,src=i,dst=/x,image-subpath=sub").value()["ImageOptions"] ==
        Json::parse(R"({"Subpath":"sub"})"));
  CHECK(refusal("src=i,dst=/x,image-subpath=sub") ==
        "cannot mix 'image-*' options with mount type 'volume'");
}

TEST_CASE("a quote in the middle of a field is refused") {
  CHECK(refusal("src=a\"b,dst=/x") ==
        "a quote stands in the middle of a field in 'src=a\"b,dst=/x'");
  CHECK(refusal("\"src=a\"b,dst=/x") ==
        "a quote stands in the middle of a field in '\"src=a\"b,dst=/x'");
}

}  // namespace
}  // namespace skep::cli
