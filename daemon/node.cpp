// Entering a cluster, leaving it, and everything between. Requests to the cluster are in
// node_requests.cpp.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/node.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>

#include "core/identity/token.hpp"
#include "core/model/mounts.hpp"
#include "core/model/validate.hpp"
#include "core/planner/requests.hpp"
#include "daemon/advertise.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/drivers/plugin_log.hpp"
#include "daemon/transport/address.hpp"
#include "daemon/transport/join.hpp"

namespace skep {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kSessionWait{20};
constexpr std::chrono::seconds kGroupWait{60};
constexpr std::chrono::seconds kLeaveWait{90};
// How long a node that stops in good order is counted as alive: enough for an upgrade of skepd,
// short enough that a machine that is being shut down is missed.
constexpr uint32_t kAwayMs = 30'000;

std::string machine_hostname() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

fs::path own_program() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
}

// What runs a driver in a process of its own lies beside skepd.
std::string plugin_host_program() {
  return (own_program().parent_path() / "skep-plugin-host").string();
}

// The folder of the shipped plugins, seen from the running program: bin/../lib/skep/plugins.
fs::path shipped_plugins() {
  std::error_code error;
  const fs::path beside = own_program().parent_path().parent_path();
  const fs::path installed = beside / "lib" / "skep" / "plugins";
  return fs::exists(installed, error) ? installed : beside / "plugins";
}

drivers::PluginConfig plugin_config(const base::PluginSection& section) {
  drivers::PluginConfig plugin;
  plugin.name = section.name;
  const fs::path shipped = shipped_plugins();
  const fs::path path =
      fs::path(section.path).is_absolute() ? fs::path(section.path) : shipped / section.path;
  plugin.path = path.string();
  std::error_code error;
  plugin.shipped = fs::equivalent(path.parent_path(), shipped, error);
  if (!section.sha256.empty()) plugin.sha256 = section.sha256;
  plugin.config = section.config_json;
  if (section.isolation == "process") plugin.isolation = drivers::Isolation::process;
  if (section.isolation == "in-process") plugin.isolation = drivers::Isolation::in_process;
  plugin.debug = section.debug;
  plugin.limits.address_space_bytes = section.address_space_bytes;
  plugin.limits.open_files = section.open_files;
  return plugin;
}

}  // namespace

// Where this manager's own agent finds it: loopback if it listens there, else the one address it
// does listen on.
std::string own_address(const std::string& listen_address) {
  auto place = transport::parse_host_port(listen_address);
  if (!place) return "127.0.0.1:" + std::to_string(transport::kNodePort);
  if (place->host == "0.0.0.0") place->host = "127.0.0.1";
  if (place->host == "::") place->host = "::1";
  return place->str();
}

Node::Node(asio::io_context& loop, base::Config config)
    : loop_(loop),
      config_(std::move(config)),
      hostname_(config_.hostname.empty() ? machine_hostname() : config_.hostname),
      connected_bell_(loop),
      probe_timer_(loop),
      role_bell_(loop),
      lock_bell_(loop) {}

Node::~Node() = default;

std::string Node::path(std::string_view name) const {
  return (fs::path(config_.data_dir) / name).string();
}

asio::awaitable<Status> Node::start() {
  SKEP_CO_TRY(co_await start_drivers());
  SKEP_CO_TRY(co_await start_agent());
  SKEP_CO_TRY(co_await come_back());
  asio::co_spawn(loop_, keep_probing(), asio::detached);
  asio::co_spawn(loop_, keep_role(), asio::detached);
  asio::co_spawn(loop_, keep_lock(), asio::detached);
  co_return Status{};
}

