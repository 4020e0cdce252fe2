// Docker's JSON: what stock clients send is understood, comes back the same, and what isn't built
// is refused by name.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/docker_json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "daemon/api/docker_json/base64.hpp"
#include "daemon/api/docker_json/time_text.hpp"

namespace skep::docker_json {
namespace {

using Json = nlohmann::json;

// As `docker service create --name web --replicas 2 --constraint ... --limit-memory 64M` sends it.
constexpr const char* kCreate =
    R"({"Name":"web","Labels":{"a":"b"},"TaskTemplate":{"ContainerSpec":{
  "Image":"httpd","Args":["-x"],"Env":["K=V"],"Init":false,"StopGracePeriod":3000000000,
  "DNSConfig":{},"Mounts":null,"Healthcheck":null},
  "Resources":{"Limits":{"MemoryBytes":67108864},"Reservations":{}},
  "RestartPolicy":{"Condition":"on-failure","Delay":1000000000,"MaxAttempts":3},
  "Placement":{"Constraints":["node.role==worker"],
    "Preferences":[{"Spread":{"SpreadDescriptor":"node.labels.zone"}}],"MaxReplicas":2},
  "ForceUpdate":0,"Networks":[]},
  "Mode":{"Replicated":{"Replicas":2}},
  "UpdateConfig":{"Parallelism":2,"Delay":5000000000,"FailureAction":"rollback",
    "MaxFailureRatio":0.25,"Order":"start-first"},
  "EndpointSpec":{"Mode":"dnsrr","Ports":[]},"SomethingNew":{"x":1}})";

model::ServiceSpec parsed(const std::string& text) {
  const Result<model::ServiceSpec> spec = parse_service_spec(text);
  if (!spec) FAIL(spec.error().message);
  return *spec;
}

TEST_CASE("a service as the stock client sends it is understood field by field") {
  const model::ServiceSpec spec = parsed(kCreate);
  CHECK(spec.name == "web");
  CHECK(spec.labels.at("a") == "b");
  CHECK(spec.replicas == 2);
  CHECK(spec.task.container.image == "httpd");
  CHECK(spec.task.container.args == std::vector<std::string>{"-x"});
  CHECK(spec.task.container.init == std::optional<bool>(false));
  CHECK(spec.task.container.stop_grace_period == std::chrono::seconds(3));
  CHECK(spec.task.limits->memory_bytes == 67108864);
  CHECK(spec.task.restart->condition == model::RestartCondition::on_failure);
  CHECK(spec.task.restart->max_attempts == 3);
  CHECK(spec.task.placement->constraints.size() == 1);
  CHECK(spec.task.placement->spread_over == std::vector<std::string>{"node.labels.zone"});
  CHECK(spec.task.placement->max_replicas_per_node == 2);
  CHECK(spec.update->parallelism == 2);
  CHECK(spec.update->failure_action == model::UpdateFailureAction::rollback);
  CHECK(spec.update->monitor == std::chrono::seconds(5));
  CHECK(spec.update->order == model::UpdateOrder::start_first);
  CHECK(spec.endpoint->mode == model::EndpointMode::dnsrr);
}

TEST_CASE("a spec that is printed and parsed again is the same spec") {
  const model::ServiceSpec spec = parsed(kCreate);
  CHECK(parsed(service_spec_to_json(spec)) == spec);
  const model::ServiceSpec full = with_defaults(spec);
  CHECK(parsed(service_spec_to_json(full)) == full);
}

TEST_CASE("an absent mode or replica count means one") {
  const std::string rest = R"("TaskTemplate":{"ContainerSpec":{"Image":"httpd"}}})";
  CHECK(parsed("{" + rest).replicas == 1);
  CHECK(parsed(R"({"Mode":{},)" + rest).replicas == 1);
  CHECK(parsed(R"({"Mode":{"Replicated":{}},)" + rest).replicas == 1);
  CHECK(parsed(R"({"Mode":{"Replicated":{"Replicas":0}},)" + rest).replicas == 0);
  const Json printed = Json::parse(service_spec_to_json(parsed("{" + rest)));
  CHECK(printed["Mode"]["Replicated"]["Replicas"] == 1);
  CHECK(printed["Labels"] == Json::object());
}

