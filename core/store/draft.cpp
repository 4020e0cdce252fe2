// The overlay: reads fall through to the base unless the draft says otherwise.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/draft.hpp"

#include <algorithm>

#include "core/store/store.hpp"

namespace skep::store {
namespace {

template <class Overlay, class Id, class Base>
auto look(const Overlay& overlay, Id id, const Base& base) {
  const auto it = overlay.find(id);
  return it == overlay.end() ? base() : it->second;
}

// The base's rows and the draft's own in one order.
template <class Overlay, class Id, class T, class Base>
void walk_both(const Overlay& overlay, const Id& from, const View::Walk<T>& visit,
               const Base& walk_base) {
  auto own = overlay.lower_bound(from);
  bool more = true;
  const auto own_before = [&](const Id* id) {
    for (; more && own != overlay.end() && (id == nullptr || own->first < *id); ++own) {
      if (own->second) more = visit(own->second);
    }
  };
  walk_base(View::Walk<T>([&](const Row<T>& row) {
    own_before(&row->id);
    if (more && overlay.count(row->id) == 0) more = visit(row);
    return more;
  }));
  own_before(nullptr);
}

// For what changed one row: its table and its id.
struct Touched {
  template <class T>
  std::pair<Kind, model::IdBits> of(Kind kind, const Replaced<T>& change) const {
    return {kind, (change.after ? change.after : change.before)->id.bits};
  }
  auto operator()(const Replaced<model::Cluster>& c) const { return of(Kind::cluster, c); }
  auto operator()(const Replaced<model::Node>& c) const { return of(Kind::node, c); }
  auto operator()(const Replaced<model::Service>& c) const { return of(Kind::service, c); }
  auto operator()(const Replaced<model::Task>& c) const { return of(Kind::task, c); }
  auto operator()(const Replaced<model::Network>& c) const { return of(Kind::network, c); }
  auto operator()(const Replaced<model::Config>& c) const { return of(Kind::config, c); }
};

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

void Draft::put(model::Config row) {
  const Row<model::Config> before = config(row.id);
  if (before && *before == row) return;
  const model::ConfigId id = row.id;
  change<model::Config>(configs_, before, std::make_shared<model::Config>(std::move(row)), id);
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

void Draft::erase(model::ConfigId id) {
  if (const Row<model::Config> before = config(id)) {
    change<model::Config>(configs_, before, nullptr, id);
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

void Draft::answer(model::RequestId id, Result<std::string> outcome) {
  SKEP_ASSERT(id && !answered(id), "a request is answered once");
  SKEP_ASSERT((outcome ? outcome->size() : outcome.error().message.size()) <= kAnswerBytesMax,
              "an answer is a few bytes");
  Answer answer;
  answer.request = std::make_shared<const AnsweredRequest>(
      AnsweredRequest{id, model::WallTime(), std::move(outcome)});
  for (; journal_answered_ < journal_.size(); ++journal_answered_) {
    answer.rests_on.push_back(std::visit(Touched(), journal_[journal_answered_]));
  }
  answers_.push_back(std::move(answer));
}

std::vector<RowChange> Draft::take_journal() {
  journal_answered_ = 0;
  return std::exchange(journal_, {});
}

bool Draft::empty() const {
  return !cluster_ && nodes_.empty() && services_.empty() && tasks_.empty() && networks_.empty() &&
         configs_.empty() && specs_.empty() && answers_.empty();
}

Transaction Draft::transaction(model::WallTime time) const {
  Transaction whole{time, changes(), {}};
  for (const Answer& answer : answers_) whole.answered.push_back(answer.request);
  return whole;
}

std::vector<Change> Draft::changes() const {
  std::vector<Change> out;
  if (cluster_) out.emplace_back(Upsert<model::Cluster>{cluster_});
  for (const auto& [id, row] : networks_) {
    if (row) out.emplace_back(Upsert<model::Network>{row});
  }
  for (const auto& [id, row] : configs_) {
    if (row) out.emplace_back(Upsert<model::Config>{row});
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
  for (const auto& [id, row] : configs_) {
    if (!row && base_.config(id)) out.emplace_back(Erase{Kind::config, id.bits, 0});
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

Row<model::Config> Draft::config(model::ConfigId id) const {
  return look(configs_, id, [&] { return base_.config(id); });
}

Row<AnsweredRequest> Draft::answered(model::RequestId id) const {
  for (const Answer& answer : answers_) {
    if (answer.request->id == id) return answer.request;
  }
  return base_.answered(id);
}

namespace {

// The draft's own row of that name, else the base's unless the draft has changed that one.
template <class Overlay, class NameOf, class T>
Row<T> named(const Overlay& overlay, std::string_view name, const NameOf& name_of, Row<T> base) {
  const std::string wanted = lower_case(name);
  for (const auto& [id, row] : overlay) {
    if (row && lower_case(name_of(*row)) == wanted) return row;
  }
  return base && overlay.count(base->id) != 0 ? nullptr : base;
}

}  // namespace

Row<model::Service> Draft::service_by_name(std::string_view name) const {
  return named(
      services_, name, [](const model::Service& s) -> const std::string& { return s.name; },
      base_.service_by_name(name));
}
Row<model::Network> Draft::network_by_name(std::string_view name) const {
  return named(
      networks_, name, [](const model::Network& n) -> const std::string& { return n.name; },
      base_.network_by_name(name));
}
Row<model::Config> Draft::config_by_name(std::string_view name) const {
  return named(
      configs_, name, [](const model::Config& c) -> const std::string& { return c.spec.name; },
      base_.config_by_name(name));
}

std::vector<Row<model::Node>> Draft::nodes_by_name(std::string_view name) const {
  const std::string wanted = lower_case(name);
  std::vector<Row<model::Node>> nodes = base_.nodes_by_name(name);
  std::erase_if(nodes, [&](const Row<model::Node>& row) { return nodes_.count(row->id) != 0; });
  for (const auto& [id, row] : nodes_) {
    const bool is =
        row && !wanted.empty() &&
        (lower_case(row->spec.name) == wanted || lower_case(row->description.hostname) == wanted);
    if (is) nodes.push_back(row);
  }
  std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  return nodes;
}

void Draft::walk_nodes(model::NodeId from, const Walk<model::Node>& visit) const {
  walk_both(nodes_, from, visit, [&](const auto& v) { base_.walk_nodes(from, v); });
}
void Draft::walk_services(model::ServiceId from, const Walk<model::Service>& visit) const {
  walk_both(services_, from, visit, [&](const auto& v) { base_.walk_services(from, v); });
}
void Draft::walk_tasks(model::TaskId from, const Walk<model::Task>& visit) const {
  walk_both(tasks_, from, visit, [&](const auto& v) { base_.walk_tasks(from, v); });
}
void Draft::walk_networks(model::NetworkId from, const Walk<model::Network>& visit) const {
  walk_both(networks_, from, visit, [&](const auto& v) { base_.walk_networks(from, v); });
}
void Draft::walk_configs(model::ConfigId from, const Walk<model::Config>& visit) const {
  walk_both(configs_, from, visit, [&](const auto& v) { base_.walk_configs(from, v); });
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