asio::awaitable<Status> Node::start_drivers() {
  std::vector<drivers::PluginConfig> configs;
  for (const auto& [name, section] : config_.plugins) configs.push_back(plugin_config(section));
  drivers::PluginPlace place;
  place.run_dir = config_.run_dir;
  place.data_dir = config_.data_dir;
  place.node = hostname_;
  place.helper = plugin_host_program();
  SKEP_CO_TRY_ASSIGN(place.log_level, drivers::log_level_of(config_.log_level));
  drivers::DriverSetOptions options;
  options.lb = config_.lb;
  // Later, because whoever tells is in the middle of it.
  options.changed = [this] {
    asio::post(loop_, [this] {
      describe_again();
      probe_timer_.cancel();
    });
  };
  options.fresh_config = [this](const std::string& name) { return fresh_config(name); };
  drivers_ =
      co_await drivers::DriverSet::load(std::move(configs), std::move(place), std::move(options));
  // A driver that the operator named and that does not load is a mistake to be told, not worked
  // around. One whose process dies is unhealthy, and comes back.
  for (const drivers::DriverState& state : drivers_->states()) {
    if (state.refused) co_return fail(*state.refused);
  }
  co_return Status{};
}

Result<drivers::PluginConfig> Node::fresh_config(const std::string& name) const {
  SKEP_TRY_ASSIGN(const base::Config now, base::load_config(config_.path));
  const auto section = now.plugins.find(name);
  if (section != now.plugins.end()) return plugin_config(section->second);
  return fail(ErrorKind::conflict, "plugin " + name + " is not in " +
                                       (now.path.empty() ? "the configuration" : now.path) +
                                       " any more: taking it away needs a restart of skepd");
}

asio::awaitable<Status> Node::start_agent() {
  SKEP_CO_TRY_ASSIGN(drivers::RuntimeDriver * runtime, drivers_->runtime());
  const std::vector<std::string> networks = drivers_->network_ids();
  if (networks.empty()) {
    co_return fail(ErrorKind::precondition,
                   "no network driver is configured; name one, e.g. [plugins.net-bridge]");
  }
  SKEP_CO_TRY_ASSIGN(drivers::NetworkDriver * network, drivers_->network(networks.front()));
  agent::AgentOptions options;
  options.data_dir = config_.data_dir;
  options.run_dir = config_.run_dir;
  options.node_name = hostname_;
  options.hostname = hostname_;
  options.clock = base::wall_now;
  std::vector<agent::NamedVolumeDriver> volumes;
  for (const drivers::DriverSet::VolumeMember& member : drivers_->volumes()) {
    volumes.push_back({model::volume_driver_name(member.id), member.name, member.driver});
  }
  agent_ =
      std::make_unique<agent::Agent>(loop_.get_executor(), *runtime, *network, std::move(volumes),
                                     options, [this](std::vector<agent::TaskReport> reports) {
                                       if (session_) session_->report(std::move(reports));
                                     });
  co_return co_await agent_->start();
}

asio::awaitable<Status> Node::take_up(transport::NodeCredentials credentials) {
  SKEP_CO_TRY_ASSIGN(auto addresses, load_membership(path("membership.json")));
  if (!addresses) {
    co_return fail(ErrorKind::internal, path("membership.json") +
                                            " is missing: this node has a "
                                            "certificate but does not know where its cluster is");
  }
  addresses_ = std::move(*addresses);
  const bool is_manager = credentials.identity.role == model::NodeRole::manager;
  if (!is_manager && addresses_.managers.empty()) {
    co_return fail(ErrorKind::internal, path("membership.json") + " names no manager");
  }
  const bool knows_others =
      std::any_of(addresses_.managers.begin(), addresses_.managers.end(),
                  [&](const auto& known) { return known.node != credentials.identity.node; });
  // A log that is gone is for the other managers to judge, if there are any.
  if (is_manager && (fs::exists(path("raft.db")) || !knows_others)) {
    // A log that can't be taken up is no reason to leave the containers alone.
    const Status started = start_manager(credentials, nullptr);
    if (!started && !log_trouble_) co_return started;
    // A lone manager serves nobody before the end of the log is applied: what was acknowledged
    // before the restart would seem to be gone. In a group every read asks how far the group is.
    if (manager_ && manager_->alone()) {
      const Status ready = co_await manager_->ready();
      if (!ready && !log_trouble_) co_return ready;
    }
  }
  start_session(std::move(credentials));
  co_return Status{};
}

