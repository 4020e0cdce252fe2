// One value of each noun with every field set to something that is not its default, so that a field
// forgotten in a codec shows as a difference.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/objects.hpp"

namespace skep::samples {

inline const model::Meta kMeta{77, {1'700'000'000'000'000'001}, {1'700'000'000'000'000'002}};

inline model::Cluster cluster() {
  model::Cluster c;
  c.id = {{1, 2}};
  c.meta = kMeta;
  c.spec = {"prod",
            {{"a", "1"}, {"b", ""}},
            -1,
            model::Nanoseconds(3),
            model::Nanoseconds(4),
            5,
            6,
            "json-file",
            11,
            true};
  c.ca_certificate_pem = "cert";
  c.ca_key_pem = "key";
  c.worker_token = "SWMTKN-1-w";
  c.manager_token = "SWMTKN-1-m";
  c.address_pools = {"10.1.0.0/16", "10.2.0.0/16"};
  c.subnet_size = 26;
  c.last_raft_id = 43;
  c.data_path_port = 4790;
  c.blocked_nodes = {{{{3, 4}}, {99}}};
  c.root_rotation = model::RootRotation{"root", "its key", "crossed", {"name", "spki"}, "w2", "m2"};
  c.unlock_key = "SWMKEY-1-k";
  return c;
}

inline model::Node node() {
  model::Node n;
  n.id = {{0xffff'ffff'ffff'ffff, 5}};
  n.meta = kMeta;
  n.spec = {
      "worker-1", {{"disk", "ssd"}}, model::NodeRole::manager, model::NodeAvailability::drain};
  n.description = {"host",  {"x86_64", "linux"}, {4'000'000'000, 1 << 30, 1000},
                   "0.1.0", {{"zone", "b"}},     {{"Network", "overlay"}, {"Log", "json-file"}}};
  n.description.trouble = "driver x is unhealthy";
  n.description.takes_no_tasks = true;
  n.status = {model::NodeState::disconnected, "heartbeat failure", "10.0.0.7"};
  n.role = model::NodeRole::manager;
  n.manager = model::ManagerStatus{42, "10.0.0.7:2377", model::Reachability::reachable};
  n.certificate_expires_at = {123};
  n.trust = {"roots", {"subject", "key"}};
  return n;
}

inline model::ServiceSpec service_spec() {
  model::ServiceSpec s;
  s.name = "web";
  s.labels = {{"k", "v"}};
  model::ContainerSpec& c = s.task.container;
  c.image = "httpd:2.4.34";
  c.command = {"/bin/sh", "-c"};
  c.args = {"", "x y"};
  c.env = {"A=\xff\xfe", "B="};  // not UTF-8 on purpose: it must survive
  c.working_dir = "/srv";
  c.user = "1000:1000";
  c.groups = {"adm"};
  c.hostname = "h";
  c.labels = {{"l", "m"}};
  c.tty = true;
  c.stdin_open = true;
  c.read_only = true;
  c.init = false;
  c.stop_signal = "SIGINT";
  c.stop_grace_period = model::Nanoseconds(0);
  c.hosts = {"10.0.0.1 db"};
  c.dns = model::DnsConfig{{"1.1.1.1"}, {"example.org"}, {"ndots:1"}};
  c.sysctls = {{"net.core.somaxconn", "1024"}};
  c.capability_add = {"CAP_NET_ADMIN"};
  c.capability_drop = {"CAP_CHOWN"};
  c.ulimits = {{"nofile", 1024, -1}};
  c.isolation = "default";
  c.oom_score_adj = -500;
  c.mounts.resize(3);
  c.mounts[0].type = model::MountType::bind;
  c.mounts[0].source = "/etc/ssl";
  c.mounts[0].target = "/ssl";
  c.mounts[0].read_only = true;
  c.mounts[0].consistency = "cached";
  c.mounts[0].bind = model::BindOptions{"rprivate"};
  c.mounts[1].source = "data";
  c.mounts[1].target = "/data";
  c.mounts[1].volume = model::VolumeOptions{
      true, {{"tier", "gold"}}, model::VolumeDriverConfig{"local", {{"type", "tmpfs"}}}};
  c.mounts[2].type = model::MountType::tmpfs;
  c.mounts[2].target = "/tmp";
  c.mounts[2].tmpfs = model::TmpfsOptions{int64_t{64} << 20, 01777};
  s.task.limits = model::Resources{1, 2, 3};
  s.task.reservations = model::Resources{4, 5, 0};
  s.task.restart = model::RestartPolicy{model::RestartCondition::on_failure, model::Nanoseconds(0),
                                        9, model::Nanoseconds(8)};
  s.task.placement =
      model::Placement{{"node.role==worker"}, {"node.labels.zone"}, 2, {{"aarch64", "linux"}}};
  s.task.log_driver = model::LogDriver{"json-file", {{"max-size", "10m"}}};
  s.task.force_update = 3;
  s.task.runtime = "container";
  s.task.registry_auth = "e30=";
  s.replicas = 0;
  s.update = model::UpdateConfig{0,
                                 model::Nanoseconds(1),
                                 model::UpdateFailureAction::rollback,
                                 model::Nanoseconds(2),
                                 0.25,
                                 model::UpdateOrder::start_first};
  s.rollback = model::UpdateConfig{2,
                                   model::Nanoseconds(3),
                                   model::UpdateFailureAction::proceed,
                                   model::Nanoseconds(4),
                                   0.5,
                                   model::UpdateOrder::start_first};
  s.endpoint = model::EndpointSpec{model::EndpointMode::dnsrr};
  return s;
}

inline model::Service service() {
  return {{{6, 7}}, kMeta, "web", 4, 3};
}

inline model::Task task() {
  model::Task t;
  t.id = {{8, 9}};
  t.meta = kMeta;
  t.service = {{6, 7}};
  t.service_name = "web";
  t.slot = 2;
  t.spec_version = 4;
  t.node = {{10, 11}};
  t.desired = model::TaskState::shutdown;
  t.status = {model::TaskState::failed,
              {5},
              {6},
              "started",
              "exit 1",
              model::ContainerStatus{std::string(64, 'a'), 4711, 137}};
  t.start_at = {12};
  t.start_after = {{13, 14}};
  return t;
}

inline model::Network network() {
  return {{{15, 16}}, kMeta, "ingress", "overlay",     {{"a", "b"}},
          true,       true,  true,      "10.0.0.0/24", "10.0.0.1"};
}

inline model::Config config() {
  return {{{22, 23}}, kMeta, {"site.conf", {{"a", "b"}}, std::string("x\0\xff", 3), "golang"}};
}

}  // namespace skep::samples
