// The cluster: its spec, its tokens, and the bodies of init and join.
//
// A number that is 0 in a request means "the default", as the clients' structs can't say "absent".
// The raft ticks are skep's own constants, shown so that clients find the fields.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {
namespace {

// A row whose 0 keeps the default that the member already has.
template <class T, auto Get>
Field<T> default_if_zero(std::string_view key) {
  using V = std::remove_cvref_t<std::invoke_result_t<decltype(Get), T&>>;
  return {key, Show::always,
          [](const Json& json, T& object, const Path& path) -> Status {
            V value{};
            SKEP_TRY(Codec<V>::parse(json, value, path));
            if (value != V{}) std::invoke(Get, object) = value;
            return {};
          },
          [](const T& object) -> Json { return Codec<V>::print(std::invoke(Get, object)); }};
}

using Spec = model::ClusterSpec;

std::span<const Field<Spec>> orchestration_rows() {
  static const Field<Spec> rows[] = {
      field<Spec, &Spec::task_history_limit>("TaskHistoryRetentionLimit"),
  };
  return rows;
}

std::span<const Field<Spec>> raft_rows() {
  static const Field<Spec> rows[] = {
      default_if_zero<Spec, &Spec::snapshot_interval>("SnapshotInterval"),
      shown<Spec>("KeepOldSnapshots", [](const Spec&) -> Json { return 0; }),
      default_if_zero<Spec, &Spec::log_entries_for_slow_followers>("LogEntriesForSlowFollowers"),
      shown<Spec>("ElectionTick", [](const Spec&) -> Json { return 10; }),
      shown<Spec>("HeartbeatTick", [](const Spec&) -> Json { return 2; }),
  };
  return rows;
}

std::span<const Field<Spec>> dispatcher_rows() {
  static const Field<Spec> rows[] = {
      default_if_zero<Spec, &Spec::heartbeat_period>("HeartbeatPeriod"),
  };
  return rows;
}

std::span<const Field<Spec>> ca_rows() {
  static const Field<Spec> rows[] = {
      default_if_zero<Spec, &Spec::node_cert_expiry>("NodeCertExpiry"),
      field<Spec, &Spec::force_rotate>("ForceRotate", Show::if_not_empty),
  };
  return rows;
}

std::span<const Field<Spec>> log_driver_rows() {
  static const Field<Spec> rows[] = {
      field<Spec, &Spec::default_log_driver>("Name", Show::if_not_empty),
  };
  return rows;
}

std::span<const Field<Spec>> task_default_rows() {
  static const Field<Spec> rows[] = {
      group<Spec, &log_driver_rows>("LogDriver", Show::if_not_empty),
  };
  return rows;
}

std::span<const Field<Spec>> encryption_rows() {
  static const Field<Spec> rows[] = {
      field<Spec, &Spec::auto_lock_managers>("AutoLockManagers"),
  };
  return rows;
}

std::span<const Field<SwarmView>> token_rows() {
  using T = SwarmView;
  static const Field<T> rows[] = {field < T, [](auto& s) -> auto& {return s.cluster.worker_token;
}
> ("Worker"), field < T, [](auto& s) -> auto& {
  return s.cluster.manager_token;
}
> ("Manager"),
};  // namespace
return rows;
}  // namespace skep::docker_json

}  // namespace

std::span<const Field<Spec>> Table<Spec>::fields() {
  static const Field<Spec> rows[] = {
      default_if_zero<Spec, &Spec::name>("Name"),
      field<Spec, &Spec::labels>("Labels"),
      group<Spec, &orchestration_rows>("Orchestration"),
      group<Spec, &raft_rows>("Raft"),
      group<Spec, &dispatcher_rows>("Dispatcher"),
      group<Spec, &ca_rows>("CAConfig"),
      group<Spec, &task_default_rows>("TaskDefaults"),
      group<Spec, &encryption_rows>("EncryptionConfig"),
  };
  return rows;
}

std::span<const Field<SwarmView>> Table<SwarmView>::fields() {
  using T = SwarmView;
  constexpr auto meta = [](auto& s) -> auto& {
    return s.cluster.meta;
  };
  static const Field<T> rows[] = {field < T, [](auto& s) -> auto& {return s.cluster.id;
}
> ("ID"), version_row<T, meta>(), created_row<T, meta>(), updated_row<T, meta>(), field < T,
    [](auto& s) -> auto& {
  return s.cluster.spec;
}
> ("Spec"), field<T, &T::trust>("TLSInfo"),
    shown<T>("RootRotationInProgress",
             [](const T& swarm) -> Json { return swarm.cluster.root_rotation.has_value(); }), field < T,
    [](auto& s) -> auto& {
  return s.cluster.address_pools;
}
> ("DefaultAddrPool"), field < T, [](auto& s) -> auto& {
  return s.cluster.subnet_size;
}
> ("SubnetSize"), field < T, [](auto& s) -> auto& {
  return s.cluster.data_path_port;
}
> ("DataPathPort"), group<T, &token_rows>("JoinTokens"),
}
;
return rows;
}

