// One choice for every kind of object, told apart by how it is found and walked.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/lookup.hpp"

#include <optional>
#include <vector>

#include "core/store/store.hpp"

namespace skep::api {
namespace {

template <class T>
using Rows = std::vector<store::Row<T>>;

// Exact id, then name, then the beginning of an id. Costs what is found, never the whole table:
// clients that wait ask five times a second each. `walk` visits the rows from an id on.
template <class T, class Walk>
Result<store::Row<T>> choose(std::string_view noun, std::string_view reference, store::Row<T> exact,
                             const Rows<T>& named, const Walk& walk) {
  if (exact) return exact;
  if (named.size() == 1) return named.front();
  size_t matches = named.size();
  store::Row<T> prefixed;
  const auto first = reference.empty() ? std::nullopt : model::first_with_prefix(reference);
  if (matches == 0 && first) {
    walk(decltype(T::id){*first}, [&](const store::Row<T>& row) {
      if (!row->id.str().starts_with(reference)) return false;
      prefixed = row;
      ++matches;
      return true;
    });
  }
  const std::string what = std::string(noun) + " " + std::string(reference);
  if (matches == 1) return prefixed;
  if (matches == 0) return fail(ErrorKind::not_found, what + " not found");
  return fail(ErrorKind::invalid,
              what + " is ambiguous (" + std::to_string(matches) + " matches found)");
}

template <class T>
Rows<T> one_or_none(store::Row<T> row) {
  return row ? Rows<T>{std::move(row)} : Rows<T>{};
}

// The task whose name this is: "web.1.ID", in any case.
store::Row<model::Task> task_by_name(const store::View& store, std::string_view name) {
  const std::string wanted = store::lower_case(name);
  const size_t dot = wanted.rfind('.');
  if (dot == std::string::npos) return nullptr;
  const auto id = model::TaskId::parse(std::string_view(wanted).substr(dot + 1));
  const store::Row<model::Task> task = id ? store.task(*id) : nullptr;
  return task && store::lower_case(model::task_name(*task)) == wanted ? task : nullptr;
}

}  // namespace

Result<store::Row<model::Node>> find_node(const store::View& store, std::string_view reference) {
  const auto id = model::NodeId::parse(reference);
  return choose<model::Node>(
      "node", reference, id ? store.node(*id) : nullptr, store.nodes_by_name(reference),
      [&](model::NodeId from, const auto& visit) { store.walk_nodes(from, visit); });
}

Result<store::Row<model::Service>> find_service(const store::View& store,
                                                std::string_view reference) {
  const auto id = model::ServiceId::parse(reference);
  return choose<model::Service>(
      "service", reference, id ? store.service(*id) : nullptr,
      one_or_none(store.service_by_name(reference)),
      [&](model::ServiceId from, const auto& visit) { store.walk_services(from, visit); });
}

Result<store::Row<model::Task>> find_task(const store::View& store, std::string_view reference) {
  const auto id = model::TaskId::parse(reference);
  return choose<model::Task>(
      "task", reference, id ? store.task(*id) : nullptr,
      one_or_none(task_by_name(store, reference)),
      [&](model::TaskId from, const auto& visit) { store.walk_tasks(from, visit); });
}

Result<store::Row<model::Network>> find_network(const store::View& store,
                                                std::string_view reference) {
  const auto id = model::NetworkId::parse(reference);
  return choose<model::Network>(
      "network", reference, id ? store.network(*id) : nullptr,
      one_or_none(store.network_by_name(reference)),
      [&](model::NetworkId from, const auto& visit) { store.walk_networks(from, visit); });
}

Result<store::Row<model::Config>> find_config(const store::View& store,
                                              std::string_view reference) {
  const auto id = model::ConfigId::parse(reference);
  return choose<model::Config>(
      "config", reference, id ? store.config(*id) : nullptr,
      one_or_none(store.config_by_name(reference)),
      [&](model::ConfigId from, const auto& visit) { store.walk_configs(from, visit); });
}

docker_json::TrustView trust_view(const Context& context) {
  const manager::TrustInfo trust = context.control.trust();
  return {trust.root_certificate_pem, trust.issuer_subject_der, trust.issuer_public_key_der};
}

docker_json::NodeView node_view(const Context& context, const model::Node& node) {
  docker_json::NodeView view;
  view.node = node;
  view.leader = node.manager && context.control.leader() == node.id;
  view.reachable = node.manager && node.manager->reachability == model::Reachability::reachable;
  const model::NodeTrust& trust = node.trust;
  // A node that hasn't said whom it trusts has no TLSInfo: clients show that as unknown.
  if (!trust.roots_pem.empty()) {
    view.trust = {trust.roots_pem, trust.issuer.subject_der, trust.issuer.public_key_der};
  }
  return view;
}

docker_json::ServiceView service_view(const store::View& store, const model::Service& service) {
  docker_json::ServiceView view;
  view.id = service.id;
  view.meta = service.meta;
  if (const auto spec = store.spec_of(service)) view.spec = *spec;
  if (service.previous_spec_version != 0) {
    if (const auto previous = store.spec({service.id, service.previous_spec_version})) {
      view.previous = *previous;
    }
  }
  return view;
}

docker_json::ServiceCounts count_tasks(const store::View& store, const model::Service& service) {
  docker_json::ServiceCounts counts;
  if (const auto spec = store.spec_of(service)) counts.desired = spec->replicas;
  store.each_task_of_service(service.id, [&](const store::Row<model::Task>& task) {
    // A node that is down may still claim a running task: nobody can see that it runs.
    const auto node = store.node(task->node);
    const bool lost = node && node->status.state == model::NodeState::down;
    if (task->desired <= model::TaskState::running &&
        task->status.state == model::TaskState::running && !lost) {
      ++counts.running;
    }
    if (task->status.state == model::TaskState::complete) ++counts.completed;
  });
  return counts;
}

docker_json::TaskView task_view(const store::View& store, const model::Task& task) {
  docker_json::TaskView view;
  view.task = task;
  if (const auto spec = store.spec_of(task)) view.spec = spec->task;
  return view;
}

}  // namespace skep::api