TEST_CASE("a wrong type names its path") {
  const auto message = [](const char* text) {
    const Result<model::ServiceSpec> spec = parse_service_spec(text);
    REQUIRE_FALSE(spec);
    CHECK(spec.error().kind == ErrorKind::invalid);
    return spec.error().message;
  };
  CHECK(message(R"({"TaskTemplate":{"RestartPolicy":{"Delay":"5s"}}})")
            .starts_with("TaskTemplate.RestartPolicy.Delay:"));
  CHECK(message(R"({"TaskTemplate":{"ContainerSpec":{"Env":["a",1]}}})")
            .starts_with("TaskTemplate.ContainerSpec.Env[1]:"));
  CHECK(message(R"({"Mode":{"Replicated":{"Replicas":-1}}})")
            .starts_with("Mode.Replicated.Replicas:"));
  CHECK(message(R"({"UpdateConfig":{"Order":"sideways"}})").starts_with("UpdateConfig.Order:"));
  CHECK(message(R"({"Labels":[]})").starts_with("Labels:"));
  CHECK_FALSE(message("[]").empty());
  CHECK_FALSE(message("{").empty());
  CHECK_FALSE(message("").empty());
  CHECK_FALSE(message((std::string(100, '[') + std::string(100, ']')).c_str()).empty());
}

TEST_CASE("what Docker knows and skep doesn't do yet is refused by name") {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"({"TaskTemplate":{"ContainerSpec":{"Secrets":[{}]}}})",
       "TaskTemplate.ContainerSpec.Secrets"},
      {R"({"TaskTemplate":{"ContainerSpec":{"Configs":[{}]}}})",
       "TaskTemplate.ContainerSpec.Configs"},
      {R"({"TaskTemplate":{"ContainerSpec":{"Healthcheck":{"Test":["NONE"]}}}})",
       "TaskTemplate.ContainerSpec.Healthcheck"},
      {R"({"TaskTemplate":{"ContainerSpec":{"Privileges":{"NoNewPrivileges":true}}}})",
       "TaskTemplate.ContainerSpec.Privileges"},
      {R"({"TaskTemplate":{"Networks":[{"Target":"x"}]}})", "TaskTemplate.Networks"},
      {R"({"Networks":[{"Target":"x"}]})", "Networks"},
      {R"({"TaskTemplate":{"Resources":{"Reservations":{"GenericResources":[{}]}}}})",
       "TaskTemplate.Resources.Reservations.GenericResources"},
      {R"({"EndpointSpec":{"Ports":[{"TargetPort":80}]}})", "EndpointSpec.Ports"},
      {R"({"Mode":{"Global":{}}})", "Mode.Global"},
      {R"({"Mode":{"ReplicatedJob":{}}})", "Mode.ReplicatedJob"},
      {R"({"Mode":{"GlobalJob":{}}})", "Mode.GlobalJob"},
  };
  for (const auto& [text, field] : cases) {
    const Result<model::ServiceSpec> spec = parse_service_spec(text);
    INFO(field);
    REQUIRE_FALSE(spec);
    CHECK(spec.error().kind == ErrorKind::unimplemented);
    CHECK(spec.error().message == std::string("not implemented yet: ") + field);
  }
  CHECK(parse_cluster_spec(R"({"CAConfig":{"ExternalCAs":[{"URL":"x"}]}})").error().message ==
        "not implemented yet: CAConfig.ExternalCAs");
  CHECK(parse_swarm_init(R"({"Spec":{"CAConfig":{"SigningCACert":"x"}}})").error().kind ==
        ErrorKind::unimplemented);
}

