// The nouns of the cluster, as plain values.
//
// A *spec* is what a user asked for; a *status* is what was observed; *desired* is what the
// managers want of a task now. Every object carries Meta, whose version is the raft index that last
// touched it: updates must quote it (optimistic concurrency, as Docker's API does).
//
// Rows are immutable once they are in the store and shared by pointer; a change is a new row. A
// service's specs are rows of their own, keyed (service, spec_version), because thousands of tasks
// point to one. Defaults are those of swarm-semantics §3 and are applied by whoever fills a spec
// in, so that a stored spec is complete.
//
// Not here yet, with their places kept: secrets, references to configs, endpoint ports, job modes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/ids.hpp"
#include "core/model/time.hpp"

namespace skep::model {

using Labels = std::map<std::string, std::string>;

struct Meta {
  uint64_t version = 0;  // raft index of the last change
  WallTime created_at;
  WallTime updated_at;
  bool operator==(const Meta&) const = default;
};

// --- cluster
// -----------------------------------------------------------------------------------------

struct ClusterSpec {
  std::string name = "default";
  Labels labels;
  int64_t task_history_limit = 5;                          // per slot; negative keeps all
  Nanoseconds heartbeat_period = std::chrono::seconds(1);  // the lease is three of them
  Nanoseconds node_cert_expiry = std::chrono::hours(24 * 90);
  uint64_t snapshot_interval = 10'000;  // entries
  uint64_t log_entries_for_slow_followers = 500;
  std::string default_log_driver;
  uint64_t force_rotate = 0;        // another number than before asks for a new root of trust
  bool auto_lock_managers = false;  // a manager that starts waits for the unlock key
  bool operator==(const ClusterSpec&) const = default;
};

// Who signed a certificate, as Docker's TLSInfo tells it: raw DER of the issuer's name and of its
// key. A root and what was cross-signed for it are the same issuer.
struct Issuer {
  std::string subject_der;
  std::string public_key_der;  // SubjectPublicKeyInfo
  bool operator==(const Issuer&) const = default;
};

// The root that is to take the present one's place (core/identity/rotation.hpp).
struct RootRotation {
  std::string certificate_pem;
  std::string key_pem;           // as secret as the present root's
  std::string cross_signed_pem;  // its name and key, signed by the present root
  Issuer issuer;                 // what its certificates say of who signed them
  std::string worker_token;      // the join tokens once it is done: they carry its digest
  std::string manager_token;
  bool operator==(const RootRotation&) const = default;
};

// A node that was removed: its certificate is refused until it would have run out anyway.
struct BlockedNode {
  NodeId node;
  WallTime until;
  bool operator==(const BlockedNode&) const = default;
};

struct Cluster {
  ClusterId id;
  Meta meta;
  ClusterSpec spec;
  std::string ca_certificate_pem;
  std::string ca_key_pem;  // of the cluster's root: as secret as the log itself
  std::string worker_token;
  std::string manager_token;
  std::vector<std::string> address_pools = {"10.0.0.0/8"};
  uint32_t subnet_size = 24;
  uint64_t last_raft_id = 0;  // given to a manager; ids only grow, so none is ever used again
  uint32_t data_path_port = 4789;
  std::vector<BlockedNode> blocked_nodes;
  std::optional<RootRotation> root_rotation;
  // What the managers seal their disks with: secret. Empty exactly when they are not to be locked.
  std::string unlock_key;
  bool operator==(const Cluster&) const = default;
};

// --- node
// --------------------------------------------------------------------------------------------

enum class NodeRole : uint8_t { worker, manager };
enum class NodeAvailability : uint8_t { active, pause, drain };
enum class NodeState : uint8_t { unknown, down, ready, disconnected };

struct NodeSpec {
  std::string name;
  Labels labels;
  NodeRole role = NodeRole::worker;
  NodeAvailability availability = NodeAvailability::active;
  bool operator==(const NodeSpec&) const = default;
};

struct Resources {
  int64_t nano_cpus = 0;  // 1e9 is one CPU; 0 is "none asked" or "no limit"
  int64_t memory_bytes = 0;
  int64_t pids = 0;  // limits only
  bool operator==(const Resources&) const = default;
};

struct Platform {
  std::string architecture;  // "x86_64", "aarch64"
  std::string os;            // "linux"
  bool operator==(const Platform&) const = default;
};

struct EnginePlugin {
  std::string type;  // "Network", "Volume", "Log"
  std::string name;
  bool operator==(const EnginePlugin&) const = default;
};

// What a node says of itself.
struct NodeDescription {
  std::string hostname;
  Platform platform;
  Resources resources;
  std::string engine_version;
  Labels engine_labels;
  std::vector<EnginePlugin> plugins;  // those that are fit for use
  std::string trouble;                // what somebody should know of; empty: nothing
  // It can't start anything at the moment, and `trouble` says why. What runs goes on.
  bool takes_no_tasks = false;
  bool operator==(const NodeDescription&) const = default;
};

struct NodeStatus {
  NodeState state = NodeState::unknown;
  std::string message;
  std::string address;  // as the managers see it
  bool operator==(const NodeStatus&) const = default;
};

enum class Reachability : uint8_t { unknown, unreachable, reachable };

struct ManagerStatus {
  uint64_t raft_id = 0;
  std::string address;                                // host:port
  Reachability reachability = Reachability::unknown;  // as the leader sees it
  bool operator==(const ManagerStatus&) const = default;
};

// What a node says of its trust. Empty texts: it has not said anything yet.
struct NodeTrust {
  std::string roots_pem;  // the roots it accepts certificates of, one PEM text after the other
  Issuer issuer;          // of its own certificate
  bool operator==(const NodeTrust&) const = default;
};

struct Node {
  NodeId id;
  Meta meta;
  NodeSpec spec;
  NodeDescription description;
  NodeStatus status;
  // What its certificate is to say: a node whose certificate says something else renews it. Follows
  // spec.role, which is what an administrator wants, once the group of managers has changed.
  NodeRole role = NodeRole::worker;
  std::optional<ManagerStatus> manager;
  WallTime certificate_expires_at;
  NodeTrust trust;
  bool operator==(const Node&) const = default;
};

// --- service
// -----------------------------------------------------------------------------------------

struct Ulimit {
  std::string name;
  int64_t soft = 0;
  int64_t hard = 0;
  bool operator==(const Ulimit&) const = default;
};

struct DnsConfig {
  std::vector<std::string> nameservers;
  std::vector<std::string> search;
  std::vector<std::string> options;
  bool operator==(const DnsConfig&) const = default;
};

enum class MountType : uint8_t { bind, volume, tmpfs };

// What a volume is to be made with where it isn't there yet.
struct VolumeDriverConfig {
  std::string name;  // "local", a driver's id or its configured name; empty: local
  std::map<std::string, std::string> options;
  bool operator==(const VolumeDriverConfig&) const = default;
};

struct VolumeOptions {
  bool no_copy = false;  // leave a new volume empty, whatever the image has at the target
  Labels labels;
  std::optional<VolumeDriverConfig> driver;
  bool operator==(const VolumeOptions&) const = default;
};

struct BindOptions {
  std::string propagation;  // "" or "rprivate"
  bool operator==(const BindOptions&) const = default;
};

struct TmpfsOptions {
  int64_t size_bytes = 0;  // 0: no limit
  uint32_t mode = 0;       // of its root; 0: 1777
  bool operator==(const TmpfsOptions&) const = default;
};

// A folder of the node, a volume, or memory, seen at `target` in the container.
struct Mount {
  MountType type = MountType::volume;
  std::string source;  // bind: a path; volume: its name, empty: one of the task's own; tmpfs: empty
  std::string target;  // absolute
  bool read_only = false;
  std::string consistency;          // kept for round trips; means nothing on Linux
  std::optional<BindOptions> bind;  // of a bind alone, and so on
  std::optional<VolumeOptions> volume;
  std::optional<TmpfsOptions> tmpfs;
  bool operator==(const Mount&) const = default;
};

struct ContainerSpec {
  std::string image;
  std::vector<std::string> command;  // replaces the image's entrypoint
  std::vector<std::string> args;     // replaces the image's cmd
  std::vector<std::string> env;      // "K=V"
  std::string working_dir;
  std::string user;
  std::vector<std::string> groups;
  std::string hostname;
  Labels labels;
  bool tty = false;
  bool stdin_open = false;
  bool read_only = false;
  std::optional<bool> init;
  std::string stop_signal;                       // empty: the image's, else SIGTERM
  std::optional<Nanoseconds> stop_grace_period;  // absent: 10 s
  std::vector<std::string> hosts;                // "IP name", /etc/hosts order
  std::optional<DnsConfig> dns;
  std::map<std::string, std::string> sysctls;
  std::vector<std::string> capability_add;
  std::vector<std::string> capability_drop;
  std::vector<Ulimit> ulimits;
  std::string isolation;  // kept for round trips; only "" and "default" are accepted
  int64_t oom_score_adj = 0;
  std::vector<Mount> mounts;
  bool operator==(const ContainerSpec&) const = default;
};

enum class RestartCondition : uint8_t { none, on_failure, any };

struct RestartPolicy {
  RestartCondition condition = RestartCondition::any;
  std::optional<Nanoseconds> delay;  // absent: 5 s
  uint64_t max_attempts = 0;         // 0: unlimited
  Nanoseconds window{0};             // 0: the whole life
  bool operator==(const RestartPolicy&) const = default;
};

struct Placement {
  std::vector<std::string> constraints;  // "key==value", "key!=value"
  std::vector<std::string> spread_over;  // label keys, outermost first
  uint64_t max_replicas_per_node = 0;    // 0: no limit
  std::vector<Platform> platforms;       // of the image; empty: any
  bool operator==(const Placement&) const = default;
};

struct LogDriver {
  std::string name;
  std::map<std::string, std::string> options;
  bool operator==(const LogDriver&) const = default;
};

// What a task is to run. Docker calls it the task template.
struct TaskSpec {
  ContainerSpec container;
  std::optional<Resources> limits;
  std::optional<Resources> reservations;
  std::optional<RestartPolicy> restart;  // absent: defaults
  std::optional<Placement> placement;
  std::optional<LogDriver> log_driver;
  uint64_t force_update = 0;
  std::string runtime;        // "" or "container"
  std::string registry_auth;  // base64url JSON as the client sent it; never shown
  bool operator==(const TaskSpec&) const = default;
};

enum class UpdateFailureAction : uint8_t { pause, proceed, rollback };
enum class UpdateOrder : uint8_t { stop_first, start_first };

struct UpdateConfig {
  uint64_t parallelism = 1;  // 0: all at once
  Nanoseconds delay{0};
  UpdateFailureAction failure_action = UpdateFailureAction::pause;
  Nanoseconds monitor = std::chrono::seconds(5);
  double max_failure_ratio = 0;
  UpdateOrder order = UpdateOrder::stop_first;
  bool operator==(const UpdateConfig&) const = default;
};

enum class EndpointMode : uint8_t { vip, dnsrr };

struct EndpointSpec {
  EndpointMode mode = EndpointMode::vip;
  bool operator==(const EndpointSpec&) const = default;
};

struct ServiceSpec {
  std::string name;
  Labels labels;
  TaskSpec task;
  uint64_t replicas = 1;  // replicated is the one mode so far
  std::optional<UpdateConfig> update;
  std::optional<UpdateConfig> rollback;
  std::optional<EndpointSpec> endpoint;
  bool operator==(const ServiceSpec&) const = default;
};

struct Service {
  ServiceId id;
  Meta meta;
  std::string name;                    // spec's, kept here so that name lookups need no spec row
  uint64_t spec_version = 1;           // grows by one with each update of the spec
  uint64_t previous_spec_version = 0;  // 0: none
  bool operator==(const Service&) const = default;
};

// The key of a spec row.
struct SpecKey {
  ServiceId service;
  uint64_t version = 0;
  auto operator<=>(const SpecKey&) const = default;
};

// --- task
// --------------------------------------------------------------------------------------------

// Values as in swarm-semantics §2: compared by number, gaps leave room.
enum class TaskState : uint16_t {
  fresh = 0,  // "new" in the API
  pending = 64,
  assigned = 192,
  accepted = 256,
  preparing = 320,
  ready = 384,
  starting = 448,
  running = 512,
  complete = 576,
  shutdown = 640,
  failed = 704,
  rejected = 768,
  remove = 800,
  orphaned = 832,
};

// "new", "pending", ... "orphaned".
std::string_view task_state_name(TaskState state);
std::optional<TaskState> parse_task_state(std::string_view name);

struct ContainerStatus {
  std::string container_id;  // 64 hex
  int64_t pid = 0;
  int64_t exit_code = 0;
  bool operator==(const ContainerStatus&) const = default;
};

struct TaskStatus {
  TaskState state = TaskState::fresh;
  WallTime timestamp;   // the reporter's
  WallTime applied_at;  // the leader's; preferred for ordering
  std::string message;
  std::string error;
  std::optional<ContainerStatus> container;
  bool operator==(const TaskStatus&) const = default;
};

struct Task {
  TaskId id;
  Meta meta;
  ServiceId service;
  std::string service_name;
  uint64_t slot = 0;
  uint64_t spec_version = 0;  // its spec is the row (service, spec_version)
  NodeId node;                // none until placed
  TaskState desired = TaskState::running;
  TaskStatus status;
  // While desired is READY: becomes RUNNING at this time (restart delay). Zero: not waiting.
  WallTime start_at;
  // ... and not before this task has ended, or a minute after start_at. None: nothing to wait for.
  TaskId start_after;
  bool operator==(const Task&) const = default;

  bool ended() const { return status.state > TaskState::running; }
};

// "web.1.TASKID": the task's container name (Docker's form for replicated services).
std::string task_name(const Task& task);

// --- network
// -----------------------------------------------------------------------------------------

// A cluster-wide network. So far only `ingress`, which exists from the birth of the cluster on.
struct Network {
  NetworkId id;
  Meta meta;
  std::string name;
  std::string driver;  // "overlay"
  Labels labels;
  bool ingress = false;
  bool internal = false;
  bool attachable = false;
  std::string subnet;   // CIDR
  std::string gateway;  // address
  bool operator==(const Network&) const = default;
};

// --- config
// ------------------------------------------------------------------------------------------

// A small file that the cluster keeps for its services. Only the labels ever change.
struct ConfigSpec {
  std::string name;
  Labels labels;
  std::string data;        // 1 byte to kConfigDataBytesMax
  std::string templating;  // "" or "golang": the driver that fills the data in for a task
  bool operator==(const ConfigSpec&) const = default;
};

struct Config {
  ConfigId id;
  Meta meta;
  ConfigSpec spec;
  bool operator==(const Config&) const = default;
};

}  // namespace skep::model
