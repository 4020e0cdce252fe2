// Tables and their indexes; every index is a pure function of the rows.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/store.hpp"

#include <algorithm>
#include <tuple>

#include "core/model/result.hpp"

namespace skep::store {
namespace {

template <class Key, class T>
Row<T> row_of(const Table<Key, Row<T>>& table, const Key& key) {
  const Row<T>* row = table.find(key);
  return row == nullptr ? nullptr : *row;
}

template <class Id, class T>
void walk(const Table<Id, Row<T>>& table, const Id& from, const View::Walk<T>& visit) {
  table.walk(from, [&](const Id&, const Row<T>& row) { return visit(row); });
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

template <class Id>
void rename(std::map<std::string, Id, std::less<>>& names, Id id, const std::string* before,
            const std::string* after) {
  if (before != nullptr && after != nullptr && *before == *after) return;
  if (before != nullptr) {
    const auto it = names.find(lower_case(*before));
    if (it != names.end() && it->second == id) names.erase(it);
  }
  if (after != nullptr) names[lower_case(*after)] = id;
}

template <class Id>
Id id_named(const std::map<std::string, Id, std::less<>>& names, std::string_view name) {
  const auto it = names.find(lower_case(name));
  return it == names.end() ? Id{} : it->second;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

const Applied& Store::apply(uint64_t index, const Transaction& transaction) {
  SKEP_ASSERT(index > applied_index_, "entries are applied in order, once");
  applied_index_ = index;
  Applied out{index, transaction.time, {}};
  out.changes.reserve(transaction.changes.size());
  for (const Change& change : transaction.changes) put(change, out);
  drop_unreferenced_specs();
  remember(transaction);
  return feed_.add(std::move(out));
}

void Store::put(const Change& change, Applied& out) {
  if (const auto* cluster = std::get_if<Upsert<model::Cluster>>(&change)) {
    Row<model::Cluster> after = stamped(cluster->row, state_.cluster, out.version, out.time);
    out.changes.emplace_back(Replaced<model::Cluster>{state_.cluster, after});
    state_.cluster = std::move(after);
  } else if (const auto* node = std::get_if<Upsert<model::Node>>(&change)) {
    put(state_.nodes, node->row, out);
  } else if (const auto* service = std::get_if<Upsert<model::Service>>(&change)) {
    put(state_.services, service->row, out);
  } else if (const auto* task = std::get_if<Upsert<model::Task>>(&change)) {
    put(state_.tasks, task->row, out);
  } else if (const auto* network = std::get_if<Upsert<model::Network>>(&change)) {
    put(state_.networks, network->row, out);
  } else if (const auto* config = std::get_if<Upsert<model::Config>>(&change)) {
    put(state_.configs, config->row, out);
  } else if (const auto* spec = std::get_if<SpecRow>(&change)) {
    state_.specs.at(spec->key) = spec->spec;
    touched_specs_.insert(spec->key);
  } else {
    erase(std::get<Erase>(change), out);
  }
}

template <class T>
void Store::put(Table<decltype(T::id), Row<T>>& table, const Row<T>& row, Applied& out) {
  Row<T>& place = table.at(row->id);
  Row<T> after = stamped(row, place, out.version, out.time);
  index(place, after);
  out.changes.emplace_back(Replaced<T>{place, after});
  place = std::move(after);
}

template <class T>
void Store::drop(Table<decltype(T::id), Row<T>>& table, model::IdBits bits, Applied& out) {
  const decltype(T::id) id{bits};
  Row<T> before = row_of(table, id);
  if (!before) return;
  table.erase(id);
  index(before, nullptr);
  out.changes.emplace_back(Replaced<T>{std::move(before), nullptr});
}

void Store::erase(const Erase& gone, Applied& out) {
  switch (gone.kind) {
    case Kind::cluster:
      out.changes.emplace_back(Replaced<model::Cluster>{state_.cluster, nullptr});
      state_.cluster = nullptr;
      return;
    case Kind::node:
      return drop(state_.nodes, gone.id, out);
    case Kind::service:
      return drop(state_.services, gone.id, out);
    case Kind::task:
      return drop(state_.tasks, gone.id, out);
    case Kind::network:
      return drop(state_.networks, gone.id, out);
    case Kind::config:
      return drop(state_.configs, gone.id, out);
    case Kind::spec:
      state_.specs.erase({model::ServiceId{gone.id}, gone.version});
      return;
  }
}

// The first answer stands: an id that comes again in a later entry has been asked of a leader that
// did not know of it yet, and nothing but the order of the entries can say which one was true.
void Store::remember(const Transaction& transaction) {
  for (const Row<AnsweredRequest>& request : transaction.answered) {
    if (!answer_numbers_.emplace(request->id, next_answer_).second) continue;
    AnsweredRequest kept = *request;
    kept.at = transaction.time;
    state_.answered.at(next_answer_++) = std::make_shared<const AnsweredRequest>(std::move(kept));
  }
  while (first_answer_ < next_answer_) {
    const AnsweredRequest& oldest = **state_.answered.find(first_answer_);
    if (state_.answered.size() <= kAnswersMax && transaction.time - oldest.at < kAnswersKept) break;
    answer_numbers_.erase(oldest.id);
    state_.answered.erase(first_answer_++);
  }
}

void Store::load(uint64_t index_loaded, State state) {
  *this = Store();
  applied_index_ = index_loaded;
  feed_.restart(index_loaded);
  state_ = std::move(state);
  state_.nodes.each([&](const auto&, const auto& row) { index(nullptr, row); });
  state_.networks.each([&](const auto&, const auto& row) { index(nullptr, row); });
  state_.configs.each([&](const auto&, const auto& row) { index(nullptr, row); });
  state_.services.each([&](const auto&, const auto& row) { index(nullptr, row); });
  index_all_tasks();
  Table<uint64_t, Row<AnsweredRequest>> renumbered;
  state_.answered.each([&](uint64_t, const Row<AnsweredRequest>& request) {
    answer_numbers_[request->id] = next_answer_;
    renumbered.at(next_answer_++) = request;
  });
  state_.answered = std::move(renumbered);
  touched_specs_.clear();
}

void Store::index(const Row<model::Node>& before, const Row<model::Node>& after) {
  if (before && after && before->spec.name == after->spec.name &&
      before->description.hostname == after->description.hostname) {
    return;
  }
  if (before) {
    node_names_.erase({lower_case(before->spec.name), before->id});
    node_names_.erase({lower_case(before->description.hostname), before->id});
  }
  if (after) {
    node_names_.emplace(lower_case(after->spec.name), after->id);
    node_names_.emplace(lower_case(after->description.hostname), after->id);
  }
}

void Store::index(const Row<model::Network>& before, const Row<model::Network>& after) {
  rename(network_names_, (after ? after : before)->id, before ? &before->name : nullptr,
         after ? &after->name : nullptr);
}

void Store::index(const Row<model::Config>& before, const Row<model::Config>& after) {
  rename(config_names_, (after ? after : before)->id, before ? &before->spec.name : nullptr,
         after ? &after->spec.name : nullptr);
}

void Store::index(const Row<model::Service>& before, const Row<model::Service>& after) {
  rename(service_names_, (after ? after : before)->id, before ? &before->name : nullptr,
         after ? &after->name : nullptr);
  if (after) {
    refer({after->id, after->spec_version}, 1);
    if (after->previous_spec_version != 0) refer({after->id, after->previous_spec_version}, 1);
  }
  if (before) {
    refer({before->id, before->spec_version}, -1);
    if (before->previous_spec_version != 0) refer({before->id, before->previous_spec_version}, -1);
  }
}

void Store::index(const Row<model::Task>& before, const Row<model::Task>& after) {
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

// One by one, each task would look for its place in a set of many; in order, each goes to the end.
void Store::index_all_tasks() {
  std::vector<std::tuple<model::ServiceId, uint64_t, model::TaskId>> by_slot;
  std::vector<std::pair<model::NodeId, model::TaskId>> by_node;
  by_slot.reserve(state_.tasks.size());
  by_node.reserve(state_.tasks.size());
  state_.tasks.each([&](model::TaskId id, const Row<model::Task>& row) {
    by_slot.emplace_back(row->service, row->slot, id);
    if (row->node) by_node.emplace_back(row->node, id);
    refer({row->service, row->spec_version}, 1);
  });
  std::sort(by_slot.begin(), by_slot.end());
  std::sort(by_node.begin(), by_node.end());
  for (const auto& [service_id, slot, id] : by_slot) {
    TasksBySlot& tasks = tasks_by_service_.try_emplace(tasks_by_service_.end(), service_id)->second;
    tasks.emplace_hint(tasks.end(), slot, id);
  }
  for (const auto& [node_id, id] : by_node) {
    std::set<model::TaskId>& tasks =
        tasks_by_node_.try_emplace(tasks_by_node_.end(), node_id)->second;
    tasks.emplace_hint(tasks.end(), id);
  }
}

void Store::refer(const model::SpecKey& key, int64_t by) {
  uint64_t& references = spec_references_[key];
  references += static_cast<uint64_t>(by);
  if (references == 0) {
    spec_references_.erase(key);
    touched_specs_.insert(key);
  }
}

void Store::drop_unreferenced_specs() {
  for (const model::SpecKey& key : touched_specs_) {
    if (spec_references_.count(key) == 0) state_.specs.erase(key);
  }
  touched_specs_.clear();
}

Row<model::Node> Store::node(model::NodeId id) const {
  return row_of(state_.nodes, id);
}
Row<model::Service> Store::service(model::ServiceId id) const {
  return row_of(state_.services, id);
}
Row<model::Task> Store::task(model::TaskId id) const {
  return row_of(state_.tasks, id);
}
Row<model::Network> Store::network(model::NetworkId id) const {
  return row_of(state_.networks, id);
}
Row<model::Config> Store::config(model::ConfigId id) const {
  return row_of(state_.configs, id);
}
Row<model::ServiceSpec> Store::spec(const model::SpecKey& key) const {
  return row_of(state_.specs, key);
}

Row<AnsweredRequest> Store::answered(model::RequestId id) const {
  const auto it = answer_numbers_.find(id);
  return it == answer_numbers_.end() ? nullptr : *state_.answered.find(it->second);
}

Row<model::Service> Store::service_by_name(std::string_view name) const {
  return service(id_named(service_names_, name));
}
Row<model::Network> Store::network_by_name(std::string_view name) const {
  return network(id_named(network_names_, name));
}
Row<model::Config> Store::config_by_name(std::string_view name) const {
  return config(id_named(config_names_, name));
}

std::vector<Row<model::Node>> Store::nodes_by_name(std::string_view name) const {
  const std::string wanted = lower_case(name);
  std::vector<Row<model::Node>> nodes;
  if (wanted.empty()) return nodes;
  for (auto it = node_names_.lower_bound({wanted, {}});
       it != node_names_.end() && it->first == wanted; ++it) {
    nodes.push_back(node(it->second));
  }
  return nodes;
}

void Store::walk_nodes(model::NodeId from, const Walk<model::Node>& visit) const {
  walk(state_.nodes, from, visit);
}
void Store::walk_services(model::ServiceId from, const Walk<model::Service>& visit) const {
  walk(state_.services, from, visit);
}
void Store::walk_tasks(model::TaskId from, const Walk<model::Task>& visit) const {
  walk(state_.tasks, from, visit);
}
void Store::walk_networks(model::NetworkId from, const Walk<model::Network>& visit) const {
  walk(state_.networks, from, visit);
}
void Store::walk_configs(model::ConfigId from, const Walk<model::Config>& visit) const {
  walk(state_.configs, from, visit);
}

void Store::each_task_of_service(model::ServiceId id, const Visit<model::Task>& visit) const {
  const auto it = tasks_by_service_.find(id);
  if (it == tasks_by_service_.end()) return;
  for (const auto& [slot, task_id] : it->second) visit(*state_.tasks.find(task_id));
}

void Store::each_task_of_slot(model::ServiceId id, uint64_t slot,
                              const Visit<model::Task>& visit) const {
  const auto it = tasks_by_service_.find(id);
  if (it == tasks_by_service_.end()) return;
  for (auto entry = it->second.lower_bound({slot, {}});
       entry != it->second.end() && entry->first == slot; ++entry) {
    visit(*state_.tasks.find(entry->second));
  }
}

void Store::each_task_of_node(model::NodeId id, const Visit<model::Task>& visit) const {
  const auto it = tasks_by_node_.find(id);
  if (it == tasks_by_node_.end()) return;
  for (const model::TaskId task_id : it->second) visit(*state_.tasks.find(task_id));
}

}  // namespace skep::store