TEST_CASE("the swarm's lock is read from the spec and from the body of init, and shown") {
  CHECK(parse_swarm_init(R"({"AutoLockManagers":true})")->auto_lock_managers);
  const auto init = parse_swarm_init(R"({"Spec":{"EncryptionConfig":{"AutoLockManagers":true}}})");
  REQUIRE(init);
  CHECK_FALSE(init->auto_lock_managers);
  CHECK(init->spec.auto_lock_managers);
  const Json shown = Json::parse(cluster_spec_to_json(init->spec));
  CHECK(shown["EncryptionConfig"]["AutoLockManagers"] == true);
  CHECK_FALSE(parse_cluster_spec("{}")->auto_lock_managers);
  CHECK(parse_cluster_spec(R"({"EncryptionConfig":{"AutoLockManagers":1}})")
            .error()
            .message.starts_with("EncryptionConfig.AutoLockManagers:"));
}

TEST_CASE("the unlock key is told where it is asked for, and nowhere else") {
  SwarmView view;
  view.cluster.spec.auto_lock_managers = true;
  view.cluster.unlock_key = "SWMKEY-1-secret";
  CHECK(swarm_to_json(view).find("SWMKEY") == std::string::npos);
  CHECK(cluster_info_to_json(view).find("SWMKEY") == std::string::npos);
  CHECK(unlock_key_to_json(view.cluster.unlock_key) == R"({"UnlockKey":"SWMKEY-1-secret"})");
  CHECK(parse_unlock_key(R"({"UnlockKey":"SWMKEY-1-secret"})") == "SWMKEY-1-secret");
  CHECK(parse_unlock_key("{}") == "");
  CHECK(parse_unlock_key(R"({"UnlockKey":7})").error().message.starts_with("UnlockKey:"));
}

TEST_CASE("empty values of what isn't built are accepted") {
  CHECK(parse_service_spec(R"({"TaskTemplate":{"ContainerSpec":{"Mounts":[],"Secrets":null,
      "Privileges":{"CredentialSpec":null,"NoNewPrivileges":false},"Healthcheck":{}}},
      "EndpointSpec":{"Ports":null},"Mode":{"Global":null}})"));
}

