// A cluster in memory behind manager::Control: enough life for a client's display to converge.
//
// Three nodes appear at init; tasks walk one state per step() and go where the fewest are. It is no
// orchestrator: no failures, no restarts, one writer. Each change gets the next index, as raft's
// would.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "daemon/manager/control.hpp"

namespace skep::fakes {

namespace asio = boost::asio;

class FakeStore final : public store::View {
 public:
  store::Row<model::Cluster> cluster() const override { return cluster_row; }
  store::Row<model::Node> node(model::NodeId id) const override;
  store::Row<model::Service> service(model::ServiceId id) const override;
  store::Row<model::Task> task(model::TaskId id) const override;
  store::Row<model::Network> network(model::NetworkId id) const override;
  store::Row<model::ServiceSpec> spec(const model::SpecKey& key) const override;
  store::Row<model::Service> service_by_name(std::string_view name) const override;
  void each_node(const Visit<model::Node>& visit) const override;
  void each_service(const Visit<model::Service>& visit) const override;
  void each_task(const Visit<model::Task>& visit) const override;
  void each_network(const Visit<model::Network>& visit) const override;
  void each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const override;
  void each_task_of_slot(model::ServiceId id, uint64_t slot,
                         const Visit<model::Task>& visit) const override;
  void each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const override;

  store::Row<model::Cluster> cluster_row;
  std::map<model::NodeId, store::Row<model::Node>> nodes;
  std::map<model::ServiceId, store::Row<model::Service>> services;
  std::map<model::SpecKey, store::Row<model::ServiceSpec>> specs;
  std::map<model::TaskId, store::Row<model::Task>> tasks;
  std::map<model::NetworkId, store::Row<model::Network>> networks;
};

class FakeCluster final : public manager::Control {
 public:
  explicit FakeCluster(std::function<model::WallTime()> now) : now_(std::move(now)) {}

  // Every task takes its next step. Call it now and then.
  void step();

  manager::Membership membership() const override;
  const store::View* store() const override;
  asio::awaitable<Status> fresh() override { co_return Status{}; }
  model::NodeId leader() const override { return self_; }
  manager::TrustInfo trust() const override;
  asio::awaitable<Result<model::NodeId>> init(manager::InitRequest request) override;
  asio::awaitable<Status> join(manager::JoinRequest request) override;
  asio::awaitable<Status> leave(bool force) override;
  asio::awaitable<Status> update_cluster(uint64_t version, model::ClusterSpec spec,
                                         manager::TokenRotation rotate) override;
  asio::awaitable<Status> update_node(model::NodeId id, uint64_t version,
                                      model::NodeSpec spec) override;
  asio::awaitable<Status> remove_node(model::NodeId id, bool force) override;
  asio::awaitable<Result<model::ServiceId>> create_service(model::ServiceSpec spec) override;
  asio::awaitable<Status> update_service(model::ServiceId id, uint64_t version,
                                         model::ServiceSpec spec) override;
  asio::awaitable<Status> remove_service(model::ServiceId id) override;
  uint64_t subscribe(std::function<void(const ClusterEvent&)> sink) override;
  void unsubscribe(uint64_t subscription) override;

 private:
  model::IdBits next_id();
  void touch(model::Meta& meta);
  void announce(ClusterEvent::Kind kind, ClusterEvent::Action action, std::string id,
                std::string name, model::Labels attributes);
  void add_node(const std::string& hostname, model::NodeRole role);
  void fill(const model::Service& service);
  model::NodeId least_loaded() const;
  void set_state(model::Task& task, model::TaskState state);

  std::function<model::WallTime()> now_;
  FakeStore store_;
  model::NodeId self_;
  uint64_t index_ = 10;
  uint64_t ids_ = 0;
  uint64_t rotations_ = 0;
  std::map<uint64_t, std::function<void(const ClusterEvent&)>> sinks_;
};

}  // namespace skep::fakes