asio::awaitable<void> Node::stop() {
  stopping_ = true;
  probe_timer_.cancel();
  role_bell_.cancel();
  lock_bell_.cancel();
  if (manager_ && !manager_->alone()) manager_->hand_over();
  if (session_ && session_->connected()) {
    const Status told = co_await session_->away(kAwayMs);
    if (!told)
      base::log_warning("node", "telling the managers of the stop: " + told.error().message);
  }
  if (session_) session_->stop();
  if (agent_) co_await agent_->stop();
  if (manager_) manager_->stop();
  if (drivers_) co_await drivers_->shutdown();
}

asio::awaitable<void> Node::keep_probing() {
  while (!stopping_) {
    const std::chrono::milliseconds pause = drivers_->probe_pause();
    probe_timer_.expires_after(pause);
    boost::system::error_code rung;  // some driver has another state
    co_await probe_timer_.async_wait(asio::redirect_error(asio::use_awaitable, rung));
    if (!rung && !stopping_) co_await drivers_->probe();
  }
}

// --- into a cluster
// ------------------------------------------------------------------------------------

Status Node::may_enter() const {
  if (leaving_) {
    return fail(ErrorKind::precondition,
                "This node is still leaving a swarm: its tasks are being removed.");
  }
  if (credentials_ || locked_ || entering_) {
    return fail(ErrorKind::precondition,
                "This node is already part of a swarm. Use \"docker swarm leave\" to leave this "
                "swarm and join another one.");
  }
  return {};
}

Result<MembershipFile> Node::addresses_for(const std::string& listen_address,
                                           const std::string& advertise_address) {
  const std::string listen = listen_address.empty() ? "0.0.0.0" : listen_address;
  SKEP_TRY_ASSIGN(const transport::HostPort listen_at, transport::parse_host_port(listen));
  SKEP_TRY_ASSIGN(const std::string address, choose_advertise_address(advertise_address));
  MembershipFile addresses;
  addresses.listen_address = listen_at.str();
  addresses.advertise_address = transport::HostPort{address, listen_at.port}.str();
  return addresses;
}

asio::awaitable<Result<model::NodeId>> Node::init(manager::InitRequest request) {
  if (request.force_new_cluster && (credentials_ || locked_)) {
    co_return co_await force_new_cluster(std::move(request));
  }
  SKEP_CO_TRY(may_enter());
  SKEP_CO_TRY(model::validate_cluster_spec(request.spec));
  SKEP_CO_TRY_ASSIGN(MembershipFile addresses,
                     addresses_for(request.listen_address, request.advertise_address));
  entering_ = true;
  Result<model::NodeId> node = co_await found(std::move(request), std::move(addresses));
  entering_ = false;
  if (!node) {
    close_cluster();
    forget_membership();
  }
  co_return node;
}

