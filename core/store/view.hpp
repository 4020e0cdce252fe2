// How every deciding room, and every reader, sees the cluster's state.
//
// A View is the committed Store itself or a Draft laid over one. Rows are immutable and shared, so
// a pointer taken from a View stays valid as long as its holder likes; it just may be out of date.
// Visiting order is fixed by the ids, never by addresses or hashes: the same state gives the same
// order on every machine, which the simulator and replay rely on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/store/transaction.hpp"

namespace skep::store {

template <class T>
using Row = std::shared_ptr<const T>;  // null: no such object

// Tasks of one service, in order of slot.
using TasksBySlot = std::set<std::pair<uint64_t, model::TaskId>>;

class View {
 public:
  virtual ~View() = default;

  // The one cluster object; null before `swarm init` has committed it.
  virtual Row<model::Cluster> cluster() const = 0;
  virtual Row<model::Node> node(model::NodeId id) const = 0;
  virtual Row<model::Service> service(model::ServiceId id) const = 0;
  virtual Row<model::Task> task(model::TaskId id) const = 0;
  virtual Row<model::Network> network(model::NetworkId id) const = 0;
  virtual Row<model::Config> config(model::ConfigId id) const = 0;
  virtual Row<model::ServiceSpec> spec(const model::SpecKey& key) const = 0;
  // What a client's request was answered with, if it was and is still remembered.
  virtual Row<AnsweredRequest> answered(model::RequestId id) const = 0;

  // Names are compared without regard to case, as Docker does. Null if there is none.
  virtual Row<model::Service> service_by_name(std::string_view name) const = 0;
  virtual Row<model::Network> network_by_name(std::string_view name) const = 0;
  virtual Row<model::Config> config_by_name(std::string_view name) const = 0;
  // Those whose spec or hostname has this name, in order of id: two machines may call themselves
  // the same.
  virtual std::vector<Row<model::Node>> nodes_by_name(std::string_view name) const = 0;

  // From the first id that is not less than `from`, in order of id, until the visitor returns
  // false. Costs the rows that are visited, so a reader may take a table in parts, in several turns
  // of a loop, and begin where it stopped: what changed meanwhile is seen or not, never half.
  template <class T>
  using Walk = std::function<bool(const Row<T>&)>;
  virtual void walk_nodes(model::NodeId from, const Walk<model::Node>& visit) const = 0;
  virtual void walk_services(model::ServiceId from, const Walk<model::Service>& visit) const = 0;
  virtual void walk_tasks(model::TaskId from, const Walk<model::Task>& visit) const = 0;
  virtual void walk_networks(model::NetworkId from, const Walk<model::Network>& visit) const = 0;
  virtual void walk_configs(model::ConfigId from, const Walk<model::Config>& visit) const = 0;

  template <class T>
  using Visit = std::function<void(const Row<T>&)>;
  // In order of slot.
  virtual void each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const = 0;
  // Costs what the slot holds, not what the service does.
  virtual void each_task_of_slot(model::ServiceId id, uint64_t slot,
                                 const Visit<model::Task>& visit) const = 0;
  virtual void each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const = 0;

  // All of them, in order of id.
  void each_node(const Visit<model::Node>& visit) const { walk_nodes({}, to_the_end(visit)); }
  void each_service(const Visit<model::Service>& visit) const {
    walk_services({}, to_the_end(visit));
  }
  void each_task(const Visit<model::Task>& visit) const { walk_tasks({}, to_the_end(visit)); }
  void each_network(const Visit<model::Network>& visit) const {
    walk_networks({}, to_the_end(visit));
  }
  void each_config(const Visit<model::Config>& visit) const { walk_configs({}, to_the_end(visit)); }

  // The spec a service has now; null only for a service that isn't there.
  Row<model::ServiceSpec> spec_of(const model::Service& s) const {
    return spec({s.id, s.spec_version});
  }
  // The spec that a task was made from.
  Row<model::ServiceSpec> spec_of(const model::Task& t) const {
    return spec({t.service, t.spec_version});
  }

 private:
  template <class T>
  static Walk<T> to_the_end(const Visit<T>& visit) {
    return [&visit](const Row<T>& row) {
      visit(row);
      return true;
    };
  }
};

}  // namespace skep::store
