// The nouns of the Engine API as JSON, both ways: what the daemon prints is what the CLI parses,
// from one field table per noun.
//
// Parsing a *request* (parse_service_spec, parse_swarm_init ...) is strict: a wrong type is
// `invalid` and names the path ("TaskTemplate.RestartPolicy.Delay: expected an integer, got a
// string"); a key that Docker knows and skep doesn't do yet, set to something else than its empty
// value, is `unimplemented` and names the field; a key nobody knows is ignored. Parsing an *answer*
// (parse_service, parse_nodes ...) ignores whatever it doesn't know.
//
// Everything is pure: text in, value out, any thread. The JSON library stays in the .cpp files.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::docker_json {

// --- node

// What a certificate's issuer is, so that clients can compare a node's with the cluster's.
struct TrustView {
  std::string root_certificate_pem;
  std::string issuer_subject_der;     // raw bytes; base64 in JSON
  std::string issuer_public_key_der;  // raw bytes; base64 in JSON
  bool operator==(const TrustView&) const = default;
};

struct NodeView {
  model::Node node;
  bool leader = false;     // of the managers
  bool reachable = false;  // as a manager; meaningless for a worker
  std::optional<TrustView> trust;
  bool operator==(const NodeView&) const = default;
};

std::string node_to_json(const NodeView& node);
std::string nodes_to_json(const std::vector<NodeView>& nodes);
Result<NodeView> parse_node(std::string_view json);
Result<std::vector<NodeView>> parse_nodes(std::string_view json);

// Role and Availability must be given: Docker refuses an update that leaves them out.
Result<model::NodeSpec> parse_node_spec(std::string_view json);
std::string node_spec_to_json(const model::NodeSpec& spec);

// --- service

struct ServiceCounts {
  uint64_t running = 0;
  uint64_t desired = 0;
  uint64_t completed = 0;
  bool operator==(const ServiceCounts&) const = default;
};

struct ServiceView {
  model::ServiceId id;
  model::Meta meta;
  model::ServiceSpec spec;
  std::optional<model::ServiceSpec> previous;
  std::optional<ServiceCounts> counts;  // asked for with status=true
  bool operator==(const ServiceView&) const = default;
};

// The request's spec. An absent Mode or Replicas means one replica.
Result<model::ServiceSpec> parse_service_spec(std::string_view json);
std::string service_spec_to_json(const model::ServiceSpec& spec);
std::string service_to_json(const ServiceView& service);
std::string services_to_json(const std::vector<ServiceView>& services);
Result<ServiceView> parse_service(std::string_view json);
Result<std::vector<ServiceView>> parse_services(std::string_view json);

// What `insertDefaults=true` shows: the defaults of the restart policy, update, rollback, endpoint
// and stop grace period written out.
model::ServiceSpec with_defaults(model::ServiceSpec spec);

// The path of the first field in which two task templates differ ("TaskTemplate.ContainerSpec.
// Image"), in the order of the table; none if they mean the same. Null, absent, empty and default
// are equal. Placement.Constraints is left out of the comparison: changing them restarts nothing.
// The registry credential is not a field of the template.
std::optional<std::string> first_template_difference(const model::TaskSpec& before,
                                                     const model::TaskSpec& after);

// --- task

struct TaskView {
  model::Task task;  // service_name is not part of the JSON: clients look it up by ServiceID
  model::TaskSpec spec;
  bool operator==(const TaskView&) const = default;
};

std::string task_to_json(const TaskView& task);
std::string tasks_to_json(const std::vector<TaskView>& tasks);
Result<TaskView> parse_task(std::string_view json);
Result<std::vector<TaskView>> parse_tasks(std::string_view json);

// --- swarm

struct SwarmView {
  // Keys are never printed; the tokens are, by swarm_to_json only.
  model::Cluster cluster;
  TrustView trust;
  bool operator==(const SwarmView&) const = default;
};

std::string swarm_to_json(const SwarmView& swarm);         // GET /swarm: with JoinTokens
std::string cluster_info_to_json(const SwarmView& swarm);  // /info's Swarm.Cluster: without
Result<SwarmView> parse_swarm(std::string_view json);      // either of the two
Result<model::ClusterSpec> parse_cluster_spec(std::string_view json);
std::string cluster_spec_to_json(const model::ClusterSpec& spec);

// Body of POST /swarm/unlock, and the answer of GET /swarm/unlockkey; empty: there is no lock.
Result<std::string> parse_unlock_key(std::string_view json);
std::string unlock_key_to_json(const std::string& key);