std::span<const Field<SwarmInit>> Table<SwarmInit>::fields() {
  using T = SwarmInit;
  static const Field<T> rows[] = {
      field<T, &T::listen_address>("ListenAddr"),
      field<T, &T::advertise_address>("AdvertiseAddr"),
      field<T, &T::data_path_address>("DataPathAddr"),
      field<T, &T::data_path_port>("DataPathPort"),
      field<T, &T::address_pools>("DefaultAddrPool"),
      field<T, &T::force_new_cluster>("ForceNewCluster"),
      field<T, &T::auto_lock_managers>("AutoLockManagers"),
      field<T, &T::spec>("Spec"),
      field<T, &T::availability>("Availability"),
      field<T, &T::subnet_size>("SubnetSize"),
  };
  return rows;
}

std::span<const Field<SwarmJoin>> Table<SwarmJoin>::fields() {
  using T = SwarmJoin;
  static const Field<T> rows[] = {
      field<T, &T::listen_address>("ListenAddr"),
      field<T, &T::advertise_address>("AdvertiseAddr"),
      field<T, &T::data_path_address>("DataPathAddr"),
      field<T, &T::remote_addresses>("RemoteAddrs"),
      field<T, &T::token>("JoinToken"),
      field<T, &T::availability>("Availability"),
  };
  return rows;
}

std::string swarm_to_json(const SwarmView& swarm) {
  return value_text(swarm);
}

std::string cluster_info_to_json(const SwarmView& swarm) {
  Json json = Codec<SwarmView>::print(swarm);
  json.erase("JoinTokens");
  return document_text(json);
}

Result<SwarmView> parse_swarm(std::string_view json) {
  return parse_value<SwarmView>(json);
}

Result<model::ClusterSpec> parse_cluster_spec(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  SKEP_TRY(refuse_unsupported("SwarmSpec", json));
  model::ClusterSpec spec;
  SKEP_TRY(Codec<model::ClusterSpec>::parse(json, spec, Path{}));
  return spec;
}

Result<std::string> parse_unlock_key(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  std::string key;
  const Path top{};
  const Path path{&top, "UnlockKey"};
  if (json.is_object() && json.contains("UnlockKey")) {
    SKEP_TRY(Codec<std::string>::parse(json["UnlockKey"], key, path));
  }
  return key;
}

std::string unlock_key_to_json(const std::string& key) {
  return document_text(Json{{"UnlockKey", key}});
}

Result<SigningRoot> parse_signing_root(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  SigningRoot root;
  const Path top{};
  const Path config{&top, "CAConfig"};
  const Json empty = Json::object();
  const Json& from = json.is_object() && json.contains("CAConfig") ? json["CAConfig"] : empty;
  if (!from.is_object()) return root;
  for (const auto& [key, into] : {std::pair{"SigningCACert", &root.certificate_pem},
                                  std::pair{"SigningCAKey", &root.key_pem}}) {
    if (!from.contains(key) || from[key].is_null()) continue;
    const Path path{&config, key};
    SKEP_TRY(Codec<std::string>::parse(from[key], *into, path));
  }
  return root;
}

std::string cluster_spec_to_json(const model::ClusterSpec& spec) {
  return value_text(spec);
}

std::string swarm_init_to_json(const SwarmInit& request) {
  return value_text(request);
}

Result<SwarmInit> parse_swarm_init(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  SKEP_TRY(refuse_unsupported("SwarmInit", json));
  if (json.is_object() && json.contains("Spec")) {
    SKEP_TRY(refuse_unsupported("SwarmSpec", json["Spec"]));
  }
  SwarmInit request;
  SKEP_TRY(Codec<SwarmInit>::parse(json, request, Path{}));
  return request;
}

std::string swarm_join_to_json(const SwarmJoin& request) {
  return value_text(request);
}

Result<SwarmJoin> parse_swarm_join(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  SKEP_TRY(refuse_unsupported("SwarmJoin", json));
  SwarmJoin request;
  SKEP_TRY(Codec<SwarmJoin>::parse(json, request, Path{}));
  return request;
}

}  // namespace skep::docker_json
