// The pure parts.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "daemon/agent/container_files.hpp"
#include "daemon/agent/container_request.hpp"
#include "daemon/agent/identity_text.hpp"
#include "daemon/agent/image_name.hpp"
#include "tests/unit/agent/world.hpp"

namespace skep::agent::test {
namespace {

TEST_CASE("image names go to the full form and back") {
  const std::string digest = "@sha256:" + std::string(64, 'a');
  const std::vector<std::pair<std::string, std::string>> names = {
      {"httpd", "docker.io/library/httpd:latest"},
      {"httpd:2.4", "docker.io/library/httpd:2.4"},
      {"team/web", "docker.io/team/web:latest"},
      {"localhost/web", "localhost/web:latest"},
      {"reg.test:5000/a/b-c__d:v1", "reg.test:5000/a/b-c__d:v1"},
      {"httpd" + digest, "docker.io/library/httpd" + digest},
      {"index.docker.io/httpd", "docker.io/library/httpd:latest"},
  };
  for (const auto& [name, full] : names) {
    const Result<std::string> got = normalize_image_name(name);
    REQUIRE(got.has_value());
    CHECK(*got == full);
    CHECK(*normalize_image_name(familiar_image_name(full)) == full);
  }
  CHECK(familiar_image_name("docker.io/library/httpd:2.4") == "httpd:2.4");
  CHECK(familiar_image_name("docker.io/team/web:1") == "team/web:1");
}

TEST_CASE("what is no image name is refused in Docker's words") {
  for (const char* bad : {"", ":tag", "a:", "a b", "-a", "a//b", "a@sha256:12", "a___b", "a..b",
                          "http://a/b", "a:t@x", "/a", "a/"}) {
    const Result<std::string> got = normalize_image_name(bad);
    INFO(bad);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().message == "invalid reference format");
  }
  CHECK(normalize_image_name("Httpd").error().message ==
        "invalid reference format: repository name must be lowercase");
  CHECK_FALSE(normalize_image_name(std::string(64, 'a')).has_value());
}

TEST_CASE("times are read with nanoseconds and offsets") {
  CHECK(parse_time_text("1970-01-01T00:00:01.5Z").unix_ns == 1'500'000'000);
  CHECK(parse_time_text("1970-01-01T01:00:00+01:00").unix_ns == 0);
  CHECK(parse_time_text("2024-01-01T00:00:02Z").unix_ns == 1'704'067'202'000'000'000);
  CHECK(parse_time_text("yesterday").unix_ns == 0);
}

TEST_CASE("a container's resolv.conf has no server that only the node can reach") {
  model::ContainerSpec spec;
  CHECK(resolv_text(spec, "nameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch x\n") ==
        "nameserver 10.0.0.1\nsearch x\n");
  spec.dns.emplace();
  spec.dns->nameservers = {"9.9.9.9"};
  CHECK(resolv_text(spec, "nameserver 10.0.0.1\n") == "nameserver 9.9.9.9\n");
}

TEST_CASE("command replaces the entrypoint, args the command") {
  AssignedTask task = World::task(1);
  auto spec = std::make_shared<model::TaskSpec>(*task.spec);
  spec->container.args = {"sleep", "10"};
  spec->log_driver = model::LogDriver{"json-file", {{"max-size", "10m"}, {"max-file", "2"}}};
  task.spec = spec;
  AgentOptions options;
  options.data_dir = "/d";
  const Result<drivers::ContainerRequest> request = container_request(task, options, "/n");
  REQUIRE(request.has_value());
  CHECK_FALSE(request->command.has_value());
  CHECK(request->args == spec->container.args);
  CHECK(request->log_max_bytes == 10 << 20);
  CHECK(request->log_max_files == 2);
  CHECK(request->hostname == request->id.substr(0, 12));
}

TEST_CASE("registry credentials come out of the base64 they were sent in") {
  // {"username":"u","password":"p"}
  const auto auth = registry_auth("eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAifQ==");
  REQUIRE(auth.has_value());
  CHECK(auth->username == "u");
  CHECK(auth->password == "p");
  CHECK_FALSE(registry_auth("e30=").has_value());
  CHECK_FALSE(registry_auth("%%%").has_value());
}

}  // namespace
}  // namespace skep::agent::test