TEST_CASE("a log driver or a placeholder that would be passed over is refused by its name") {
  const auto refusal = [](const std::string& task) {
    const auto spec = parse_service_spec(R"({"TaskTemplate":)" + task + "}");
    return spec ? std::string() : spec.error().message;
  };
  CHECK(refusal(R"({"LogDriver":{"Name":"json-file","Options":{"max-size":"1m"}}})").empty());
  CHECK(refusal(R"({"ContainerSpec":{"Init":false,"Env":["A={"]}})").empty());
  CHECK(refusal(R"({"LogDriver":{"Name":"syslog"}})") ==
        "not implemented yet: TaskTemplate.LogDriver.Name: the only log driver is json-file");
  CHECK(refusal(R"({"ContainerSpec":{"Env":["B=1","A={{.Node.Hostname}}"]}})") ==
        "not implemented yet: TaskTemplate.ContainerSpec.Env: placeholders ({{...}})");
  CHECK(refusal(R"({"ContainerSpec":{"Init":true}})") ==
        "not implemented yet: TaskTemplate.ContainerSpec.Init");
}

TEST_CASE("templates differ by meaning, and the first field is named") {
  const model::TaskSpec before = parsed(kCreate).task;
  model::TaskSpec after = before;
  CHECK_FALSE(first_template_difference(before, after));
  after.placement->constraints = {"node.role==manager"};
  after.container.dns.reset();     // {} and absent are one
  after.container.init.reset();    // as are false and absent
  after.runtime = "container";     // the default
  after.registry_auth = "secret";  // not a field of the template
  CHECK_FALSE(first_template_difference(before, after));
  // Bug seen: scaling a service made with an untagged image looked like a change of its image.
  for (const char* spelling :
       {"docker.io/library/httpd", "docker.io/library/httpd:latest", "library/httpd"}) {
    after.container.image = spelling;
    CHECK_FALSE(first_template_difference(before, after));
  }
  after.container.image = "docker.io/other/httpd";
  CHECK(first_template_difference(before, after) == "TaskTemplate.ContainerSpec.Image");
  after.container.image = "httpd:latest";
  CHECK_FALSE(first_template_difference(before, after));
  after.container.image = "httpd:2.4.35";
  after.force_update = 1;
  CHECK(first_template_difference(before, after) == "TaskTemplate.ContainerSpec.Image");
  after.container.image = before.container.image;
  CHECK(first_template_difference(before, after) == "TaskTemplate.ForceUpdate");
  after = before;
  after.container.hostname = "h";  // only in one of them
  CHECK(first_template_difference(before, after) == "TaskTemplate.ContainerSpec.Hostname");
  CHECK(first_template_difference(after, before) == "TaskTemplate.ContainerSpec.Hostname");
}

TEST_CASE("insertDefaults writes out the documented defaults") {
  const Json json = Json::parse(service_spec_to_json(with_defaults(model::ServiceSpec{})));
  CHECK(json["UpdateConfig"]["Parallelism"] == 1);
  CHECK(json["UpdateConfig"]["FailureAction"] == "pause");
  CHECK(json["UpdateConfig"]["Monitor"] == 5'000'000'000);
  CHECK(json["RollbackConfig"]["Order"] == "stop-first");
  CHECK(json["TaskTemplate"]["RestartPolicy"]["Condition"] == "any");
  CHECK(json["TaskTemplate"]["RestartPolicy"]["Delay"] == 5'000'000'000);
  CHECK(json["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] == 10'000'000'000);
  CHECK(json["EndpointSpec"]["Mode"] == "vip");
}

TEST_CASE(
    "a root in a cluster's spec is read, and neither it nor the next one's key is ever shown") {
  const char* body =
      R"({"CAConfig":{"ForceRotate":3,"SigningCACert":"cert","SigningCAKey":"key"}})";
  CHECK(parse_cluster_spec(body).value().force_rotate == 3);
  CHECK(parse_signing_root(body).value().certificate_pem == "cert");
  CHECK(parse_signing_root(body).value().key_pem == "key");
  CHECK(parse_signing_root("{}").value().certificate_pem.empty());
  CHECK(parse_signing_root(R"({"CAConfig":{"SigningCAKey":7}})").error().message ==
        "CAConfig.SigningCAKey: expected a string, got number");
  SwarmView swarm;
  CHECK(swarm_to_json(swarm).find(R"("RootRotationInProgress":false)") != std::string::npos);
  swarm.cluster.root_rotation = model::RootRotation{"next root", "next key", "", {}, "next token"};
  const std::string shown = swarm_to_json(swarm);
  CHECK(shown.find(R"("RootRotationInProgress":true)") != std::string::npos);
  for (const char* secret : {"next root", "next key", "next token", "SigningCA"}) {
    CHECK(shown.find(secret) == std::string::npos);
  }
}

TEST_CASE("services, nodes, tasks, swarm and networks survive a round trip") {
  const auto id = [](char c) { return std::string(24, '0') + c; };
  model::Meta meta{42, {1'700'000'000'123'000'000}, {1'700'000'001'000'000'000}};

  ServiceView service{*model::ServiceId::parse(id('s')), meta, parsed(kCreate), {}, {}};
  service.previous = service.spec;
  service.counts = ServiceCounts{1, 2, 0};
  CHECK(parse_services(services_to_json({service})).value().front() == service);

  NodeView node;
  node.node.id = *model::NodeId::parse(id('n'));
  node.node.meta = meta;
  node.node.spec = {"", {{"k", "v"}}, model::NodeRole::manager, model::NodeAvailability::drain};
  node.node.role = model::NodeRole::manager;
  node.node.description.hostname = "ubuntu1";
  node.node.description.resources = {2'000'000'000, 1 << 30, 0};
  node.node.status = {model::NodeState::ready, "", "10.0.0.1"};
  node.node.manager = model::ManagerStatus{0, "10.0.0.1:2377"};
  node.leader = node.reachable = true;
  node.trust = TrustView{"PEM", std::string("\0\xff", 2), "key"};
  CHECK(parse_node(node_to_json(node)).value() == node);

  TaskView task;
  task.task.id = *model::TaskId::parse(id('t'));
  task.task.meta = meta;
  task.task.service = service.id;
  task.task.slot = 3;
  task.task.node = node.node.id;
  task.task.status = {model::TaskState::failed,
                      meta.created_at,
                      {},
                      "m",
                      "non-zero exit (1)",
                      model::ContainerStatus{std::string(64, 'c'), 12, 1}};
  task.spec = service.spec.task;
  CHECK(parse_tasks(tasks_to_json({task})).value().front() == task);

  SwarmView swarm;
  swarm.cluster.id = *model::ClusterId::parse(id('c'));
  swarm.cluster.meta = meta;
  swarm.cluster.worker_token = "W";
  swarm.cluster.manager_token = "M";
  CHECK(parse_swarm(swarm_to_json(swarm)).value() == swarm);
  CHECK(cluster_info_to_json(swarm).find("JoinTokens") == std::string::npos);
  swarm.cluster.ca_key_pem = "very secret";
  CHECK(swarm_to_json(swarm).find("very secret") == std::string::npos);

  NetworkView network;
  network.id = std::string(64, 'd');
  network.name = "bridge";
  network.scope = "local";
  network.subnet = "172.17.0.0/16";
  network.gateway = "172.17.0.1";
  network.containers["c"] = {"web.1.x", "e", "02:42", "172.17.0.2/16"};
  CHECK(parse_networks(networks_to_json({network})).value().front() == network);
}

TEST_CASE("the bodies of init and join survive a round trip, zero meaning the default") {
  SwarmInit init;
  init.listen_address = "0.0.0.0:2377";
  init.advertise_address = "eth0";
  init.availability = model::NodeAvailability::drain;
  CHECK(parse_swarm_init(swarm_init_to_json(init)).value() == init);
  CHECK(parse_cluster_spec(R"({"Raft":{"SnapshotInterval":0},"Dispatcher":{"HeartbeatPeriod":0},
      "Orchestration":{},"CAConfig":{}})")
            .value() == model::ClusterSpec{});
  SwarmJoin join;
  join.remote_addresses = {"10.0.0.1:2377"};
  join.token = "SWMTKN-1-a-b";
  CHECK(parse_swarm_join(swarm_join_to_json(join)).value() == join);
}

TEST_CASE("a node spec without role or availability is refused") {
  CHECK(parse_node_spec(R"({"Role":"worker","Availability":"drain"})"));
  CHECK_FALSE(parse_node_spec(R"({"Role":"worker"})"));
  CHECK_FALSE(parse_node_spec(R"({"Role":"","Availability":"drain"})"));
  CHECK_FALSE(parse_node_spec(R"({"Role":"worker","Availability":"away"})"));
}

TEST_CASE("times are RFC 3339 both ways") {
  CHECK(time_text({}) == "0001-01-01T00:00:00Z");
  CHECK(time_text({1'700'000'000'120'000'000}) == "2023-11-14T22:13:20.12Z");
  CHECK(time_text_nine({1'700'000'000'120'000'000}) == "2023-11-14T22:13:20.120000000Z");
  CHECK(parse_time("0001-01-01T00:00:00Z")->unix_ns == 0);
  CHECK(parse_time("2023-11-14T22:13:20.12Z")->unix_ns == 1'700'000'000'120'000'000);
  CHECK(parse_time("2023-11-15T00:13:20+02:00")->unix_ns == 1'700'000'000'000'000'000);
  for (const char* bad :
       {"", "2023", "2023-13-01T00:00:00Z", "2023-11-14T22:13:20", "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20Zx", "9999-01-01T00:00:00Z"}) {
    CHECK_FALSE(parse_time(bad));
  }
}

TEST_CASE("base64 takes both alphabets") {
  for (const std::string& bytes :
       {std::string(""), std::string("a"), std::string("ab"), std::string("\xfb\xff\xfe", 3)}) {
    CHECK(from_base64(to_base64(bytes)) == bytes);
  }
  CHECK(from_base64("-_8") == from_base64("+/8="));
  CHECK_FALSE(from_base64("a"));
  CHECK_FALSE(from_base64("a*bc"));
}

}  // namespace
}  // namespace skep::docker_json
