// `skep swarm`: make a cluster, join one, hand out the way in, leave.
//
// The line to paste is complete: token and address come from the daemon that was asked, the address
// being the one managers reach this node at.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/commands/swarm_lock.hpp"

namespace skep::cli {
namespace {

// What init and update both change in the cluster's spec.
struct SwarmSettings {
  std::optional<int64_t> task_history_limit;
  std::optional<int64_t> cert_expiry;
  std::optional<int64_t> dispatcher_heartbeat;
  std::optional<uint64_t> snapshot_interval;
  std::optional<uint64_t> max_snapshots;
  std::optional<bool> autolock;

  void declare(const Command& command) {
    command.integer("--task-history-limit", task_history_limit,
                    "Task history retention limit (default 5)");
    command.duration("--cert-expiry", cert_expiry,
                     "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)");
    command.duration("--dispatcher-heartbeat", dispatcher_heartbeat,
                     "Dispatcher heartbeat period (ns|us|ms|s|m|h)");
    command.number("--snapshot-interval", snapshot_interval,
                   "Number of log entries between Raft snapshots (default 10000)");
    command.number("--max-snapshots", max_snapshots,
                   "Number of additional Raft snapshots to retain");
    command.flag("--autolock", autolock, "Change manager autolocking setting (true|false)");
  }

  bool any() const {
    return task_history_limit || cert_expiry || dispatcher_heartbeat || snapshot_interval ||
           max_snapshots || autolock;
  }

  void apply(Json& spec) const {
    if (task_history_limit) {
      spec["Orchestration"]["TaskHistoryRetentionLimit"] = *task_history_limit;
    }
    if (cert_expiry) spec["CAConfig"]["NodeCertExpiry"] = *cert_expiry;
    if (dispatcher_heartbeat) spec["Dispatcher"]["HeartbeatPeriod"] = *dispatcher_heartbeat;
    if (snapshot_interval) spec["Raft"]["SnapshotInterval"] = *snapshot_interval;
    if (max_snapshots) spec["Raft"]["KeepOldSnapshots"] = *max_snapshots;
    if (autolock) spec["EncryptionConfig"]["AutoLockManagers"] = *autolock;
  }
};

// Where this node is reached, for init and join.
struct NodeAddresses {
  std::optional<std::string> advertise;
  std::optional<std::string> listen;
  std::optional<std::string> data_path;
  std::optional<std::string> availability;

  void declare(const Command& command) {
    command.text("--advertise-addr", advertise, "string",
                 "Advertised address (format: \"<ip|interface>[:port]\")");
    command.text("--listen-addr", listen, "node-addr",
                 "Listen address (format: \"<ip|interface>[:port]\") (default 0.0.0.0:2377)");
    command.text("--data-path-addr", data_path, "string",
                 "Address or interface to use for data path traffic (format: \"<ip|interface>\")");
    command.text(
        "--availability", availability, "string",
        "Availability of the node (\"active\", \"pause\", \"drain\") (default \"active\")");
  }

