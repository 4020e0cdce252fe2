// One search for every kind of object, told apart by how it is visited and named.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/lookup.hpp"

#include <algorithm>
#include <functional>

namespace skep::api {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

template <class T>
struct Kind {
  std::string_view noun;
  std::function<void(const store::View::Visit<T>&)> each;
  std::function<std::string_view(const T&)> name;
};

template <class T>
Result<store::Row<T>> find(const Kind<T>& kind, std::string_view reference) {
  store::Row<T> named;
  store::Row<T> prefixed;
  size_t names = 0;
  size_t prefixes = 0;
  store::Row<T> exact;
  kind.each([&](const store::Row<T>& row) {
    const std::string id = row->id.str();
    if (id == reference) exact = row;
    if (same_name(kind.name(*row), reference)) {
      named = row;
      ++names;
    }
    if (id.starts_with(reference)) {
      prefixed = row;
      ++prefixes;
    }
  });
  const std::string what = std::string(kind.noun) + " " + std::string(reference);
  if (exact) return exact;
  if (names == 1) return named;
  if (names > 1 || (prefixes > 1 && !reference.empty())) {
    return fail(
        ErrorKind::invalid,
        what + " is ambiguous (" + std::to_string(std::max(names, prefixes)) + " matches found)");
  }
  if (prefixes == 1 && !reference.empty()) return prefixed;
  return fail(ErrorKind::not_found, what + " not found");
}

}  // namespace

Result<store::Row<model::Node>> find_node(const store::View& store, std::string_view reference) {
  const Kind<model::Node> kind{
      "node", [&](const auto& visit) { store.each_node(visit); },
      [](const model::Node& n) -> std::string_view { return n.description.hostname; }};
  return find(kind, reference);
}

Result<store::Row<model::Service>> find_service(const store::View& store,
                                                std::string_view reference) {
  // The waiting clients' loop asks by full id, five times a second each: no scan for those.
  if (const auto id = model::ServiceId::parse(reference)) {
    if (store::Row<model::Service> row = store.service(*id)) return row;
  }
  const Kind<model::Service> kind{
      "service", [&](const auto& visit) { store.each_service(visit); },
      [](const model::Service& s) -> std::string_view { return s.name; }};
  return find(kind, reference);
}

Result<store::Row<model::Task>> find_task(const store::View& store, std::string_view reference) {
  if (const auto id = model::TaskId::parse(reference)) {
    if (store::Row<model::Task> row = store.task(*id)) return row;
  }
  std::string name;
  const Kind<model::Task> kind{"task", [&](const auto& visit) { store.each_task(visit); },
                               [&](const model::Task& t) -> std::string_view {
                                 name = model::task_name(t);
                                 return name;
                               }};
  return find(kind, reference);
}

Result<store::Row<model::Network>> find_network(const store::View& store,
                                                std::string_view reference) {
  const Kind<model::Network> kind{
      "network", [&](const auto& visit) { store.each_network(visit); },
      [](const model::Network& n) -> std::string_view { return n.name; }};
  return find(kind, reference);
}

docker_json::TrustView trust_view(const Context& context) {
  const manager::TrustInfo trust = context.control.trust();
  return {trust.root_certificate_pem, trust.issuer_subject_der, trust.issuer_public_key_der};
}

docker_json::NodeView node_view(const Context& context, const model::Node& node) {
  docker_json::NodeView view;
  view.node = node;
  view.leader = node.manager && context.control.leader() == node.id;
  view.reachable = node.status.state == model::NodeState::ready;
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