asio::awaitable<Result<model::NodeId>> Node::found(manager::InitRequest request,
                                                   MembershipFile addresses) {
  base::RandomIds ids;
  const model::WallTime now = base::wall_now();
  SKEP_CO_TRY_ASSIGN(const transport::KeyAndCertificate root, transport::make_root(now));
  const transport::CertificateOrder order{model::NodeId{ids.next()}, model::ClusterId{ids.next()},
                                          model::NodeRole::manager, request.spec.node_cert_expiry};
  SKEP_CO_TRY_ASSIGN(transport::NodeCredentials credentials,
                     transport::make_credentials(root, order, now));
  SKEP_CO_TRY_ASSIGN(const identity::Digest digest,
                     transport::certificate_digest(root.certificate_pem));
  SKEP_CO_TRY_ASSIGN(const identity::Secret worker, transport::random_secret());
  SKEP_CO_TRY_ASSIGN(const identity::Secret manager, transport::random_secret());

  model::Cluster cluster;
  cluster.id = order.cluster;
  cluster.spec = std::move(request.spec);
  cluster.ca_certificate_pem = root.certificate_pem;
  cluster.ca_key_pem = root.key_pem;
  cluster.worker_token = identity::JoinToken{digest, worker}.str();
  cluster.manager_token = identity::JoinToken{digest, manager}.str();
  if (!request.address_pools.empty()) cluster.address_pools = request.address_pools;
  if (request.subnet_size != 0) cluster.subnet_size = request.subnet_size;
  if (request.data_path_port != 0) cluster.data_path_port = request.data_path_port;

  forget_membership();  // what an init that was cut short may have left
  if (cluster.spec.auto_lock_managers) {
    SKEP_CO_TRY_ASSIGN(const storage::UnlockKey key, storage::UnlockKey::random());
    cluster.unlock_key = key.text();
    lock_keys_ = {key};
  }

  model::Node node;
  node.id = order.node;
  node.role = node.spec.role = model::NodeRole::manager;
  node.spec.availability = request.availability;
  node.manager =
      model::ManagerStatus{1, addresses.advertise_address, model::Reachability::reachable};
  node.certificate_expires_at = credentials.identity.expires_at;
  cluster.last_raft_id = node.manager->raft_id;

  addresses_ = std::move(addresses);
  addresses_.managers = {{node.id, addresses_.advertise_address}};
  const model::NetworkId ingress{ids.next()};
  SKEP_CO_TRY(start_manager(credentials, [cluster, node, ingress](store::Draft& draft) {
    if (!draft.cluster()) planner::found_cluster(draft, cluster, node, ingress);
    return Status{};
  }));
  SKEP_CO_TRY(co_await manager_->ready());
  // Only now is there a cluster to come back to.
  SKEP_CO_TRY(save_membership(path("membership.json"), addresses_));
  SKEP_CO_TRY(keep_credentials(credentials));
  start_session(std::move(credentials));
  SKEP_CO_TRY(co_await session_stands(kSessionWait));
  base::log_info("node", "formed cluster " + cluster.id.str() + " as node " + node.id.str());
  co_return node.id;
}

asio::awaitable<Status> Node::join(manager::JoinRequest request) {
  SKEP_CO_TRY(may_enter());
  if (request.remote_addresses.empty()) {
    co_return fail(ErrorKind::invalid, "at least one remote address of a manager is needed");
  }
  // What is wrong with the request is told before a manager admits this node.
  MembershipFile addresses;
  addresses.listen_address = request.listen_address;
  if (!request.advertise_address.empty()) {
    SKEP_CO_TRY_ASSIGN(addresses.advertise_address,
                       choose_advertise_address(request.advertise_address));
  }
  for (const std::string& remote : request.remote_addresses) {
    SKEP_CO_TRY_ASSIGN(const transport::HostPort place, transport::parse_host_port(remote));
    addresses.managers.push_back({model::NodeId{}, place.str()});
  }
  entering_ = true;
  transport::JoinOrder order;
  order.remote_addresses = request.remote_addresses;
  order.token = request.token;
  order.availability = request.availability;
  auto credentials = co_await transport::obtain_certificate(loop_.get_executor(), std::move(order));
  entering_ = false;
  if (!credentials) co_return fail(credentials.error());
  forget_membership();  // what an init or a restoration that was cut short may have left
  addresses_ = std::move(addresses);
  Status kept = save_membership(path("membership.json"), addresses_);
  if (kept) kept = keep_credentials(*credentials);
  if (!kept) {
    forget_membership();
    co_return kept;
  }
  const bool is_manager = credentials->identity.role == model::NodeRole::manager;
  start_session(std::move(*credentials));
  SKEP_CO_TRY(co_await session_stands(kSessionWait));
  if (is_manager) SKEP_CO_TRY(co_await group_stands(kGroupWait));
  co_return Status{};
}