// CAConfig of a cluster's spec in a request: a root that is to take the present one's place. Never
// printed, as Docker doesn't: a client that sends back what it read asks for nothing.
struct SigningRoot {
  std::string certificate_pem;
  std::string key_pem;  // secret
};
Result<SigningRoot> parse_signing_root(std::string_view json);

// Body of POST /swarm/init.
struct SwarmInit {
  std::string listen_address;
  std::string advertise_address;
  std::string data_path_address;  // kept, because the client sends it; not used yet
  uint32_t data_path_port = 0;
  std::vector<std::string> address_pools;
  uint32_t subnet_size = 0;
  bool force_new_cluster = false;
  bool auto_lock_managers = false;  // as in the spec; one of the two is enough
  model::NodeAvailability availability = model::NodeAvailability::active;
  model::ClusterSpec spec;
  bool operator==(const SwarmInit&) const = default;
};
std::string swarm_init_to_json(const SwarmInit& request);
Result<SwarmInit> parse_swarm_init(std::string_view json);

// Body of POST /swarm/join.
struct SwarmJoin {
  std::string listen_address;
  std::string advertise_address;
  std::string data_path_address;
  std::vector<std::string> remote_addresses;
  std::string token;
  model::NodeAvailability availability = model::NodeAvailability::active;
  bool operator==(const SwarmJoin&) const = default;
};
std::string swarm_join_to_json(const SwarmJoin& request);
Result<SwarmJoin> parse_swarm_join(std::string_view json);

// --- network

// A network as Docker lists it, node-local or of the whole cluster.
struct NetworkView {
  struct Endpoint {
    std::string name;  // of the container
    std::string endpoint_id;
    std::string mac;
    std::string address;  // with its prefix length
    bool operator==(const Endpoint&) const = default;
  };
  std::string id;
  std::string name;
  model::WallTime created_at;
  std::string scope;  // "local" or "swarm"
  std::string driver;
  bool internal = false;
  bool attachable = false;
  bool ingress = false;
  std::string subnet;
  std::string gateway;
  std::map<std::string, Endpoint> containers;  // by container id
  model::Labels options;
  model::Labels labels;
  bool operator==(const NetworkView&) const = default;
};
std::string network_to_json(const NetworkView& network);
std::string networks_to_json(const std::vector<NetworkView>& networks);
Result<NetworkView> parse_network(std::string_view json);
Result<std::vector<NetworkView>> parse_networks(std::string_view json);

// --- volume

// A volume of this node.
struct VolumeView {
  std::string name;
  std::string driver;
  std::string mountpoint;  // empty: its driver doesn't say before it is used
  model::WallTime created_at;
  std::string scope;  // "local" or "global"
  std::map<std::string, std::string> options;
  model::Labels labels;
  bool operator==(const VolumeView&) const = default;
};
std::string volume_to_json(const VolumeView& volume);
Result<VolumeView> parse_volume(std::string_view json);

// {"Volumes": [...], "Warnings": []}
struct VolumeList {
  std::vector<VolumeView> volumes;
  std::vector<std::string> warnings;
  bool operator==(const VolumeList&) const = default;
};
std::string volumes_to_json(const VolumeList& list);
Result<VolumeList> parse_volumes(std::string_view json);

// Body of POST /volumes/create. All may be empty.
struct VolumeCreate {
  std::string name;
  std::string driver;
  std::map<std::string, std::string> options;
  model::Labels labels;
  bool operator==(const VolumeCreate&) const = default;
};
std::string volume_create_to_json(const VolumeCreate& request);
Result<VolumeCreate> parse_volume_create(std::string_view json);

// Answer of POST /volumes/prune. `warnings` are ours, shown when there are any; Docker has none.
std::string pruned_volumes_to_json(const std::vector<std::string>& names, uint64_t bytes,
                                   const std::vector<std::string>& warnings = {});

// --- small answers

// {"message": text}: the body of every error.
std::string error_to_json(std::string_view message);
// {"ID": id}: the answer to a create.
std::string created_to_json(std::string_view id);
// The ID (or Id) of such an answer; `internal` when it has none.
Result<std::string> parse_created(std::string_view json);
// A bare JSON string, as /swarm/init answers.
std::string text_to_json(std::string_view text);
Result<std::string> parse_text(std::string_view json);

}  // namespace skep::docker_json
