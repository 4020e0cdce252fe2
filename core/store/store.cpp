// Tables and their indexes; every index is a pure function of the rows.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/store.hpp"

#include "core/model/result.hpp"

namespace skep::store {
namespace {

template <class Map, class Key>
auto find_row(const Map& map, const Key& key) -> typename Map::mapped_type {
  const auto it = map.find(key);
  return it == map.end() ? nullptr : it->second;
}

template <class T>
Row<T> stamped(const Row<T>& row, const Row<T>& before, uint64_t index, model::WallTime time) {
  auto copy = std::make_shared<T>(*row);
  copy->meta.version = index;
  copy->meta.created_at = before ? before->meta.created_at : time;
  copy->meta.updated_at = time;
  return copy;
}

template <class Id, class Map, class Entry>
void unindex(Map& index, const Id& key, const Entry& task) {
  const auto it = index.find(key);
  if (it == index.end()) return;
  it->second.erase(task);
  if (it->second.empty()) index.erase(it);
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

Applied Store::apply(uint64_t index, const Transaction& transaction) {
  SKEP_ASSERT(index > applied_index_, "entries are applied in order, once");
  applied_index_ = index;
  Applied out{index, transaction.time, {}};
  out.changes.reserve(transaction.changes.size());
  for (const Change& change : transaction.changes) {
    if (const auto* gone = std::get_if<Erase>(&change)) {
      erase(*gone, out);
    } else if (const auto* spec = std::get_if<SpecRow>(&change)) {
      specs_[spec->key].spec = spec->spec;
      touched_specs_.insert(spec->key);
    } else {
      std::visit(
          [&]<class C>(const C& upsert) {
            if constexpr (!std::is_same_v<C, Erase> && !std::is_same_v<C, SpecRow>) {
              put(upsert.row, out);
            }
          },
          change);
    }
  }
  drop_unreferenced_specs();
  return out;
}

void Store::put(const Row<model::Cluster>& row, Applied& out) {
  Row<model::Cluster> after = stamped(row, cluster_, out.version, out.time);
  out.changes.emplace_back(Replaced<model::Cluster>{cluster_, after});
  cluster_ = std::move(after);
}

void Store::put(const Row<model::Node>& row, Applied& out) {
  Row<model::Node>& place = nodes_[row->id];
  Row<model::Node> after = stamped(row, place, out.version, out.time);
  out.changes.emplace_back(Replaced<model::Node>{place, after});
  place = std::move(after);
}

void Store::put(const Row<model::Network>& row, Applied& out) {
  Row<model::Network>& place = networks_[row->id];
  Row<model::Network> after = stamped(row, place, out.version, out.time);
  out.changes.emplace_back(Replaced<model::Network>{place, after});
  place = std::move(after);
}

void Store::put(const Row<model::Service>& row, Applied& out) {
  Row<model::Service>& place = services_[row->id];
  Row<model::Service> after = stamped(row, place, out.version, out.time);
  index_service(place, after);
  out.changes.emplace_back(Replaced<model::Service>{place, after});
  place = std::move(after);
}

void Store::put(const Row<model::Task>& row, Applied& out) {
  Row<model::Task>& place = tasks_[row->id];
  Row<model::Task> after = stamped(row, place, out.version, out.time);
  index_task(place, after);
  out.changes.emplace_back(Replaced<model::Task>{place, after});
  place = std::move(after);
}

void Store::erase(const Erase& gone, Applied& out) {
  const auto drop = [&]<class T>(auto& table, model::Id<T> id) {
    const auto it = table.find(id);
    using RowType = typename std::remove_reference_t<decltype(table)>::mapped_type;
    if (it == table.end()) return RowType{};
    RowType before = std::move(it->second);
    table.erase(it);
    return before;
  };
  switch (gone.kind) {
    case Kind::cluster:
      out.changes.emplace_back(Replaced<model::Cluster>{cluster_, nullptr});
      cluster_ = nullptr;
      return;
    case Kind::node:
      if (auto before = drop(nodes_, model::NodeId{gone.id})) {
        out.changes.emplace_back(Replaced<model::Node>{std::move(before), nullptr});
      }
      return;
    case Kind::service:
      if (auto before = drop(services_, model::ServiceId{gone.id})) {
        index_service(before, nullptr);
        out.changes.emplace_back(Replaced<model::Service>{std::move(before), nullptr});
      }
      return;
    case Kind::task:
      if (auto before = drop(tasks_, model::TaskId{gone.id})) {
        index_task(before, nullptr);
        out.changes.emplace_back(Replaced<model::Task>{std::move(before), nullptr});
      }
      return;
    case Kind::network:
      if (auto before = drop(networks_, model::NetworkId{gone.id})) {
        out.changes.emplace_back(Replaced<model::Network>{std::move(before), nullptr});
      }
      return;
    case Kind::spec:
      specs_.erase({model::ServiceId{gone.id}, gone.version});
      return;
  }
}

void Store::index_service(const Row<model::Service>& before, const Row<model::Service>& after) {
  if (after) {
    service_names_[lower_case(after->name)] = after->id;
    refer({after->id, after->spec_version}, 1);
    if (after->previous_spec_version != 0) refer({after->id, after->previous_spec_version}, 1);
  }
  if (before) {
    if (!after) service_names_.erase(lower_case(before->name));
    refer({before->id, before->spec_version}, -1);
    if (before->previous_spec_version != 0) refer({before->id, before->previous_spec_version}, -1);
  }
}

void Store::index_task(const Row<model::Task>& before, const Row<model::Task>& after) {
  if (before && after && before->node == after->node && before->slot == after->slot &&
      before->spec_version == after->spec_version) {
    return;
  }
  if (before) {
    unindex(tasks_by_service_, before->service, std::pair(before->slot, before->id));
    if (before->node) unindex(tasks_by_node_, before->node, before->id);
  }
  if (after) {
    tasks_by_service_[after->service].emplace(after->slot, after->id);
    if (after->node) tasks_by_node_[after->node].insert(after->id);
    refer({after->service, after->spec_version}, 1);
  }
  if (before) refer({before->service, before->spec_version}, -1);
}

void Store::refer(const model::SpecKey& key, int64_t by) {
  const auto it = specs_.find(key);
  if (it == specs_.end()) return;
  it->second.references += static_cast<uint64_t>(by);
  touched_specs_.insert(key);
}

void Store::drop_unreferenced_specs() {
  for (const model::SpecKey& key : touched_specs_) {
    const auto it = specs_.find(key);
    if (it != specs_.end() && it->second.references == 0) specs_.erase(it);
  }
  touched_specs_.clear();
}

Transaction Store::dump() const {
  Transaction all;
  if (cluster_) all.changes.emplace_back(Upsert<model::Cluster>{cluster_});
  for (const auto& [key, counted] : specs_) all.changes.emplace_back(SpecRow{key, counted.spec});
  for (const auto& [id, row] : networks_) all.changes.emplace_back(Upsert<model::Network>{row});
  for (const auto& [id, row] : nodes_) all.changes.emplace_back(Upsert<model::Node>{row});
  for (const auto& [id, row] : services_) all.changes.emplace_back(Upsert<model::Service>{row});
  for (const auto& [id, row] : tasks_) all.changes.emplace_back(Upsert<model::Task>{row});
  return all;
}

void Store::load(uint64_t index, const Transaction& snapshot) {
  *this = Store();
  applied_index_ = index;
  for (const Change& change : snapshot.changes) {
    if (const auto* cluster = std::get_if<Upsert<model::Cluster>>(&change)) {
      cluster_ = cluster->row;
    } else if (const auto* node = std::get_if<Upsert<model::Node>>(&change)) {
      nodes_[node->row->id] = node->row;
    } else if (const auto* network = std::get_if<Upsert<model::Network>>(&change)) {
      networks_[network->row->id] = network->row;
    } else if (const auto* spec = std::get_if<SpecRow>(&change)) {
      specs_[spec->key].spec = spec->spec;
    } else if (const auto* service = std::get_if<Upsert<model::Service>>(&change)) {
      services_[service->row->id] = service->row;
      index_service(nullptr, service->row);
    } else if (const auto* task = std::get_if<Upsert<model::Task>>(&change)) {
      tasks_[task->row->id] = task->row;
      index_task(nullptr, task->row);
    }
  }
  drop_unreferenced_specs();
}

Row<model::Node> Store::node(model::NodeId id) const {
  return find_row(nodes_, id);
}
Row<model::Service> Store::service(model::ServiceId id) const {
  return find_row(services_, id);
}
Row<model::Task> Store::task(model::TaskId id) const {
  return find_row(tasks_, id);
}
Row<model::Network> Store::network(model::NetworkId id) const {
  return find_row(networks_, id);
}

Row<model::ServiceSpec> Store::spec(const model::SpecKey& key) const {
  const auto it = specs_.find(key);
  return it == specs_.end() ? nullptr : it->second.spec;
}

Row<model::Service> Store::service_by_name(std::string_view name) const {
  const auto it = service_names_.find(lower_case(name));
  return it == service_names_.end() ? nullptr : service(it->second);
}

void Store::each_node(const Visit<model::Node>& visit) const {
  for (const auto& [id, row] : nodes_) visit(row);
}
void Store::each_service(const Visit<model::Service>& visit) const {
  for (const auto& [id, row] : services_) visit(row);
}
void Store::each_task(const Visit<model::Task>& visit) const {
  for (const auto& [id, row] : tasks_) visit(row);
}
void Store::each_network(const Visit<model::Network>& visit) const {
  for (const auto& [id, row] : networks_) visit(row);
}

void Store::each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const {
  const auto it = tasks_by_service_.find(id);
  if (it == tasks_by_service_.end()) return;
  for (const auto& [slot, task_id] : it->second) visit(tasks_.at(task_id));
}

void Store::each_task_of_slot(model::ServiceId id, uint64_t slot,
                              const Visit<model::Task>& visit) const {
  const auto it = tasks_by_service_.find(id);
  if (it == tasks_by_service_.end()) return;
  for (auto entry = it->second.lower_bound({slot, {}});
       entry != it->second.end() && entry->first == slot; ++entry) {
    visit(tasks_.at(entry->second));
  }
}

void Store::each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const {
  const auto it = tasks_by_node_.find(id);
  if (it == tasks_by_node_.end()) return;
  for (const model::TaskId task_id : it->second) visit(tasks_.at(task_id));
}

}  // namespace skep::store
