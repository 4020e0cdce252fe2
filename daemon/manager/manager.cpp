// The life of a manager: its log, its leases, and the events it tells.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/manager.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

#include "core/planner/requests.hpp"
#include "core/raft/forced_group.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/manager/session.hpp"
#include "daemon/storage/sqlite_log_store.hpp"

namespace skep::manager {
namespace {

// The one voter of a cluster with one manager.
constexpr raft::RaftId kFirstMember{1};
constexpr std::chrono::seconds kReadyWait{20};

std::string_view state_text(model::NodeState state) {
  switch (state) {
    case model::NodeState::unknown:
      return "unknown";
    case model::NodeState::down:
      return "down";
    case model::NodeState::ready:
      return "ready";
    case model::NodeState::disconnected:
      return "disconnected";
  }
  return "unknown";
}

std::string_view availability_text(model::NodeAvailability availability) {
  switch (availability) {
    case model::NodeAvailability::active:
      return "active";
    case model::NodeAvailability::pause:
      return "pause";
    case model::NodeAvailability::drain:
      return "drain";
  }
  return "active";
}

bool changes_trust(const store::Replaced<model::Cluster>& change) {
  if (!change.before || !change.after) return false;
  return change.before->ca_certificate_pem != change.after->ca_certificate_pem ||
         change.before->root_rotation != change.after->root_rotation;
}

bool concerns_members(const store::Replaced<model::Node>& change) {
  const auto seen = [](const store::Row<model::Node>& row) {
    return row && row->manager ? std::pair(row->manager->raft_id, row->manager->address)
                               : std::pair(uint64_t{0}, std::string());
  };
  const bool wanted =
      change.before && change.after && change.before->spec.role != change.after->spec.role;
  return wanted || seen(change.before) != seen(change.after);
}

// Names the disk that the log is made on: one that is made anew under an old id is not believed.
raft::Incarnation new_incarnation() {
  return {base::RandomIds().next().low | 1};
}

Status seal_new(storage::LogStore& log, const ManagerOptions& options) {
  const auto& key = options.unlock_keys.back();
  return key ? log.set_unlock_key(key) : Status{};
}

}  // namespace

Status open_lock(storage::LogStore& log,
                 const std::vector<std::optional<storage::UnlockKey>>& keys) {
  Status opened;
  for (const auto& key : keys) {
    if (!log.locked()) return {};
    if (key) opened = log.unlock(*key);
  }
  return opened;
}

Status Manager::found(const ManagerOptions& options) {
  SKEP_TRY_ASSIGN(const auto log, storage::open_sqlite_log_store(options.log_path));
  const storage::Identity identity{options.credentials.identity.cluster,
                                   options.credentials.identity.node, kFirstMember,
                                   new_incarnation(), raft::Generation{1}};
  const raft::MemberDisk disk{kFirstMember, identity.incarnation};
  SKEP_TRY(log->initialise(identity, raft::Configuration{{kFirstMember}, {}, {}, {disk}}));
  return seal_new(*log, options);
}

Status Manager::prepare(const ManagerOptions& options, raft::RaftId member,
                        raft::Generation generation) {
  SKEP_TRY_ASSIGN(const auto log, storage::open_sqlite_log_store(options.log_path));
  storage::Identity identity{options.credentials.identity.cluster,
                             options.credentials.identity.node, member, new_incarnation()};
  identity.generation = generation;
  SKEP_TRY(log->initialise(identity, raft::Configuration{}));
  return seal_new(*log, options);
}

Result<OpenLog> Manager::open_log(const ManagerOptions& options) {
  OpenLog log;
  SKEP_TRY_ASSIGN(log.store, storage::open_sqlite_log_store(options.log_path));
  SKEP_TRY(open_lock(*log.store, options.unlock_keys));
  SKEP_TRY_ASSIGN(std::optional<storage::Loaded> loaded, log.store->load());
  if (!loaded) {
    return fail(ErrorKind::internal, "this node is a manager but " + options.log_path +
                                         " holds no log; was the data directory emptied?");
  }
  const transport::PeerIdentity& self = options.credentials.identity;
  if (loaded->identity.cluster != self.cluster || loaded->identity.node != self.node) {
    return fail(ErrorKind::internal, options.log_path + " is the log of node " +
                                         loaded->identity.node.str() + ", not of this one");
  }
  log.loaded = std::move(*loaded);
  return log;
}

Result<std::unique_ptr<Manager>> Manager::start(asio::io_context& loop, ManagerOptions options,
                                                OpenLog log, Queue::Request founding,
                                                EventSink events) {
  std::unique_ptr<Manager> manager(new Manager(loop, std::move(options), std::move(events)));
  manager->founding_ = std::move(founding);
  Manager* self = manager.get();
  Queue::Events queue_events;
  queue_events.applied = [self](const store::Applied& applied) { self->on_applied(applied); };
  queue_events.leading = [self] { self->on_leading(); };
  queue_events.following = [self] { self->on_following(); };
  queue_events.reloaded = [self] {
    self->note_members();
    if (self->options_.lock_changed) self->options_.lock_changed();
  };
  queue_events.send = [self](const raft::Message& message) { self->peers_->send(message); };
  queue_events.broken = [self](const Error& why) {
    self->trouble_ = why;
    self->ready_timer_.cancel();
    if (self->options_.log_failed) self->options_.log_failed(why);
  };
  Result<std::unique_ptr<Queue>> queue =
      Queue::open(loop, std::move(log.store), log.loaded, manager->ids_, std::move(queue_events));
  if (!queue) {
    return fail(ErrorKind::internal, "what the raft log holds can't be: " + queue.error().message);
  }
  manager->queue_ = std::move(*queue);
  manager->note_members();
  Reach reach{[self](raft::RaftId member) { return self->peers_->reachable(member); },
              [self](raft::RaftId member) { self->peers_->probe(member); }};
  manager->members_ = std::make_unique<Members>(loop, *manager->queue_, std::move(reach));
  manager->queue_->start();
  manager->register_handlers();
  SKEP_TRY(manager->server_->listen(manager->options_.listen_address));
  return manager;
}

Manager::Manager(asio::io_context& loop, ManagerOptions options, EventSink events)
    : loop_(loop),
      options_(std::move(options)),
      events_(std::move(events)),
      leases_(model::ClusterSpec{}.heartbeat_period),
      lease_timer_(loop),
      ready_timer_(loop) {
  transport::ServerOptions server;
  server.credentials = options_.credentials;
  // Asked at each request: the list is sorted once for each row of the cluster.
  server.removed = [this, row = store::Row<model::Cluster>(),
                    blocked = std::set<model::NodeId>()](model::NodeId node) mutable {
    if (store::Row<model::Cluster> present = queue_->store().cluster(); present != row) {
      row = std::move(present);
      blocked.clear();
      if (row) {
        for (const model::BlockedNode& entry : row->blocked_nodes) blocked.insert(entry.node);
      }
    }
    return blocked.contains(node);
  };
  server.log = [](std::string_view line) { base::log_info("transport", line); };
  server_ = std::make_unique<transport::RpcServer>(loop.get_executor(), std::move(server));
  PeersOptions peers;
  peers.credentials = options_.credentials;
  peers.own_address = options_.advertise_address;
  peers.seed = ids_.next().low;
  peers.generation_seen = [this](raft::Generation seen) { note_generation(seen); };
  peers_ = std::make_unique<Peers>(loop.get_executor(), std::move(peers), [this] {
    if (members_) members_->look();
  });
  forwarder_ = std::make_shared<Forwarder>(loop.get_executor(), options_.credentials);
  lead_changed_ = std::make_shared<Bell>(loop.get_executor());
}

Manager::~Manager() {
  stop();
}

void Manager::stop() {
  alive_.reset();
  server_->stop();
  lease_timer_.cancel();
  trouble_ = Error{ErrorKind::cancelled, "the daemon is stopping"};
  ready_timer_.cancel();
  for (const auto& [node, session] : sessions_) session->end("the manager is stopping");
  sessions_.clear();
  if (members_) members_->stop();
  if (queue_) queue_->stop();
  peers_->stop();
  forwarder_->stop();
  lead_changed_->ring();
}

asio::awaitable<Status> Manager::ready() {
  ready_timer_.expires_after(kReadyWait);
  while (!trouble_ && !(queue_->leading() && queue_->store().cluster())) {
    boost::system::error_code woken;
    co_await ready_timer_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    if (!woken) co_return fail(ErrorKind::unavailable, "the manager did not become leader in time");
  }
  if (trouble_) co_return fail(*trouble_);
  co_return Status{};
}

// Sessions are the leader's: a node is told to look for it.
void Manager::on_following() {
  for (const auto& [node, session] : std::exchange(sessions_, {})) {
    session->end("this manager does not lead any more");
  }
  leases_ = dispatcher::Leases(model::ClusterSpec{}.heartbeat_period);
  lease_timer_.cancel();
  if (members_) members_->look();
  note_leader();
}

// A call that waits for an earlier leader would wait in vain: one that was cut off says nothing.
// While nobody is known to lead, the one that was known may still answer.
void Manager::note_leader() {
  const raft::Raft& raft = queue_->member().raft();
  const std::pair present(raft.term(), raft.leader());
  if (present.second && present != forwarding_to_) {
    forwarding_to_ = present;
    forwarder_->abandon("another manager leads");
  }
  lead_changed_->ring();
}

model::NodeId Manager::leader() const {
  const raft::RaftId member = queue_->member().raft().leader();
  const auto node = member_nodes_.find(member);
  return member && node != member_nodes_.end() ? node->second : model::NodeId{};
}

std::string Manager::leader_address() const {
  const model::NodeId leads = leader();
  const store::Row<model::Node> node = leads ? queue_->store().node(leads) : nullptr;
  const bool self = leads == options_.credentials.identity.node;
  return node && node->manager && !self ? node->manager->address : std::string();
}

bool Manager::votes() const {
  return queue_->member().raft().configuration().is_voter(member());
}

bool Manager::alone() const {
  const raft::Configuration& group = queue_->member().raft().configuration();
  return group.voters.size() == 1 && group.is_voter(member()) && !group.is_joint();
}

Status Manager::set_credentials(transport::NodeCredentials credentials) {
  SKEP_TRY(server_->set_credentials(credentials));
  peers_->set_credentials(credentials);
  forwarder_->set_credentials(credentials);
  options_.credentials = std::move(credentials);
  return {};
}

asio::awaitable<Status> Manager::set_unlock_key(std::optional<storage::UnlockKey> key) {
  const std::weak_ptr<int> alive = alive_;
  SKEP_CO_TRY_ASSIGN(const bool old_keys, co_await queue_->member().set_unlock_key(std::move(key)));
  // Whoever saw the old data keys could read what they seal, lock or no lock.
  if (old_keys && !alive.expired()) queue_->snapshot_soon();
  co_return Status{};
}

// Who is behind each raft id, from the rows.
void Manager::note_members() {
  std::map<raft::RaftId, PeerPlace> places;
  member_nodes_.clear();
  queue_->store().each_node([&](const store::Row<model::Node>& node) {
    if (!node->manager) return;
    const raft::RaftId id{node->manager->raft_id};
    member_nodes_[id] = node->id;
    if (node->id != options_.credentials.identity.node) {
      places[id] = {node->id, node->manager->address};
    }
  });
  peers_->set_places(std::move(places));
  if (members_) members_->look();
}

// A majority of those who were left out may be back and take itself for the group: it must not go
// on deciding beside the one that was begun anew.
void Manager::note_generation(raft::Generation seen) {
  if (raft::ordinal(seen) <= raft::ordinal(generation()) || !options_.outlived) return;
  base::log_warning("manager", "the managers are of generation " + raft::text(seen) +
                                   " by now; this one is of " + raft::text(generation()));
  std::exchange(options_.outlived, nullptr)(seen);
}

void Manager::on_leading() {
  const store::Row<model::Cluster> cluster = queue_->store().cluster();
  if (!cluster && founding_) queue_->post(founding_);
  if (cluster) leases_.set_beat(cluster->spec.heartbeat_period);
  // Nothing is known of beats before this moment: every live node gets one full lease.
  queue_->store().each_node([&](const store::Row<model::Node>& node) {
    if (node->status.state == model::NodeState::ready) leases_.renew(node->id, base::mono_now());
  });
  arm_leases();
  if (members_) members_->look();
  base::log_info("manager", "leading the cluster");
  ready_timer_.cancel();
  note_leader();
}

void Manager::on_applied(const store::Applied& applied) {
  bool members_changed = false;
  for (const store::RowChange& change : applied.changes) {
    if (const auto* cluster = std::get_if<store::Replaced<model::Cluster>>(&change)) {
      if (cluster->after) leases_.set_beat(cluster->after->spec.heartbeat_period);
      if (changes_trust(*cluster)) {
        for (const auto& [id, session] : sessions_) session->node_changed();
      }
      const bool relocked = !cluster->before || !cluster->after ||
                            cluster->before->unlock_key != cluster->after->unlock_key;
      if (relocked && options_.lock_changed) options_.lock_changed();
      ready_timer_.cancel();
    }
    if (const auto* node = std::get_if<store::Replaced<model::Node>>(&change)) {
      const model::NodeId id = node->after ? node->after->id : node->before->id;
      members_changed = members_changed || concerns_members(*node);
      const auto it = sessions_.find(id);
      if (it != sessions_.end() && node->after) it->second->node_changed();
      if (node->after && node->after->status.state == model::NodeState::down) leases_.forget(id);
      if (!node->after) {
        leases_.forget(id);
        if (it != sessions_.end()) {
          it->second->end("this node was removed from the cluster");
          sessions_.erase(it);
        }
        server_->disconnect(id, "this node was removed from the cluster");
      }
    }
    if (const auto* task = std::get_if<store::Replaced<model::Task>>(&change)) {
      for (const store::Row<model::Task>& row : {task->before, task->after}) {
        if (!row || !row->node) continue;
        const auto it = sessions_.find(row->node);
        if (it != sessions_.end()) it->second->task_changed(change);
      }
    }
    tell(change, applied.time);
  }
  if (!members_changed) return;
  note_members();
  for (const auto& [node, session] : sessions_) session->managers_changed();
}

void Manager::tell(const store::RowChange& change, model::WallTime time) {
  using Kind = Control::ClusterEvent::Kind;
  using Action = Control::ClusterEvent::Action;
  const auto action = [](const auto& replaced) {
    if (!replaced.before) return Action::create;
    return replaced.after ? Action::update : Action::remove;
  };
  if (const auto* node = std::get_if<store::Replaced<model::Node>>(&change)) {
    const model::Node& row = node->after ? *node->after : *node->before;
    model::Labels attributes;
    if (node->before && node->after) {
      if (node->before->status.state != row.status.state) {
        attributes["state.new"] = state_text(row.status.state);
        attributes["state.old"] = state_text(node->before->status.state);
      }
      if (node->before->spec.availability != row.spec.availability) {
        attributes["availability.new"] = availability_text(row.spec.availability);
        attributes["availability.old"] = availability_text(node->before->spec.availability);
      }
    }
    events_({Kind::node, action(*node), row.id.str(), row.description.hostname,
             std::move(attributes), time});
  } else if (const auto* service = std::get_if<store::Replaced<model::Service>>(&change)) {
    const model::Service& row = service->after ? *service->after : *service->before;
    model::Labels attributes;
    if (service->before && service->after) {
      const auto now = queue_->store().spec_of(row);
      const auto then = queue_->store().spec_of(*service->before);
      if (now && then && now->replicas != then->replicas) {
        attributes["replicas.new"] = std::to_string(now->replicas);
        attributes["replicas.old"] = std::to_string(then->replicas);
      }
    }
    events_({Kind::service, action(*service), row.id.str(), row.name, std::move(attributes), time});
  } else if (const auto* network = std::get_if<store::Replaced<model::Network>>(&change)) {
    const model::Network& row = network->after ? *network->after : *network->before;
    events_({Kind::network, action(*network), row.id.str(), row.name, {}, time});
  }
}

void Manager::arm_leases() {
  const std::optional<dispatcher::Instant> next = leases_.next_expiry();
  if (!next || !alive_) return;
  lease_timer_.expires_after(std::max(*next - base::mono_now(), std::chrono::nanoseconds(0)));
  lease_timer_.async_wait(
      [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired()) expire_leases();
      });
}

void Manager::expire_leases() {
  if (!queue_->leading()) return;  // whoever leads next grants leases anew
  for (const model::NodeId node : leases_.expire(base::mono_now())) {
    base::log_warning("manager", "node " + node.str() + " is silent: its lease has run out");
    const auto it = sessions_.find(node);
    if (it != sessions_.end()) {
      it->second->end("the lease has run out");
      sessions_.erase(it);
    }
    const store::Row<model::Node> row = queue_->store().node(node);
    if (!row || row->status.state == model::NodeState::down) continue;
    queue_->post([node](store::Draft& draft) {
      planner::node_down(draft, node, "heartbeat failure");
      return Status{};
    });
    // Until it is committed that the node is down, it is looked at again.
    leases_.renew(node, base::mono_now());
  }
  arm_leases();
}

}  // namespace skep::manager