  Json body() const {
    return {{"ListenAddr", listen.value_or("0.0.0.0:2377")},
            {"AdvertiseAddr", advertise.value_or("")},
            {"DataPathAddr", data_path.value_or("")},
            {"Availability", availability.value_or("active")}};
  }
};

Result<Json> local_node_info(const Daemon& daemon) {
  SKEP_TRY_ASSIGN(Json all, daemon.get("/info"));
  return Json(value_at(all, "/Swarm"));
}

// The line a person pastes on the next machine.
Status print_join_line(const Daemon& daemon, const std::string& role, const std::string& node) {
  SKEP_TRY_ASSIGN(const Json self, daemon.get("/nodes/" + url_escape(node)));
  SKEP_TRY_ASSIGN(const Json swarm, daemon.get("/swarm"));
  const std::string token =
      text_at(swarm, role == "worker" ? "/JoinTokens/Worker" : "/JoinTokens/Manager");
  const std::string address = text_at(self, "/ManagerStatus/Addr");
  if (address.empty()) return {};
  std::printf(
      "To add a %s to this swarm, run the following command:\n\n"
      "    skep swarm join --token %s %s\n\n",
      role.c_str(), token.c_str(), address.c_str());
  return {};
}

struct InitOptions {
  NodeAddresses addresses;
  SwarmSettings settings;
  Words address_pools;
  std::optional<uint64_t> pool_mask_length;
  std::optional<uint64_t> data_path_port;
  bool force_new_cluster = false;
};

Result<int> init(const InitOptions& options, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  Json body = options.addresses.body();
  body["DefaultAddrPool"] = options.address_pools;
  body["SubnetSize"] = options.pool_mask_length.value_or(24);
  body["DataPathPort"] = options.data_path_port.value_or(0);
  body["ForceNewCluster"] = options.force_new_cluster;
  body["AutoLockManagers"] = options.settings.autolock.value_or(false);
  body["Spec"] = Json::object();
  options.settings.apply(body["Spec"]);
  Result<Json> made = daemon.post("/swarm/init", body);
  if (!made) {
    const std::string& why = made.error().message;
    const bool ambiguous = why.find("could not choose an IP address to advertise") != why.npos;
    return fail(made.error().kind, why + (ambiguous ? " - specify one with --advertise-addr" : ""));
  }
  const std::string node = made->is_string() ? made->get<std::string>() : std::string();
  std::printf("Swarm initialized: current node (%s) is now a manager.\n\n", node.c_str());
  SKEP_TRY(print_join_line(daemon, "worker", node));
  std::printf(
      "To add a manager to this swarm, run 'skep swarm join-token manager' and follow the "
      "instructions.\n");
  if (options.settings.autolock.value_or(false)) {
    std::printf("\n");
    SKEP_TRY(print_unlock_instructions(daemon));
  }
  return 0;
}

Result<int> join(const NodeAddresses& addresses, const std::string& token,
                 const std::string& remote, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  Json body = addresses.body();
  body["JoinToken"] = token;
  body["RemoteAddrs"] = Json::array({remote});
  SKEP_TRY(daemon.post("/swarm/join", body));
  SKEP_TRY_ASSIGN(const Json info, local_node_info(daemon));
  std::printf("This node joined a swarm as a %s.\n",
              flag_at(info, "/ControlAvailable") ? "manager" : "worker");
  return 0;
}

struct TokenOptions {
  bool rotate = false;
  bool quiet = false;
};

Result<int> join_token(const TokenOptions& options, const std::string& role,
                       const Session& session) {
  if (role != "worker" && role != "manager") {
    return fail(ErrorKind::invalid, "unknown role " + role);
  }
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  if (options.rotate) {
    SKEP_TRY_ASSIGN(const Json swarm, daemon.get("/swarm"));
    const bool worker = role == "worker";
    SKEP_TRY(daemon.post(
        "/swarm/update?version=" + std::to_string(integer_at(swarm, "/Version/Index")) +
            "&rotateWorkerToken=" + (worker ? "true" : "false") +
            "&rotateManagerToken=" + (worker ? "false" : "true") + "&rotateManagerUnlockKey=false",
        value_at(swarm, "/Spec")));
    if (!options.quiet) std::printf("Successfully rotated %s join token.\n\n", role.c_str());
  }
  if (options.quiet) {
    SKEP_TRY_ASSIGN(const Json swarm, daemon.get("/swarm"));
    const std::string token =
        text_at(swarm, role == "worker" ? "/JoinTokens/Worker" : "/JoinTokens/Manager");
    std::printf("%s\n", token.c_str());
    return 0;
  }
  SKEP_TRY_ASSIGN(const Json info, local_node_info(daemon));
  const std::string node = text_at(info, "/NodeID");
  // Outside a cluster the daemon's own sentence about it is the better answer.
  if (node.empty()) SKEP_TRY(daemon.get("/swarm"));
  SKEP_TRY(print_join_line(daemon, role, node));
  return 0;
}

Result<int> update(const SwarmSettings& settings, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(Json swarm, daemon.get("/swarm"));
  Json spec = value_at(swarm, "/Spec");
  const bool was_locked = flag_at(spec, "/EncryptionConfig/AutoLockManagers");
  settings.apply(spec);
  SKEP_TRY(
      daemon.post("/swarm/update?version=" + std::to_string(integer_at(swarm, "/Version/Index")) +
                      "&rotateWorkerToken=false&rotateManagerToken=false"
                      "&rotateManagerUnlockKey=false",
                  spec));
  std::printf("Swarm updated.\n");
  if (settings.autolock.value_or(false) && !was_locked) {
    SKEP_TRY(print_unlock_instructions(daemon));
  }
  return 0;
}

void add_init(const Command& group, const Session& session) {
  const Command command = group.command("init", "Initialize a swarm", {});
  InitOptions& options = command.own<InitOptions>();
  options.addresses.declare(command);
  options.settings.declare(command);
  command.list("--default-addr-pool", options.address_pools, "ipNetSlice",
               "default address pool in CIDR format");
  command.number("--default-addr-pool-mask-length", options.pool_mask_length,
                 "default address pool subnet mask length (default 24)");
  command.number("--data-path-port", options.data_path_port,
                 "Port number to use for data path traffic (1024 - 49151), default 4789");
  command.flag("--force-new-cluster", options.force_new_cluster,
               "Force create a new cluster from current state");
  command.run([&](const Words&) { return init(options, session); });
}

void add_join(const Command& group, const Session& session) {
  struct Options {
    NodeAddresses addresses;
    std::optional<std::string> token;
  };
  const Command command = group.command("join", "Join a swarm as a node and/or manager",
                                        {.usage = "HOST:PORT", .min = 1, .max = 1});
  Options& options = command.own<Options>();
  options.addresses.declare(command);
  command.text("--token", options.token, "string", "Token for entry into the swarm");
  command.run([&](const Words& words) {
    return join(options.addresses, options.token.value_or(""), words[0], session);
  });
}

}  // namespace

void add_swarm_commands(Command root, const Session& session) {
  const Command group = root.group("swarm", "Manage Swarm");
  add_init(group, session);
  add_join(group, session);

  const Command token = group.command("join-token", "Manage join tokens",
                                      {.usage = "(worker|manager)", .min = 1, .max = 1});
  TokenOptions& token_options = token.own<TokenOptions>();
  token.flag("--rotate", token_options.rotate, "Rotate join token");
  token.flag("-q,--quiet", token_options.quiet, "Only display token");
  token.run([&](const Words& words) { return join_token(token_options, words[0], session); });

  add_swarm_ca(group, session);
  add_swarm_lock(group, session);

  const Command leave = group.command("leave", "Leave the swarm", {});
  bool& force = leave.own<bool>();
  leave.flag("-f,--force", force, "Force this node to leave the swarm, ignoring warnings");
  leave.run([&](const Words&) -> Result<int> {
    SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
    SKEP_TRY(daemon.post(force ? "/swarm/leave?force=1" : "/swarm/leave"));
    std::printf("Node left the swarm.\n");
    return 0;
  });

  const Command change = group.command("update", "Update the swarm", {});
  SwarmSettings& settings = change.own<SwarmSettings>();
  settings.declare(change);
  change.run([&](const Words&) -> Result<int> {
    if (!settings.any())
      return fail(ErrorKind::invalid, "no changes were asked for: see 'skep swarm update --help'");
    return update(settings, session);
  });
}

}  // namespace skep::cli
