// The replicated state machine: tables of immutable rows, changed by apply() alone.
//
// apply() decides nothing and can't fail: it puts rows in place, stamps the raft index as their
// version, keeps the indexes (service name, tasks by service, tasks by node) and counts who refers
// to a spec row, which goes with its last reference. The same entries give the same state
// everywhere, byte for byte.
//
// Not thread-safe; lives on the thread that owns it. Rows handed out stay valid for ever.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include "core/store/changes.hpp"
#include "core/store/transaction.hpp"
#include "core/store/view.hpp"

namespace skep::store {

class Store final : public View {
 public:
  // Puts a committed transaction in place. `index` must be greater than every index before.
  Applied apply(uint64_t index, const Transaction& transaction);

  // Everything, as one transaction whose rows carry their Meta; and back. `index` is the last
  // applied.
  Transaction dump() const;
  void load(uint64_t index, const Transaction& snapshot);

  uint64_t applied_index() const { return applied_index_; }

  Row<model::Cluster> cluster() const override { return cluster_; }
  Row<model::Node> node(model::NodeId id) const override;
  Row<model::Service> service(model::ServiceId id) const override;
  Row<model::Task> task(model::TaskId id) const override;
  Row<model::Network> network(model::NetworkId id) const override;
  Row<model::ServiceSpec> spec(const model::SpecKey& key) const override;
  Row<model::Service> service_by_name(std::string_view name) const override;
  void each_node(const Visit<model::Node>& visit) const override;
  void each_service(const Visit<model::Service>& visit) const override;
  void each_task(const Visit<model::Task>& visit) const override;
  void each_network(const Visit<model::Network>& visit) const override;
  void each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const override;
  void each_task_of_slot(model::ServiceId id, uint64_t slot,
                         const Visit<model::Task>& visit) const override;
  void each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const override;

  size_t task_count() const { return tasks_.size(); }

 private:
  struct CountedSpec {
    Row<model::ServiceSpec> spec;
    uint64_t references = 0;
  };

  void put(const Row<model::Cluster>& row, Applied& out);
  void put(const Row<model::Node>& row, Applied& out);
  void put(const Row<model::Service>& row, Applied& out);
  void put(const Row<model::Task>& row, Applied& out);
  void put(const Row<model::Network>& row, Applied& out);
  void erase(const Erase& gone, Applied& out);
  void index_service(const Row<model::Service>& before, const Row<model::Service>& after);
  void index_task(const Row<model::Task>& before, const Row<model::Task>& after);
  void refer(const model::SpecKey& key, int64_t by);
  void drop_unreferenced_specs();

  uint64_t applied_index_ = 0;
  Row<model::Cluster> cluster_;
  std::map<model::NodeId, Row<model::Node>> nodes_;
  std::map<model::ServiceId, Row<model::Service>> services_;
  std::map<model::TaskId, Row<model::Task>> tasks_;
  std::map<model::NetworkId, Row<model::Network>> networks_;
  std::map<model::SpecKey, CountedSpec> specs_;
  std::map<std::string, model::ServiceId> service_names_;  // lower case
  std::map<model::ServiceId, TasksBySlot> tasks_by_service_;
  std::map<model::NodeId, std::set<model::TaskId>> tasks_by_node_;
  std::set<model::SpecKey> touched_specs_;  // within one apply
};

// ASCII lower case: names are DNS labels.
std::string lower_case(std::string_view text);

}  // namespace skep::store
