// The overlay: reads fall through to the base unless the draft says otherwise.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/draft.hpp"

#include "core/store/store.hpp"

namespace skep::store {
namespace {

template <class Overlay, class Id, class Base>
auto look(const Overlay& overlay, Id id, const Base& base) {
  const auto it = overlay.find(id);
  return it == overlay.end() ? base() : it->second;
}

template <class Overlay, class T, class Each>
void each_row(const Overlay& overlay, const Each& base,
              const std::function<void(const Row<T>&)>& visit) {
  base([&](const Row<T>& row) {
    if (overlay.count(row->id) == 0) visit(row);
  });
  for (const auto& [id, row] : overlay) {
    if (row) visit(row);
  }
}

}  // namespace

template <class T>
void Draft::change(Overlay<T>& overlay, Row<T> before, Row<T> after, decltype(T::id) id) {
  overlay[id] = after;
  journal_.emplace_back(Replaced<T>{std::move(before), std::move(after)});
}

void Draft::put(model::Cluster row) {
  const Row<model::Cluster> before = cluster();
  if (before && *before == row) return;
  cluster_ = std::make_shared<model::Cluster>(std::move(row));
  journal_.emplace_back(Replaced<model::Cluster>{before, cluster_});
}

void Draft::put(model::Node row) {
  const Row<model::Node> before = node(row.id);
  if (before && *before == row) return;
  const model::NodeId id = row.id;
  change<model::Node>(nodes_, before, std::make_shared<model::Node>(std::move(row)), id);
}

void Draft::put(model::Network row) {
  const Row<model::Network> before = network(row.id);
  if (before && *before == row) return;
  const model::NetworkId id = row.id;
  change<model::Network>(networks_, before, std::make_shared<model::Network>(std::move(row)), id);
}

void Draft::put(model::Service row) {
  const Row<model::Service> before = service(row.id);
  if (before && *before == row) return;
  const model::ServiceId id = row.id;
  change<model::Service>(services_, before, std::make_shared<model::Service>(std::move(row)), id);
}

void Draft::put(model::Task row) {
  const Row<model::Task> before = task(row.id);
  if (before && *before == row) return;
  const model::TaskId id = row.id;
  Row<model::Task> after = std::make_shared<model::Task>(std::move(row));
  index_task(before, after);
  change<model::Task>(tasks_, before, std::move(after), id);
}

void Draft::put_spec(const model::SpecKey& key, model::ServiceSpec spec) {
  specs_[key] = std::make_shared<model::ServiceSpec>(std::move(spec));
}

void Draft::erase(model::NodeId id) {
  if (const Row<model::Node> before = node(id)) change<model::Node>(nodes_, before, nullptr, id);
}

void Draft::erase(model::ServiceId id) {
  if (const Row<model::Service> before = service(id)) {
    change<model::Service>(services_, before, nullptr, id);
  }
}

void Draft::erase(model::TaskId id) {
  if (const Row<model::Task> before = task(id)) {
    index_task(before, nullptr);
    change<model::Task>(tasks_, before, nullptr, id);
  }
}

void Draft::index_task(const Row<model::Task>& before, const Row<model::Task>& after) {
  if (before) {
    tasks_by_service_[before->service].erase({before->slot, before->id});
    if (before->node) tasks_by_node_[before->node].erase(before->id);
  }
  if (after) {
    tasks_by_service_[after->service].emplace(after->slot, after->id);
    if (after->node) tasks_by_node_[after->node].insert(after->id);
  }
}

bool Draft::empty() const {
  return !cluster_ && nodes_.empty() && services_.empty() && tasks_.empty() && networks_.empty() &&
         specs_.empty();
}

std::vector<Change> Draft::changes() const {
  std::vector<Change> out;
  if (cluster_) out.emplace_back(Upsert<model::Cluster>{cluster_});
  for (const auto& [id, row] : networks_) {
    if (row) out.emplace_back(Upsert<model::Network>{row});
  }
  for (const auto& [id, row] : nodes_) {
    if (row) out.emplace_back(Upsert<model::Node>{row});
  }
  // A spec stands right before its service: without a reference apply() would drop it.
  for (const auto& [id, row] : services_) {
    if (!row) continue;
    const auto spec = specs_.find({id, row->spec_version});
    if (spec != specs_.end()) out.emplace_back(SpecRow{spec->first, spec->second});
    out.emplace_back(Upsert<model::Service>{row});
  }
  for (const auto& [id, row] : tasks_) {
    if (row) out.emplace_back(Upsert<model::Task>{row});
  }
  // A row that was made and erased within the draft never existed for the base.
  for (const auto& [id, row] : tasks_) {
    if (!row && base_.task(id)) out.emplace_back(Erase{Kind::task, id.bits, 0});
  }
  for (const auto& [id, row] : services_) {
    if (!row && base_.service(id)) out.emplace_back(Erase{Kind::service, id.bits, 0});
  }
  for (const auto& [id, row] : nodes_) {
    if (!row && base_.node(id)) out.emplace_back(Erase{Kind::node, id.bits, 0});
  }
  return out;
}

Row<model::Cluster> Draft::cluster() const {
  return cluster_ ? cluster_ : base_.cluster();
}
Row<model::Node> Draft::node(model::NodeId id) const {
  return look(nodes_, id, [&] { return base_.node(id); });
}
Row<model::Service> Draft::service(model::ServiceId id) const {
  return look(services_, id, [&] { return base_.service(id); });
}
Row<model::Task> Draft::task(model::TaskId id) const {
  return look(tasks_, id, [&] { return base_.task(id); });
}
Row<model::Network> Draft::network(model::NetworkId id) const {
  return look(networks_, id, [&] { return base_.network(id); });
}
Row<model::ServiceSpec> Draft::spec(const model::SpecKey& key) const {
  return look(specs_, key, [&] { return base_.spec(key); });
}

Row<model::Service> Draft::service_by_name(std::string_view name) const {
  const std::string wanted = lower_case(name);
  for (const auto& [id, row] : services_) {
    if (row && lower_case(row->name) == wanted) return row;
  }
  Row<model::Service> found = base_.service_by_name(name);
  return found && services_.count(found->id) != 0 ? nullptr : found;
}

void Draft::each_node(const Visit<model::Node>& visit) const {
  each_row<Overlay<model::Node>, model::Node>(
      nodes_, [&](const auto& v) { base_.each_node(v); }, visit);
}
void Draft::each_service(const Visit<model::Service>& visit) const {
  each_row<Overlay<model::Service>, model::Service>(
      services_, [&](const auto& v) { base_.each_service(v); }, visit);
}
void Draft::each_task(const Visit<model::Task>& visit) const {
  each_row<Overlay<model::Task>, model::Task>(
      tasks_, [&](const auto& v) { base_.each_task(v); }, visit);
}
void Draft::each_network(const Visit<model::Network>& visit) const {
  each_row<Overlay<model::Network>, model::Network>(
      networks_, [&](const auto& v) { base_.each_network(v); }, visit);
}

void Draft::each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const {
  base_.each_task_of_service(id, [&](const Row<model::Task>& row) {
    if (tasks_.count(row->id) == 0) visit(row);
  });
  const auto it = tasks_by_service_.find(id);
  if (it == tasks_by_service_.end()) return;
  const TasksBySlot ids = it->second;  // a visitor may put tasks
  for (const auto& [slot, task_id] : ids) visit(tasks_.at(task_id));
}

void Draft::each_task_of_slot(model::ServiceId id, uint64_t slot,
                              const Visit<model::Task>& visit) const {
  base_.each_task_of_slot(id, slot, [&](const Row<model::Task>& row) {
    if (tasks_.count(row->id) == 0) visit(row);
  });
  const auto it = tasks_by_service_.find(id);
  if (it == tasks_by_service_.end()) return;
  std::vector<model::TaskId> ids;  // a visitor may put tasks
  for (auto entry = it->second.lower_bound({slot, {}});
       entry != it->second.end() && entry->first == slot; ++entry) {
    ids.push_back(entry->second);
  }
  for (const model::TaskId task_id : ids) visit(tasks_.at(task_id));
}

void Draft::each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const {
  base_.each_task_of_node(id, [&](const Row<model::Task>& row) {
    if (tasks_.count(row->id) == 0) visit(row);
  });
  const auto it = tasks_by_node_.find(id);
  if (it == tasks_by_node_.end()) return;
  const std::set<model::TaskId> ids = it->second;
  for (const model::TaskId task_id : ids) visit(tasks_.at(task_id));
}

}  // namespace skep::store