Status Node::start_manager(const transport::NodeCredentials& credentials,
                           manager::Queue::Request founding) {
  manager::ManagerOptions options = manager_options(credentials);
  if (founding) SKEP_TRY(manager::Manager::found(options));
  const model::NodeId node = credentials.identity.node;
  // What can't be written now may be the next time, if what was written is whole.
  options.log_failed = [this, node](const Error& why) {
    log_failed(node, {ErrorKind::unavailable, why.message});
  };
  Result<manager::OpenLog> log = manager::Manager::open_log(options);
  if (!log) {
    log_failed(node, log.error());
    return fail(log.error());
  }
  Result<std::unique_ptr<manager::Manager>> started =
      manager::Manager::start(loop_, std::move(options), std::move(*log), std::move(founding),
                              [this](const ClusterEvent& event) { tell(event); });
  if (!started) {
    if (started.error().kind == ErrorKind::internal) log_failed(node, started.error());
    return fail(started.error());
  }
  manager_ = std::move(*started);
  log_trouble_.reset();
  ++managers_begun_;
  lock_followed_ = false;
  lock_bell_.cancel();
  return {};
}

// An unhealthy driver is left out, so that nothing is placed here that needs it; without a runtime
// nothing is placed here at all. What runs goes on.
model::NodeDescription Node::description() const {
  std::vector<model::EnginePlugin> plugins;
  std::string trouble;
  bool has_runtime = false;
  for (const drivers::DriverState& state : drivers_->states()) {
    if (state.unhealthy()) {
      trouble += (trouble.empty() ? "" : "; ") + state.run.reason;
      continue;
    }
    for (const std::string& interface : state.interfaces) {
      if (interface == "skep.runtime/1") has_runtime = true;
      if (interface.starts_with("skep.network/")) plugins.push_back({"Network", state.id});
      if (!interface.starts_with("skep.volume/")) continue;
      // A user may name it either way.
      plugins.push_back({"Volume", model::volume_driver_name(state.id)});
      if (state.name != state.id) plugins.push_back({"Volume", state.name});
    }
  }
  model::NodeDescription description = agent_->description(std::move(plugins));
  description.trouble = std::move(trouble);
  description.takes_no_tasks = !has_runtime;
  for (const auto& [key, value] : config_.engine_labels) description.engine_labels[key] = value;
  return description;
}

// A driver has become unhealthy, or is well again.
void Node::describe_again() {
  if (session_ && !stopping_) session_->describe(description());
}

void Node::start_session(transport::NodeCredentials credentials) {
  credentials_ = credentials;
  row_.reset();
  was_connected_ = false;
  trouble_.clear();
  lock_bell_.cancel();
  agent::SessionOptions options;
  options.credentials = std::move(credentials);
  options.managers = addresses_.managers;
  options.generation = addresses_.generation;
  // A manager reaches itself over loopback, whatever happens to its link.
  if (manager_) {
    std::erase_if(options.managers,
                  [&](const auto& known) { return known.node == credentials_->identity.node; });
    options.managers.insert(options.managers.begin(),
                            {credentials_->identity.node, own_address(addresses_.listen_address)});
  }
  options.description = description();
  base::RandomIds ids;
  options.seed = ids.next().low;
  session_ = std::make_unique<agent::AgentSession>(loop_.get_executor(), std::move(options),
                                                   session_events());
  session_->start();
}

agent::SessionEvents Node::session_events() {
  agent::SessionEvents events;
  events.on_assignments = [this](const agent::AssignmentSet& wanted) { agent_->assign(wanted); };
  events.on_node = [this](const model::Node& row) {
    row_ = row;
    role_bell_.cancel();
  };
  events.on_managers = [this](std::vector<agent::ManagerAddress> managers) {
    for (agent::ManagerAddress& known : managers) {
      // Loopback is no address to come back by from elsewhere, nor to be shown.
      if (known.node == credentials_->identity.node) known.address = addresses_.advertise_address;
    }
    if (managers == addresses_.managers) return;
    addresses_.managers = std::move(managers);
    const Status saved = save_membership(path("membership.json"), addresses_);
    if (!saved)
      base::log_warning("node", "keeping the managers' addresses: " + saved.error().message);
  };
  events.on_generation = [this](raft::Generation generation) -> Status {
    // Nobody of the group has told this manager: it may be that nobody knows its address.
    if (manager_ && raft::ordinal(manager_->generation()) < raft::ordinal(generation)) {
      give_up_group(generation);
    }
    MembershipFile updated = addresses_;
    updated.generation = generation;
    SKEP_TRY(save_membership(path("membership.json"), updated));
    addresses_ = std::move(updated);
    return {};
  };
  events.on_refused = [this](const Error& why) {
    trouble_ = why.message;
    base::log_error("node", "the cluster refuses this node: " + why.message);
    connected_bell_.cancel();
  };
  events.certificate_changed = [this](const transport::NodeCredentials& fresh) {
    return certificate_changed(fresh);
  };
  events.warn = [](std::string_view line) { base::log_warning("session", line); };
  events.on_connected = [this](bool connected, const std::string& why) {
    if (!connected) {
      base::log_info("node", "no session with a manager: " + why);
      return;
    }
    was_connected_ = true;
    trouble_.clear();
    connected_bell_.cancel();
    session_->report(agent_->reports());
  };
  events.log = [](std::string_view line) { base::log_debug("session", line); };
  return events;
}

