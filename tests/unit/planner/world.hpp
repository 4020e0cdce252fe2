// A cluster without daemons: requests go in, the planner decides, the store applies, as in a
// manager whose disk is instant. Time stands still until a test moves it; ids count up.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/planner/planner.hpp"
#include "core/planner/requests.hpp"
#include "core/store/store.hpp"

namespace skep::test {

class CountingIds final : public model::IdSource {
 public:
  model::IdBits next() override { return {7, ++last_}; }

 private:
  uint64_t last_ = 0;
};

class World {
 public:
  explicit World(size_t nodes);

  // Runs `request` on a draft, plans, applies. Returns what the request returned; counts entries.
  template <class Request>
  auto ask(Request&& request) {
    store::Draft draft(store_);
    auto answer = request(draft);
    planner_.run(draft, now_);
    commit(draft);
    return answer;
  }
  // Lets the planner look at its deadlines after `by` has passed.
  void pass(model::Nanoseconds by);

  model::ServiceId create(const std::string& name, uint64_t replicas);
  model::ServiceId create(model::ServiceSpec spec);
  Status scale(model::ServiceId service, uint64_t replicas);
  Status set_availability(size_t node, model::NodeAvailability availability);
  void lose(size_t node);
  void regain(size_t node);
  // What the node's agent would report.
  void report(const model::Task& task, model::TaskState state);
  // Every assigned task that should run, runs; every one that should not, has stopped.
  void agents_obey();

  std::vector<store::Row<model::Task>> tasks(model::ServiceId service) const;
  // Tasks that are to run, by node index.
  std::map<size_t, size_t> spread(model::ServiceId service) const;
  size_t running(model::ServiceId service) const;

  static model::ServiceSpec spec(const std::string& name, uint64_t replicas);
  model::NodeId node(size_t index) const { return nodes_.at(index); }
  size_t nodes() const { return nodes_.size(); }
  const store::Store& store() const { return store_; }
  CountingIds& ids() { return ids_; }
  model::WallTime now() const { return now_; }
  uint64_t entries() const { return index_; }
  void forget_and_replan();

 private:
  void commit(const store::Draft& draft);

  CountingIds ids_;
  store::Store store_;
  planner::Planner planner_{ids_};
  std::vector<model::NodeId> nodes_;
  model::WallTime now_{1'000'000'000'000};
  uint64_t index_ = 0;
};

}  // namespace skep::test
