// The replicated state machine: tables of immutable rows, changed by apply() alone.
//
// apply() decides nothing and can't fail: it puts rows in place, stamps the raft index as their
// version, keeps the indexes (names, tasks by service, by slot and by node), counts who refers to a
// spec row, which goes with its last reference, and remembers which requests were answered, for as
// long as the time in the entries says. The same entries give the same state everywhere, byte for
// byte; dump() and load() carry all of it but the indexes and the feed.
//
// Not thread-safe; lives on the thread that owns it. Rows handed out stay valid for ever.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "core/store/changes.hpp"
#include "core/store/feed.hpp"
#include "core/store/state.hpp"
#include "core/store/transaction.hpp"
#include "core/store/view.hpp"

namespace skep::store {

class Store final : public View {
 public:
  // Puts a committed transaction in place. `index` must be greater than every index before. What is
  // returned is the feed's newest, valid until the next change of the store.
  const Applied& apply(uint64_t index, const Transaction& transaction);

  // Everything as it is now, in a moment, to be read on any thread; and back. `index` is the last
  // applied. A load forgets what was here and what the feed held.
  State dump() const { return state_; }
  void load(uint64_t index, State state);

  uint64_t applied_index() const { return applied_index_; }
  const Feed& feed() const { return feed_; }

  Row<model::Cluster> cluster() const override { return state_.cluster; }
  Row<model::Node> node(model::NodeId id) const override;
  Row<model::Service> service(model::ServiceId id) const override;
  Row<model::Task> task(model::TaskId id) const override;
  Row<model::Network> network(model::NetworkId id) const override;
  Row<model::Config> config(model::ConfigId id) const override;
  Row<model::ServiceSpec> spec(const model::SpecKey& key) const override;
  Row<AnsweredRequest> answered(model::RequestId id) const override;
  Row<model::Service> service_by_name(std::string_view name) const override;
  Row<model::Network> network_by_name(std::string_view name) const override;
  Row<model::Config> config_by_name(std::string_view name) const override;
  std::vector<Row<model::Node>> nodes_by_name(std::string_view name) const override;
  void walk_nodes(model::NodeId from, const Walk<model::Node>& visit) const override;
  void walk_services(model::ServiceId from, const Walk<model::Service>& visit) const override;
  void walk_tasks(model::TaskId from, const Walk<model::Task>& visit) const override;
  void walk_networks(model::NetworkId from, const Walk<model::Network>& visit) const override;
  void walk_configs(model::ConfigId from, const Walk<model::Config>& visit) const override;
  void each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const override;
  void each_task_of_slot(model::ServiceId id, uint64_t slot,
                         const Visit<model::Task>& visit) const override;
  void each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const override;

  size_t task_count() const { return state_.tasks.size(); }

 private:
  // What an index does when a row comes (before null), changes, or goes (after null).
  void index(const Row<model::Node>& before, const Row<model::Node>& after);
  void index(const Row<model::Service>& before, const Row<model::Service>& after);
  void index(const Row<model::Task>& before, const Row<model::Task>& after);
  void index(const Row<model::Network>& before, const Row<model::Network>& after);
  void index(const Row<model::Config>& before, const Row<model::Config>& after);

  void index_all_tasks();

  template <class T>
  void put(Table<decltype(T::id), Row<T>>& table, const Row<T>& row, Applied& out);
  template <class T>
  void drop(Table<decltype(T::id), Row<T>>& table, model::IdBits id, Applied& out);
  void put(const Change& change, Applied& out);
  void erase(const Erase& gone, Applied& out);
  void remember(const Transaction& transaction);
  void refer(const model::SpecKey& key, int64_t by);
  void drop_unreferenced_specs();

  uint64_t applied_index_ = 0;
  State state_;
  Feed feed_;

  // Derived from the rows. Names are in lower case.
  std::map<std::string, model::ServiceId, std::less<>> service_names_;
  std::map<std::string, model::NetworkId, std::less<>> network_names_;
  std::map<std::string, model::ConfigId, std::less<>> config_names_;
  std::set<std::pair<std::string, model::NodeId>> node_names_;
  std::map<model::ServiceId, TasksBySlot> tasks_by_service_;
  std::map<model::NodeId, std::set<model::TaskId>> tasks_by_node_;
  std::map<model::SpecKey, uint64_t> spec_references_;
  // Ids of requests are random, so any of their bits are a hash. Never walked through: its order is
  // not the same on every manager.
  struct HashOfId {
    size_t operator()(model::RequestId id) const { return id.bits.low; }
  };
  // Where each stands in state_.answered.
  std::unordered_map<model::RequestId, uint64_t, HashOfId> answer_numbers_;
  uint64_t first_answer_ = 0;
  uint64_t next_answer_ = 0;
  std::set<model::SpecKey> touched_specs_;  // within one apply
};

// ASCII lower case: names are DNS labels.
std::string lower_case(std::string_view text);

}  // namespace skep::store
