// A change in the making: an overlay on a View that the deciding rooms read and write.
//
// A Draft looks like the state as it will be. Rooms put and erase rows in it; take() yields the
// whole difference for one proposal, or it is dropped and nothing has happened. A journal tells
// what was changed since it was last read, which is how the planner carries one room's decision to
// the next.
//
// Rows put into a Draft have no valid Meta yet: apply() stamps it. The base must outlive the Draft
// and must not change under it. Tasks of a service, slot or node are visited as the base's first
// and then the draft's own; a caller that needs one order sorts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/store/changes.hpp"
#include "core/store/transaction.hpp"
#include "core/store/view.hpp"

namespace skep::store {

class Draft final : public View {
 public:
  explicit Draft(const View& base) : base_(base) {}

  // A no-op when the row equals the one that is there.
  void put(model::Cluster row);
  void put(model::Node row);
  void put(model::Service row);
  void put(model::Task row);
  void put(model::Network row);
  void put(model::Config row);
  void put_spec(const model::SpecKey& key, model::ServiceSpec spec);
  void erase(model::NodeId id);
  void erase(model::ServiceId id);
  void erase(model::TaskId id);
  void erase(model::ConfigId id);

  // The request `id` has done its part and is answered so; called right after it did it. Requires:
  // it was not answered before; the outcome has at most kAnswerBytesMax.
  void answer(model::RequestId id, Result<std::string> outcome);

  // True when this draft has changed the object: a versioned update then is out of sequence.
  bool touched(model::NodeId id) const { return nodes_.count(id) != 0; }
  bool touched(model::ServiceId id) const { return services_.count(id) != 0; }
  bool touched(model::ConfigId id) const { return configs_.count(id) != 0; }
  bool touched_cluster() const { return cluster_ != nullptr; }

  // What was put or erased since the last call.
  std::vector<RowChange> take_journal();

  bool empty() const;
  // The difference to the base, in an order in which every prefix that does not part a spec from
  // the service behind it is a valid state.
  std::vector<Change> changes() const;
  // An answer, and the rows without which it would not be true.
  struct Answer {
    Row<AnsweredRequest> request;
    std::vector<std::pair<Kind, model::IdBits>> rests_on;
  };
  const std::vector<Answer>& answers() const { return answers_; }
  // The whole difference as one transaction of that time (core/store/split.hpp makes several).
  Transaction transaction(model::WallTime time) const;

  Row<model::Cluster> cluster() const override;
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

 private:
  // Null value: erased here.
  template <class T>
  using Overlay = std::map<decltype(T::id), Row<T>>;

  template <class T>
  void change(Overlay<T>& overlay, Row<T> before, Row<T> after, decltype(T::id) id);
  void index_task(const Row<model::Task>& before, const Row<model::Task>& after);

  const View& base_;
  Row<model::Cluster> cluster_;
  Overlay<model::Node> nodes_;
  Overlay<model::Service> services_;
  Overlay<model::Task> tasks_;
  Overlay<model::Network> networks_;
  Overlay<model::Config> configs_;
  std::map<model::SpecKey, Row<model::ServiceSpec>> specs_;
  // The draft's own living tasks.
  std::map<model::ServiceId, TasksBySlot> tasks_by_service_;
  std::map<model::NodeId, std::set<model::TaskId>> tasks_by_node_;
  std::vector<RowChange> journal_;
  std::vector<Answer> answers_;
  size_t journal_answered_ = 0;  // what of the journal the last answer has covered
};

}  // namespace skep::store
