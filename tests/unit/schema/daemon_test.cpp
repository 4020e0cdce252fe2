// What the daemon's typed clients send, against the published schemas; and that they can read the
// least that a driver may answer.
//
// The documents come from the clients' own code: a driver that does nothing but write them down is
// loaded as any other.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <optional>
#include <set>
#include <string>

#include "daemon/drivers/network_driver.hpp"
#include "daemon/drivers/restore_plan.hpp"
#include "daemon/drivers/runtime_driver.hpp"
#include "tests/unit/schema/recording.hpp"

namespace {

using skep::drivers::NetworkDriver;
using skep::drivers::RestorePlan;
using skep::drivers::RestoreSource;
using skep::drivers::RuntimeDriver;
using skep::schema::Part;
using skep::test::Canned;
using skep::test::documents;
using skep::test::expect_all_of;
using skep::test::find_canned;
using skep::test::Recording;
using skep::test::told;

const std::string id(64, 'a');
const std::string exec_id(64, 'b');
const std::string digest = "sha256:" + std::string(64, 'c');

skep::drivers::ContainerRequest full_container() {
  skep::drivers::ContainerRequest request;
  request.id = id;
  request.image = "docker.io/library/httpd:2.4";
  request.command = {"httpd", "-X"};
  request.args = {"-v"};
  request.env = {"A=1"};
  request.working_dir = "/srv";
  request.user = "1:1";
  request.groups = {"2"};
  request.hostname = "web";
  request.tty = request.stdin_open = request.read_only = request.init = request.privileged = true;
  request.cap_add = {"ALL"};
  request.cap_drop = {"CAP_CHOWN"};
  request.sysctls = {{"net.ipv4.ip_forward", "1"}};
  request.ulimits = {{"nofile", 1024, -1}};
  request.oom_score_adj = -500;
  request.netns = "/run/skep/netns/t";
  request.cgroup_parent = "/skep/node1";
  request.nano_cpus = 500'000'000;
  request.memory_bytes = 1 << 20;
  request.pids = 100;
  skep::drivers::ContainerMount bind;
  bind.source = "/srv";
  bind.target = "/data";
  bind.read_only = true;
  skep::drivers::ContainerMount memory;
  memory.type = skep::drivers::ContainerMount::Type::tmpfs;
  memory.target = "/tmp";
  request.mounts = {bind, memory};
  request.labels = {{"a", "b"}};
  request.log_dir = "/var/lib/skep/logs/x";
  request.log_max_bytes = 1 << 20;
  request.log_max_files = 3;
  return request;
}

skep::drivers::ContainerRequest small_container() {
  skep::drivers::ContainerRequest request;
  request.id = id;
  request.image = digest;
  request.netns = "/run/skep/netns/t";
  request.cgroup_parent = "/skep/node1";
  request.log_dir = "/var/lib/skep/logs/x";
  return request;
}

skep::drivers::ExecRequest full_exec() {
  skep::drivers::ExecRequest request;
  request.id = id;
  request.exec_id = exec_id;
  request.argv = {"sh"};
  request.env = {"A=1"};
  request.user = "root";
  request.working_dir = "/";
  request.tty = request.privileged = true;
  request.stdin_fifo = "/run/in";
  request.stdout_fifo = "/run/out";
  request.stderr_fifo = "/run/err";
  request.rows = 24;
  request.columns = 80;
  return request;
}

}  // namespace

TEST_CASE("each canned reply is one that its schema allows") {
  for (const auto& interface : skep::host::interfaces()) {
    for (const auto& operation : interface.operations) {
      const Canned* known = find_canned(interface.id, operation.name);
      const auto reply = known != nullptr ? known->reply : skep::test::canned_nothing;
      CHECK(told(documents().check(interface.id, operation.name, Part::reply, reply)) == "fits");
      if (known == nullptr || known->item.empty()) continue;
      CHECK(told(documents().check(interface.id, operation.name, Part::item, known->item)) ==
            "fits");
    }
  }
}

