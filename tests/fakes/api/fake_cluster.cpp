// The tables and the little life in them.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/api/fake_cluster.hpp"

#include <algorithm>

namespace skep::fakes {
namespace {

template <class Map, class Key>
auto row_of(const Map& map, const Key& key) -> typename Map::mapped_type {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : found->second;
}

template <class Map, class Visit>
void visit_all(const Map& map, const Visit& visit) {
  for (const auto& [key, row] : map) visit(row);
}

template <class T>
store::Row<T> row(T value) {
  return std::make_shared<const T>(std::move(value));
}

}  // namespace

store::Row<model::Node> FakeStore::node(model::NodeId id) const {
  return row_of(nodes, id);
}
store::Row<model::Service> FakeStore::service(model::ServiceId id) const {
  return row_of(services, id);
}
store::Row<model::Task> FakeStore::task(model::TaskId id) const {
  return row_of(tasks, id);
}
store::Row<model::Network> FakeStore::network(model::NetworkId id) const {
  return row_of(networks, id);
}
store::Row<model::ServiceSpec> FakeStore::spec(const model::SpecKey& key) const {
  return row_of(specs, key);
}
store::Row<model::Service> FakeStore::service_by_name(std::string_view name) const {
  for (const auto& [id, service] : services) {
    if (service->name == name) return service;
  }
  return nullptr;
}
void FakeStore::each_node(const Visit<model::Node>& visit) const {
  visit_all(nodes, visit);
}
void FakeStore::each_service(const Visit<model::Service>& visit) const {
  visit_all(services, visit);
}
void FakeStore::each_task(const Visit<model::Task>& visit) const {
  visit_all(tasks, visit);
}
void FakeStore::each_network(const Visit<model::Network>& visit) const {
  visit_all(networks, visit);
}
void FakeStore::each_task_of_slot(model::ServiceId id, uint64_t slot,
                                  const Visit<model::Task>& visit) const {
  each_task_of_service(id, [&](const store::Row<model::Task>& task) {
    if (task->slot == slot) visit(task);
  });
}
void FakeStore::each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const {
  for (const auto& [key, task] : tasks) {
    if (task->service == id) visit(task);
  }
}
void FakeStore::each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const {
  for (const auto& [key, task] : tasks) {
    if (task->node == id) visit(task);
  }
}

// Spread over the whole range, so that prefixes are telling; the same in every run.
model::IdBits FakeCluster::next_id() {
  ++ids_;
  return {ids_ * 0x9e3779b97f4a7c15ull, ids_ * 0xc2b2ae3d27d4eb4full};
}

void FakeCluster::touch(model::Meta& meta) {
  meta.version = ++index_;
  meta.updated_at = now_();
  if (!meta.created_at) meta.created_at = meta.updated_at;
}

void FakeCluster::announce(ClusterEvent::Kind kind, ClusterEvent::Action action, std::string id,
                           std::string name, model::Labels attributes) {
  const ClusterEvent event{kind,  action, std::move(id), std::move(name), std::move(attributes),
                           now_()};
  for (const auto& [number, sink] : sinks_) sink(event);
}

manager::Membership FakeCluster::membership() const {
  manager::Membership membership;
  if (self_.none()) return membership;
  membership.state = manager::LocalState::active;
  membership.is_manager = true;
  membership.node = self_;
  membership.cluster = store_.cluster_row->id;
  membership.node_address = "10.1.0.1";
  membership.managers.push_back({self_, "10.1.0.1:2377"});
  return membership;
}

const store::View* FakeCluster::store() const {
  return self_ ? &store_ : nullptr;
}

manager::TrustInfo FakeCluster::trust() const {
  return {"-----BEGIN CERTIFICATE-----\nfake\n-----END CERTIFICATE-----\n", "subject", "key"};
}

void FakeCluster::add_node(const std::string& hostname, model::NodeRole role) {
  model::Node node;
  node.id = {next_id()};
  touch(node.meta);
  node.spec.role = node.role = role;
  node.description.hostname = hostname;
  node.description.platform = {"x86_64", "linux"};
  node.description.resources = {2'000'000'000, 4ll << 30, 0};
  node.description.engine_version = "0.1.0";
  node.status = {model::NodeState::ready, "", "10.1.0." + std::to_string(store_.nodes.size() + 1)};
  if (role == model::NodeRole::manager) {
    node.manager = model::ManagerStatus{1, node.status.address + ":2377"};
    self_ = node.id;
  }
  store_.nodes[node.id] = row(node);
}

asio::awaitable<Result<model::NodeId>> FakeCluster::init(manager::InitRequest request) {
  if (self_) {
    co_return fail(ErrorKind::precondition,
                   "This node is already part of a swarm. Use \"docker swarm leave\" to leave "
                   "this swarm and join another one.");
  }
  model::Cluster cluster;
  cluster.id = {next_id()};
  cluster.spec = std::move(request.spec);
  cluster.worker_token = "SWMTKN-1-digest-worker";
  cluster.manager_token = "SWMTKN-1-digest-manager";
  touch(cluster.meta);
  store_.cluster_row = row(cluster);
  add_node("ubuntu1", model::NodeRole::manager);
  add_node("ubuntu2", model::NodeRole::worker);
  add_node("ubuntu3", model::NodeRole::worker);
  model::Network ingress;
  ingress.id = {next_id()};
  touch(ingress.meta);
  ingress.name = "ingress";
  ingress.driver = "overlay";
  ingress.ingress = true;
  ingress.subnet = "10.0.0.0/24";
  ingress.gateway = "10.0.0.1";
  store_.networks[ingress.id] = row(ingress);
  co_return self_;
}

asio::awaitable<Status> FakeCluster::join(manager::JoinRequest) {
  co_return fail(ErrorKind::invalid, "invalid join token");
}

asio::awaitable<Status> FakeCluster::leave(bool force) {
  if (!self_) co_return fail(ErrorKind::precondition, "This node is not part of a swarm");
  if (!force) {
    co_return fail(ErrorKind::precondition,
                   "You are attempting to leave the swarm on a node that is participating as a "
                   "manager. Removing the last manager erases all current state of the swarm. Use "
                   "`--force` to ignore this message.");
  }
  store_ = FakeStore{};
  self_ = {};
  co_return Status{};
}

asio::awaitable<Status> FakeCluster::update_cluster(uint64_t version, model::ClusterSpec spec,
                                                    manager::TokenRotation rotate) {
  model::Cluster cluster = *store_.cluster_row;
  if (cluster.meta.version != version)
    co_return fail(ErrorKind::conflict, "update out of sequence");
  cluster.spec = std::move(spec);
  const std::string turn = std::to_string(++rotations_);
  if (rotate.worker) cluster.worker_token = "SWMTKN-1-digest-worker" + turn;
  if (rotate.manager) cluster.manager_token = "SWMTKN-1-digest-manager" + turn;
  touch(cluster.meta);
  store_.cluster_row = row(cluster);
  co_return Status{};
}

asio::awaitable<Status> FakeCluster::update_node(model::NodeId id, uint64_t version,
                                                 model::NodeSpec spec) {
  model::Node node = *store_.nodes.at(id);
  if (node.meta.version != version) co_return fail(ErrorKind::conflict, "update out of sequence");
  node.spec = std::move(spec);
  touch(node.meta);
  store_.nodes[id] = row(node);
  announce(ClusterEvent::Kind::node, ClusterEvent::Action::update, id.str(),
           node.description.hostname, {});
  if (node.spec.availability != model::NodeAvailability::drain) co_return Status{};
  for (auto& [key, held] : store_.tasks) {
    if (held->node != id || held->desired > model::TaskState::running) continue;
    model::Task task = *held;
    task.desired = model::TaskState::shutdown;
    touch(task.meta);
    held = row(task);
  }
  const auto services = store_.services;
  for (const auto& [key, service] : services) fill(*service);
  co_return Status{};
}

asio::awaitable<Status> FakeCluster::remove_node(model::NodeId id, bool force) {
  const auto node = store_.nodes.at(id);
  if (node->status.state != model::NodeState::down && !force) {
    co_return fail(ErrorKind::invalid, "node " + id.str() + " is not down and can't be removed");
  }
  store_.nodes.erase(id);
  co_return Status{};
}

model::NodeId FakeCluster::least_loaded() const {
  model::NodeId best;
  size_t best_count = SIZE_MAX;
  for (const auto& [id, node] : store_.nodes) {
    if (node->spec.availability != model::NodeAvailability::active) continue;
    size_t count = 0;
    store_.each_task_of_node(id, [&](const store::Row<model::Task>& task) {
      count += task->desired <= model::TaskState::running;
    });
    if (count < best_count) {
      best = id;
      best_count = count;
    }
  }
  return best;
}

// As many wanted tasks as the spec says, in the lowest slots.
void FakeCluster::fill(const model::Service& service) {
  const auto spec = store_.spec_of(service);
  std::map<uint64_t, model::TaskId> slots;
  store_.each_task_of_service(service.id, [&](const store::Row<model::Task>& task) {
    if (task->desired <= model::TaskState::running) slots[task->slot] = task->id;
  });
  for (const auto& [slot, id] : slots) {
    if (slot <= spec->replicas) continue;
    model::Task task = *store_.tasks.at(id);
    task.desired = model::TaskState::remove;
    touch(task.meta);
    store_.tasks[id] = row(task);
  }
  for (uint64_t slot = 1; slot <= spec->replicas; ++slot) {
    if (slots.contains(slot)) continue;
    model::Task task;
    task.id = {next_id()};
    task.service = service.id;
    task.service_name = service.name;
    task.slot = slot;
    task.spec_version = service.spec_version;
    task.node = least_loaded();
    touch(task.meta);
    set_state(task, task.node ? model::TaskState::assigned : model::TaskState::pending);
    if (task.node.none())
      task.status.error = "no suitable node (3 nodes not available for new tasks)";
    store_.tasks[task.id] = row(task);
  }
}

void FakeCluster::set_state(model::Task& task, model::TaskState state) {
  task.status.state = state;
  task.status.timestamp = now_();
  task.status.message = state == model::TaskState::running ? "started" : "on its way";
}

void FakeCluster::step() {
  using model::TaskState;
  constexpr TaskState kWay[] = {TaskState::assigned, TaskState::accepted, TaskState::preparing,
                                TaskState::ready,    TaskState::starting, TaskState::running};
  for (auto it = store_.tasks.begin(); it != store_.tasks.end();) {
    model::Task task = *it->second;
    if (task.desired == TaskState::remove) {
      it = store_.tasks.erase(it);
      continue;
    }
    const auto at = std::find(std::begin(kWay), std::end(kWay), task.status.state);
    if (task.desired == TaskState::shutdown && !task.ended()) {
      set_state(task, TaskState::shutdown);
    } else if (at != std::end(kWay) && at + 1 != std::end(kWay)) {
      set_state(task, *(at + 1));
    } else {
      ++it;
      continue;
    }
    touch(task.meta);
    it->second = row(task);
    ++it;
  }
}

asio::awaitable<Result<model::ServiceId>> FakeCluster::create_service(model::ServiceSpec spec) {
  if (spec.name.empty()) spec.name = "made_up_" + std::to_string(ids_);
  if (store_.service_by_name(spec.name)) {
    co_return fail(ErrorKind::conflict, "name conflicts with an existing object: service " +
                                            spec.name + " already exists");
  }
  model::Service service;
  service.id = {next_id()};
  service.name = spec.name;
  touch(service.meta);
  store_.specs[{service.id, 1}] = row(std::move(spec));
  store_.services[service.id] = row(service);
  fill(service);
  announce(ClusterEvent::Kind::service, ClusterEvent::Action::create, service.id.str(),
           service.name, {});
  co_return service.id;
}

asio::awaitable<Status> FakeCluster::update_service(model::ServiceId id, uint64_t version,
                                                    model::ServiceSpec spec) {
  model::Service service = *store_.services.at(id);
  if (service.meta.version != version)
    co_return fail(ErrorKind::conflict, "update out of sequence");
  const uint64_t before = store_.spec_of(service)->replicas;
  service.previous_spec_version = service.spec_version++;
  touch(service.meta);
  model::Labels attributes;
  if (before != spec.replicas) {
    attributes["replicas.old"] = std::to_string(before);
    attributes["replicas.new"] = std::to_string(spec.replicas);
  }
  store_.specs[{id, service.spec_version}] = row(std::move(spec));
  store_.services[id] = row(service);
  fill(service);
  announce(ClusterEvent::Kind::service, ClusterEvent::Action::update, id.str(), service.name,
           std::move(attributes));
  co_return Status{};
}

asio::awaitable<Status> FakeCluster::remove_service(model::ServiceId id) {
  const std::string name = store_.services.at(id)->name;
  std::erase_if(store_.tasks, [&](const auto& entry) { return entry.second->service == id; });
  store_.services.erase(id);
  announce(ClusterEvent::Kind::service, ClusterEvent::Action::remove, id.str(), name, {});
  co_return Status{};
}

uint64_t FakeCluster::subscribe(std::function<void(const ClusterEvent&)> sink) {
  const uint64_t number = sinks_.empty() ? 1 : sinks_.rbegin()->first + 1;
  sinks_[number] = std::move(sink);
  return number;
}

void FakeCluster::unsubscribe(uint64_t subscription) {
  sinks_.erase(subscription);
}

}  // namespace skep::fakes