// On disk first: what the managers are told of is what this node is after a crash.
Status Node::certificate_changed(const transport::NodeCredentials& fresh) {
  SKEP_TRY(keep_credentials(fresh));
  if (manager_) SKEP_TRY(manager_->set_credentials(fresh));
  const bool renewed = !credentials_ || credentials_->certificate_pem != fresh.certificate_pem;
  base::log_info("node", renewed ? "this node has a new certificate"
                                 : "this node trusts other roots from now on");
  credentials_ = fresh;
  role_bell_.cancel();
  return {};
}

asio::awaitable<Status> Node::session_stands(std::chrono::seconds limit) {
  connected_bell_.expires_after(limit);
  while (!was_connected_ && trouble_.empty()) {
    boost::system::error_code rung;
    co_await connected_bell_.async_wait(asio::redirect_error(asio::use_awaitable, rung));
    if (!rung && !was_connected_) {
      co_return fail(
          ErrorKind::deadline,
          "Timeout was reached before node joined. The attempt to join the swarm will "
          "continue in the background. Use the \"docker info\" command to see the current "
          "swarm status of your node.");
    }
  }
  if (!trouble_.empty()) co_return fail(ErrorKind::denied, trouble_);
  co_return Status{};
}

// --- and out of it
// -------------------------------------------------------------------------------------

asio::awaitable<Status> Node::leave(bool force) {
  if ((!credentials_ && !locked_) || leaving_) {
    co_return fail(ErrorKind::precondition, "This node is not part of a swarm");
  }
  if (locked_) SKEP_CO_TRY(may_leave_locked(force));
  if ((manager_ || log_trouble_) && !force) {
    co_return fail(ErrorKind::precondition,
                   "You are attempting to leave the swarm on a node that is participating as a "
                   "manager. " +
                       std::string(manager_ && manager_->alone()
                                       ? "Removing the last manager erases all current state of "
                                         "the swarm. "
                                       : "Demote it first, so that the others stay a quorum. ") +
                       "Use `--force` to ignore this message.");
  }
  leaving_ = true;
  const bool last_manager = manager_ && manager_->alone();
  if (manager_ && !last_manager) co_await leave_group();
  if (session_ && session_->connected() && !last_manager) {
    const Status told = co_await session_->leave();
    if (!told)
      base::log_warning("node", "telling the managers of the leave: " + told.error().message);
  }
  close_cluster();
  // The membership goes first: should the daemon die now, it must not come back as a member.
  forget_membership();
  Status removed = co_await agent_->remove_all(kLeaveWait);
  leaving_ = false;
  co_return removed;
}

void Node::close_cluster() {
  session_.reset();
  close_manager();
  credentials_.reset();
  locked_.reset();
  row_.reset();
  was_connected_ = false;
  outlived_ = false;
  trouble_.clear();
}

void Node::forget_membership() {
  const Status removed = transport::remove_credentials(path("pki"));
  if (!removed) base::log_error("node", "forgetting the certificate: " + removed.error().message);
  std::error_code error;
  fs::remove(path("membership.json"), error);
  if (error) base::log_error("node", path("membership.json") + ": " + error.message());
  forget_log();
  lock_keys_ = {std::nullopt};
}

}  // namespace skep