TEST_CASE("what the daemon asks a runtime driver is what the schemas say") {
  Recording driver;
  RuntimeDriver runtime(driver.plugin());
  driver.ok(runtime.fingerprint(
      [](const skep::drivers::RuntimeHealth& health) { CHECK(health.healthy); }));
  driver.ok(
      runtime.events([](const skep::drivers::RuntimeEvent& event) { CHECK(event.seq == 1); }));
  driver.ok(runtime.create(full_container()));
  driver.ok(runtime.create(small_container()));
  driver.ok(runtime.start(id));
  driver.ok(runtime.wait(id));
  driver.ok(runtime.stop(id, "", 0));
  driver.ok(runtime.stop(id, "SIGQUIT", 10'000));
  driver.ok(runtime.signal(id, "SIGHUP"));
  driver.ok(runtime.remove(id, true));
  driver.ok(runtime.inspect(id));
  driver.ok(runtime.list());
  driver.ok(runtime.stats({id}));
  driver.ok(runtime.exec_create(full_exec()));
  skep::drivers::ExecRequest small;
  small.id = id;
  small.exec_id = exec_id;
  small.argv = {"true"};
  driver.ok(runtime.exec_create(small));
  driver.ok(runtime.exec_start(id, exec_id));
  driver.ok(runtime.exec_resize(id, exec_id, 24, 80));
  driver.ok(runtime.exec_wait(id, exec_id));
  driver.ok(runtime.exec_close_stdin(id, exec_id));
  driver.ok(runtime.exec_signal(id, exec_id, "9"));
  skep::drivers::RegistryAuth auth;
  auth.username = "me";
  auth.password = "secret";
  auth.server_address = "registry.test";
  driver.ok(runtime.image_pull("docker.io/library/httpd:2.4", auth,
                               [](const skep::drivers::PullProgress& p) { CHECK(p.total == 1); }));
  driver.ok(runtime.image_pull("docker.io/library/httpd:2.4", std::nullopt, {}));
  driver.ok(runtime.image_inspect(digest));
  driver.ok(runtime.image_list());
  driver.ok(runtime.image_remove(digest, false));
  const RestoreSource source = [] {
    RestorePlan plan;
    plan.objects = {{id, R"({"version":1})"}, {id, "null"}};
    plan.ids = {id};
    return plan;
  };
  driver.ok(runtime.restore_from(source));
  driver.ok(runtime.restore_done({id}));
  const std::set<std::string> seen = driver.check();
  expect_all_of(SKEP_RUNTIME_1, seen);
  expect_all_of(SKEP_RUNTIME_EXEC_1, seen);
  expect_all_of(SKEP_RUNTIME_IMAGES_1, seen);
  CHECK(seen.contains("skep.base/1 configure"));
  CHECK(seen.contains("skep.base/1 restore"));
  CHECK(seen.contains("skep.base/1 restore_done"));
}

TEST_CASE("what the daemon asks a network driver is what the schemas say") {
  Recording driver;
  NetworkDriver network(driver.plugin());
  driver.ok(network.capabilities());
  skep::drivers::NetworkRequest small;
  small.network = "n1";
  small.name = "bridge";
  driver.ok(network.create(small));
  skep::drivers::NetworkRequest full = small;
  full.subnet = "10.1.0.0/24";
  full.gateway = "10.1.0.1";
  full.mtu = 1450;
  full.options = {{"color", "blue"}};
  driver.ok(network.create(full));
  skep::drivers::EndpointRequest endpoint;
  endpoint.network = "n1";
  endpoint.endpoint = "e1";
  driver.ok(network.endpoint_create(endpoint));
  endpoint.address = "10.1.0.2/24";
  endpoint.mac = "02:42:0a:01:00:02";
  driver.ok(network.endpoint_create(endpoint));
  skep::drivers::JoinRequest join;
  join.network = "n1";
  join.endpoint = "e1";
  join.netns = "/run/skep/netns/t";
  driver.ok(network.join(join));
  driver.ok(network.leave("n1", "e1", "/run/skep/netns/t"));
  driver.ok(network.leave("n1", "e1", ""));
  driver.ok(network.check("n1", "e1"));
  driver.ok(network.list());
  driver.ok(network.endpoint_remove("n1", "e1"));
  driver.ok(network.remove("n1"));
  driver.ok(network.restore_done({}));
  const std::set<std::string> seen = driver.check();
  expect_all_of(SKEP_NETWORK_1, seen);
  CHECK(seen.contains("skep.base/1 capabilities"));
}
