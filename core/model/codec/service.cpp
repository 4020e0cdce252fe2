// Service, its spec and the task template to protobuf and back.
//
// Absent optional messages stay absent: "the default" and "set to what the default is now" are
// different wishes.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/codec/service.pb.h"

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"

namespace skep::codec {
namespace {

using model::EndpointMode;
using model::MountType;
using model::RestartCondition;
using model::UpdateFailureAction;
using model::UpdateOrder;

constexpr EnumTable<RestartCondition, proto::RestartCondition, 3> kConditions = {{
    {RestartCondition::none, proto::RESTART_CONDITION_NONE},
    {RestartCondition::on_failure, proto::RESTART_CONDITION_ON_FAILURE},
    {RestartCondition::any, proto::RESTART_CONDITION_ANY},
}};
constexpr EnumTable<UpdateFailureAction, proto::UpdateFailureAction, 3> kFailureActions = {{
    {UpdateFailureAction::pause, proto::UPDATE_FAILURE_ACTION_PAUSE},
    {UpdateFailureAction::proceed, proto::UPDATE_FAILURE_ACTION_PROCEED},
    {UpdateFailureAction::rollback, proto::UPDATE_FAILURE_ACTION_ROLLBACK},
}};
constexpr EnumTable<UpdateOrder, proto::UpdateOrder, 2> kOrders = {{
    {UpdateOrder::stop_first, proto::UPDATE_ORDER_STOP_FIRST},
    {UpdateOrder::start_first, proto::UPDATE_ORDER_START_FIRST},
}};
constexpr EnumTable<MountType, proto::MountType, 3> kMountTypes = {{
    {MountType::bind, proto::MOUNT_TYPE_BIND},
    {MountType::volume, proto::MOUNT_TYPE_VOLUME},
    {MountType::tmpfs, proto::MOUNT_TYPE_TMPFS},
}};
constexpr EnumTable<EndpointMode, proto::EndpointMode, 2> kModes = {{
    {EndpointMode::vip, proto::ENDPOINT_MODE_VIP},
    {EndpointMode::dnsrr, proto::ENDPOINT_MODE_DNSRR},
}};

void encode_mount(const model::Mount& from, proto::Mount* to) {
  to->set_type(encode_enum(kMountTypes, from.type));
  to->set_source(from.source);
  to->set_target(from.target);
  to->set_read_only(from.read_only);
  to->set_consistency(from.consistency);
  if (from.bind) to->mutable_bind()->set_propagation(from.bind->propagation);
  if (from.volume) {
    proto::VolumeOptions* options = to->mutable_volume();
    options->set_no_copy(from.volume->no_copy);
    encode(from.volume->labels, options->mutable_labels());
    if (from.volume->driver) {
      options->mutable_driver()->set_name(from.volume->driver->name);
      encode(from.volume->driver->options, options->mutable_driver()->mutable_options());
    }
  }
  if (from.tmpfs) {
    to->mutable_tmpfs()->set_size_bytes(from.tmpfs->size_bytes);
    to->mutable_tmpfs()->set_mode(from.tmpfs->mode);
  }
}

Result<model::VolumeOptions> decode_volume_options(const proto::VolumeOptions& from) {
  model::VolumeOptions to;
  to.no_copy = from.no_copy();
  SKEP_TRY_ASSIGN(to.labels, decode_map(from.labels(), "volume: labels"));
  if (from.has_driver()) {
    model::VolumeDriverConfig driver;
    driver.name = from.driver().name();
    SKEP_TRY_ASSIGN(driver.options, decode_map(from.driver().options(), "volume: driver: options"));
    to.driver = std::move(driver);
  }
  return to;
}

Result<model::Mount> decode_mount(const proto::Mount& from) {
  model::Mount to;
  SKEP_TRY_ASSIGN(to.type, decode_enum(kMountTypes, from.type(), "type"));
  to.source = from.source();
  to.target = from.target();
  to.read_only = from.read_only();
  to.consistency = from.consistency();
  if (from.has_bind()) to.bind = model::BindOptions{from.bind().propagation()};
  if (from.has_volume()) {
    SKEP_TRY_ASSIGN(to.volume, decode_volume_options(from.volume()));
  }
  if (from.has_tmpfs()) {
    to.tmpfs = model::TmpfsOptions{from.tmpfs().size_bytes(), from.tmpfs().mode()};
  }
  return to;
}

void encode_container(const model::ContainerSpec& from, proto::ContainerSpec* to) {
  to->set_image(from.image);
  encode(from.command, to->mutable_command());
  encode(from.args, to->mutable_args());
  encode(from.env, to->mutable_env());
  to->set_working_dir(from.working_dir);
  to->set_user(from.user);
  encode(from.groups, to->mutable_groups());
  to->set_hostname(from.hostname);
  encode(from.labels, to->mutable_labels());
  to->set_tty(from.tty);
  to->set_stdin_open(from.stdin_open);
  to->set_read_only(from.read_only);
  if (from.init) to->set_init(*from.init);
  to->set_stop_signal(from.stop_signal);
  if (from.stop_grace_period) to->set_stop_grace_period_ns(from.stop_grace_period->count());
  encode(from.hosts, to->mutable_hosts());
  if (from.dns) {
    encode(from.dns->nameservers, to->mutable_dns()->mutable_nameservers());
    encode(from.dns->search, to->mutable_dns()->mutable_search());
    encode(from.dns->options, to->mutable_dns()->mutable_options());
  }
  encode(from.sysctls, to->mutable_sysctls());
  encode(from.capability_add, to->mutable_capability_add());
  encode(from.capability_drop, to->mutable_capability_drop());
  for (const model::Ulimit& limit : from.ulimits) {
    proto::Ulimit* out = to->add_ulimits();
    out->set_name(limit.name);
    out->set_soft(limit.soft);
    out->set_hard(limit.hard);
  }
  to->set_isolation(from.isolation);
  to->set_oom_score_adj(from.oom_score_adj);
  for (const model::Mount& mount : from.mounts) encode_mount(mount, to->add_mounts());
}

Result<model::ContainerSpec> decode_container(const proto::ContainerSpec& from) {
  model::ContainerSpec to;
  to.image = from.image();
  to.command = decode_texts(from.command());
  to.args = decode_texts(from.args());
  to.env = decode_texts(from.env());
  to.working_dir = from.working_dir();
  to.user = from.user();
  to.groups = decode_texts(from.groups());
  to.hostname = from.hostname();
  SKEP_TRY_ASSIGN(to.labels, decode_map(from.labels(), "container: labels"));
  to.tty = from.tty();
  to.stdin_open = from.stdin_open();
  to.read_only = from.read_only();
  if (from.has_init()) to.init = from.init();
  to.stop_signal = from.stop_signal();
  if (from.has_stop_grace_period_ns()) {
    to.stop_grace_period = model::Nanoseconds(from.stop_grace_period_ns());
  }
  to.hosts = decode_texts(from.hosts());
  if (from.has_dns()) {
    to.dns =
        model::DnsConfig{decode_texts(from.dns().nameservers()), decode_texts(from.dns().search()),
                         decode_texts(from.dns().options())};
  }
  SKEP_TRY_ASSIGN(to.sysctls, decode_map(from.sysctls(), "container: sysctls"));
  to.capability_add = decode_texts(from.capability_add());
  to.capability_drop = decode_texts(from.capability_drop());
  for (const proto::Ulimit& limit : from.ulimits()) {
    to.ulimits.push_back({limit.name(), limit.soft(), limit.hard()});
  }
  to.isolation = from.isolation();
  to.oom_score_adj = from.oom_score_adj();
  for (const proto::Mount& mount : from.mounts()) {
    SKEP_TRY_ASSIGN(model::Mount decoded, within(decode_mount(mount), "container: mount"));
    to.mounts.push_back(std::move(decoded));
  }
  return to;
}

void encode_restart(const model::RestartPolicy& from, proto::RestartPolicy* to) {
  to->set_condition(encode_enum(kConditions, from.condition));
  if (from.delay) to->set_delay_ns(from.delay->count());
  to->set_max_attempts(from.max_attempts);
  to->set_window_ns(from.window.count());
}

Result<model::RestartPolicy> decode_restart(const proto::RestartPolicy& from) {
  model::RestartPolicy to;
  SKEP_TRY_ASSIGN(to.condition, decode_enum(kConditions, from.condition(), "restart: condition"));
  if (from.has_delay_ns()) to.delay = model::Nanoseconds(from.delay_ns());
  to.max_attempts = from.max_attempts();
  to.window = model::Nanoseconds(from.window_ns());
  return to;
}

void encode_placement(const model::Placement& from, proto::Placement* to) {
  encode(from.constraints, to->mutable_constraints());
  encode(from.spread_over, to->mutable_spread_over());
  to->set_max_replicas_per_node(from.max_replicas_per_node);
  for (const model::Platform& platform : from.platforms) encode(platform, to->add_platforms());
}

model::Placement decode_placement(const proto::Placement& from) {
  model::Placement to;
  to.constraints = decode_texts(from.constraints());
  to.spread_over = decode_texts(from.spread_over());
  to.max_replicas_per_node = from.max_replicas_per_node();
  for (const proto::Platform& platform : from.platforms()) {
    to.platforms.push_back(decode_platform(platform));
  }
  return to;
}

void encode_update(const model::UpdateConfig& from, proto::UpdateConfig* to) {
  to->set_parallelism(from.parallelism);
  to->set_delay_ns(from.delay.count());
  to->set_failure_action(encode_enum(kFailureActions, from.failure_action));
  to->set_monitor_ns(from.monitor.count());
  to->set_max_failure_ratio(from.max_failure_ratio);
  to->set_order(encode_enum(kOrders, from.order));
}

Result<model::UpdateConfig> decode_update(const proto::UpdateConfig& from) {
  model::UpdateConfig to;
  to.parallelism = from.parallelism();
  to.delay = model::Nanoseconds(from.delay_ns());
  SKEP_TRY_ASSIGN(to.failure_action,
                  decode_enum(kFailureActions, from.failure_action(), "failure_action"));
  to.monitor = model::Nanoseconds(from.monitor_ns());
  to.max_failure_ratio = from.max_failure_ratio();
  SKEP_TRY_ASSIGN(to.order, decode_enum(kOrders, from.order(), "order"));
  return to;
}

}  // namespace

void encode(const model::TaskSpec& from, proto::TaskSpec* to) {
  to->Clear();
  encode_container(from.container, to->mutable_container());
  if (from.limits) encode(*from.limits, to->mutable_limits());
  if (from.reservations) encode(*from.reservations, to->mutable_reservations());
  if (from.restart) encode_restart(*from.restart, to->mutable_restart());
  if (from.placement) encode_placement(*from.placement, to->mutable_placement());
  if (from.log_driver) {
    to->mutable_log_driver()->set_name(from.log_driver->name);
    encode(from.log_driver->options, to->mutable_log_driver()->mutable_options());
  }
  to->set_force_update(from.force_update);
  to->set_runtime(from.runtime);
  to->set_registry_auth(from.registry_auth);
}

Result<model::TaskSpec> decode(const proto::TaskSpec& from) {
  model::TaskSpec to;
  SKEP_TRY_ASSIGN(to.container, within(decode_container(from.container()), "task spec"));
  if (from.has_limits()) to.limits = decode_resources(from.limits());
  if (from.has_reservations()) to.reservations = decode_resources(from.reservations());
  if (from.has_restart()) {
    SKEP_TRY_ASSIGN(to.restart, within(decode_restart(from.restart()), "task spec"));
  }
  if (from.has_placement()) to.placement = decode_placement(from.placement());
  if (from.has_log_driver()) {
    model::LogDriver driver;
    driver.name = from.log_driver().name();
    SKEP_TRY_ASSIGN(driver.options,
                    decode_map(from.log_driver().options(), "task spec: log_driver: options"));
    to.log_driver = std::move(driver);
  }
  to.force_update = from.force_update();
  to.runtime = from.runtime();
  to.registry_auth = from.registry_auth();
  return to;
}

void encode(const model::ServiceSpec& from, proto::ServiceSpec* to) {
  to->Clear();
  to->set_name(from.name);
  encode(from.labels, to->mutable_labels());
  encode(from.task, to->mutable_task());
  to->set_replicas(from.replicas);
  if (from.update) encode_update(*from.update, to->mutable_update());
  if (from.rollback) encode_update(*from.rollback, to->mutable_rollback());
  if (from.endpoint) to->mutable_endpoint()->set_mode(encode_enum(kModes, from.endpoint->mode));
}

Result<model::ServiceSpec> decode(const proto::ServiceSpec& from) {
  model::ServiceSpec to;
  to.name = from.name();
  SKEP_TRY_ASSIGN(to.labels, decode_map(from.labels(), "service spec: labels"));
  SKEP_TRY_ASSIGN(to.task, within(decode(from.task()), "service spec"));
  to.replicas = from.replicas();
  if (from.has_update()) {
    SKEP_TRY_ASSIGN(to.update, within(decode_update(from.update()), "service spec: update"));
  }
  if (from.has_rollback()) {
    SKEP_TRY_ASSIGN(to.rollback, within(decode_update(from.rollback()), "service spec: rollback"));
  }
  if (from.has_endpoint()) {
    model::EndpointSpec endpoint;
    SKEP_TRY_ASSIGN(endpoint.mode,
                    decode_enum(kModes, from.endpoint().mode(), "service spec: endpoint: mode"));
    to.endpoint = endpoint;
  }
  return to;
}

void encode(const model::Service& from, proto::Service* to) {
  to->Clear();
  to->set_id(encode_id(from.id));
  encode(from.meta, to->mutable_meta());
  to->set_name(from.name);
  to->set_spec_version(from.spec_version);
  to->set_previous_spec_version(from.previous_spec_version);
}

Result<model::Service> decode(const proto::Service& from) {
  model::Service to;
  SKEP_TRY_ASSIGN(to.id, decode_id<model::ServiceId>(from.id(), "service: id"));
  to.meta = decode_meta(from.meta());
  to.name = from.name();
  to.spec_version = from.spec_version();
  to.previous_spec_version = from.previous_spec_version();
  return to;
}

}  // namespace skep::codec
