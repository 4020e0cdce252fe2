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

#include "core/model/objects.hpp"

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
  virtual Row<model::ServiceSpec> spec(const model::SpecKey& key) const = 0;

  // Case-insensitive, as Docker compares names. Null if there is none.
  virtual Row<model::Service> service_by_name(std::string_view name) const = 0;

  template <class T>
  using Visit = std::function<void(const Row<T>&)>;
  virtual void each_node(const Visit<model::Node>& visit) const = 0;
  virtual void each_service(const Visit<model::Service>& visit) const = 0;
  virtual void each_task(const Visit<model::Task>& visit) const = 0;
  virtual void each_network(const Visit<model::Network>& visit) const = 0;
  // In order of slot.
  virtual void each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const = 0;
  // Costs what the slot holds, not what the service does.
  virtual void each_task_of_slot(model::ServiceId id, uint64_t slot,
                                 const Visit<model::Task>& visit) const = 0;
  virtual void each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const = 0;

  // The spec a service has now; null only for a service that isn't there.
  Row<model::ServiceSpec> spec_of(const model::Service& s) const {
    return spec({s.id, s.spec_version});
  }
  // The spec that a task was made from.
  Row<model::ServiceSpec> spec_of(const model::Task& t) const {
    return spec({t.service, t.spec_version});
  }
};

}  // namespace skep::store
