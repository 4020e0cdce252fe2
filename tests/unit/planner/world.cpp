// The instant manager behind the planner tests.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/planner/world.hpp"

namespace skep::test {

using model::TaskState;

World::World(size_t nodes) {
  planner_.reset(store_);
  ask([&](store::Draft& draft) {
    model::Cluster cluster;
    cluster.id = model::ClusterId{ids_.next()};
    model::Node manager;
    manager.id = model::NodeId{ids_.next()};
    manager.role = manager.spec.role = model::NodeRole::manager;
    nodes_.push_back(manager.id);
    planner::found_cluster(draft, cluster, manager, model::NetworkId{ids_.next()});
    return 0;
  });
  for (size_t i = 1; i < nodes; ++i) {
    nodes_.push_back(model::NodeId{ids_.next()});
    ask([&](store::Draft& draft) {
      planner::admit_node(draft, nodes_.back(), model::NodeRole::worker,
                          model::NodeAvailability::active, now_ + std::chrono::hours(24));
      return 0;
    });
  }
  for (size_t i = 0; i < nodes; ++i) regain(i);
}

void World::commit(const store::Draft& draft) {
  if (draft.empty()) return;
  store_.apply(++index_, draft.transaction(now_));
}

void World::pass(model::Nanoseconds by) {
  now_ = now_ + by;
  ask([](store::Draft&) { return 0; });
}

model::ServiceSpec World::spec(const std::string& name, uint64_t replicas) {
  model::ServiceSpec spec;
  spec.name = name;
  spec.task.container.image = "httpd:2.4.34";
  spec.replicas = replicas;
  return spec;
}

model::ServiceId World::create(const std::string& name, uint64_t replicas) {
  return create(spec(name, replicas));
}

model::ServiceId World::create(model::ServiceSpec spec) {
  return ask([&](store::Draft& draft) {
    return planner::create_service(draft, std::move(spec), ids_).value();
  });
}

Status World::scale(model::ServiceId service, uint64_t replicas) {
  return ask([&](store::Draft& draft) {
    const auto row = draft.service(service);
    model::ServiceSpec spec = *draft.spec_of(*row);
    spec.replicas = replicas;
    return planner::update_service(draft, service, row->meta.version, spec);
  });
}

Status World::set_availability(size_t index, model::NodeAvailability availability) {
  return ask([&](store::Draft& draft) {
    const auto row = draft.node(node(index));
    model::NodeSpec spec = row->spec;
    spec.availability = availability;
    return planner::update_node(draft, row->id, row->meta.version, spec);
  });
}

void World::lose(size_t index) {
  ask([&](store::Draft& draft) {
    planner::node_down(draft, node(index), "heartbeat failure");
    return 0;
  });
}

void World::regain(size_t index) {
  const Status ready = ask([&](store::Draft& draft) {
    model::NodeDescription description;
    description.hostname = "node" + std::to_string(index + 1);
    description.platform = {"x86_64", "linux"};
    description.resources = {4'000'000'000, int64_t{8} << 30, 0};
    return planner::node_ready(draft, node(index), description, "10.77.0.1");
  });
  SKEP_ASSERT(ready.has_value(), "a node of the world is known");
}

void World::report(const model::Task& task, TaskState state) {
  ask([&](store::Draft& draft) {
    model::TaskStatus status;
    status.state = state;
    status.timestamp = now_;
    planner::report_status(draft, task.node, {{task.id, status}}, now_);
    return 0;
  });
}

void World::agents_obey() {
  std::vector<store::Row<model::Task>> all;
  store_.each_task([&](const auto& task) { all.push_back(task); });
  for (const auto& task : all) {
    const auto where = store_.node(task->node);
    if (!where || where->status.state == model::NodeState::down || task->ended()) continue;
    if (task->desired == TaskState::running) report(*task, TaskState::running);
    if (task->desired == TaskState::ready) report(*task, TaskState::ready);
    if (task->desired > TaskState::running) report(*task, TaskState::shutdown);
  }
}

std::vector<store::Row<model::Task>> World::tasks(model::ServiceId service) const {
  std::vector<store::Row<model::Task>> out;
  store_.each_task_of_service(service, [&](const auto& task) { out.push_back(task); });
  return out;
}

std::map<size_t, size_t> World::spread(model::ServiceId service) const {
  std::map<size_t, size_t> counts;
  for (const auto& task : tasks(service)) {
    if (task->desired > TaskState::running || task->ended()) continue;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i] == task->node) ++counts[i];
    }
  }
  return counts;
}

size_t World::running(model::ServiceId service) const {
  size_t count = 0;
  for (const auto& task : tasks(service)) {
    const auto where = store_.node(task->node);
    const bool alive = where && where->status.state == model::NodeState::ready;
    count +=
        alive && task->desired == TaskState::running && task->status.state == TaskState::running;
  }
  return count;
}

void World::forget_and_replan() {
  planner_.reset(store_);
  ask([](store::Draft&) { return 0; });
}

}  // namespace skep::test
