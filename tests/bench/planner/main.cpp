// How long the planner takes for one service of many tasks on many nodes, to place it, to lose a
// node, and to look at its deadlines while thousands of tasks wait.
// Usage: bench_planner [TASKS NODES]
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "core/planner/planner.hpp"
#include "core/planner/requests.hpp"
#include "core/store/store.hpp"

namespace {

using namespace skep;

class CountingIds final : public model::IdSource {
 public:
  // Spread over the whole range, as random ids are.
  model::IdBits next() override { return {++last_ * 0x9e3779b97f4a7c15ull >> 1, last_}; }

 private:
  uint64_t last_ = 0;
};

// A manager whose disk is instant.
class Cluster {
 public:
  explicit Cluster(size_t nodes) {
    planner_.reset(store_);
    ask("", [&](store::Draft& draft) {
      model::Cluster cluster;
      cluster.id = model::ClusterId{ids_.next()};
      model::Node manager;
      manager.id = model::NodeId{ids_.next()};
      nodes_.push_back(manager.id);
      planner::found_cluster(draft, cluster, manager, model::NetworkId{ids_.next()});
      while (nodes_.size() < nodes) {
        nodes_.push_back(model::NodeId{ids_.next()});
        planner::admit_node(draft, nodes_.back(), model::NodeRole::worker,
                            model::NodeAvailability::active, now_ + std::chrono::hours(24));
      }
      for (const model::NodeId node : nodes_) {
        model::NodeDescription description;
        description.hostname = "node-" + node.str();
        description.platform = {"x86_64", "linux"};
        description.resources = {64'000'000'000, int64_t{256} << 30, 0};
        (void)planner::node_ready(draft, node, description, "10.0.0.1");
      }
    });
  }

  void ask(const char* what, const std::function<void(store::Draft&)>& request) {
    const auto start = std::chrono::steady_clock::now();
    store::Draft draft(store_);
    request(draft);
    planner_.run(draft, now_);
    const auto planned = std::chrono::steady_clock::now();
    if (!draft.empty()) store_.apply(++index_, draft.transaction(now_));
    const auto applied = std::chrono::steady_clock::now();
    const auto ms = [](auto from, auto to) {
      return std::chrono::duration<double, std::milli>(to - from).count();
    };
    if (*what != '\0') {
      std::printf("%-58s plan %9.2f ms  apply %8.2f ms\n", what, ms(start, planned),
                  ms(planned, applied));
    }
  }

  void create(const char* what, const char* name, uint64_t tasks, model::Placement placement) {
    ask(what, [&](store::Draft& draft) {
      model::ServiceSpec spec;
      spec.name = name;
      spec.replicas = tasks;
      spec.task.container.image = "httpd:2.4.34";
      spec.task.placement = std::move(placement);
      if (!planner::create_service(draft, spec, ids_)) std::abort();
    });
  }

  void report_all(const char* what, model::TaskState state, model::TaskState of, size_t at_most) {
    std::vector<store::Row<model::Task>> tasks;
    store_.each_task([&](const auto& task) {
      if (task->status.state == of && task->desired == model::TaskState::running) {
        tasks.push_back(task);
      }
    });
    if (tasks.size() > at_most) tasks.resize(at_most);
    ask(what, [&](store::Draft& draft) {
      for (const auto& task : tasks) {
        model::TaskStatus status;
        status.state = state;
        status.timestamp = now_;
        planner::report_status(draft, task->node, {{task->id, status}}, now_);
      }
    });
  }

  model::NodeId node(size_t index) const { return nodes_.at(index); }

 private:
  CountingIds ids_;
  store::Store store_;
  planner::Planner planner_{ids_};
  std::vector<model::NodeId> nodes_;
  model::WallTime now_{1'000'000'000'000};
  uint64_t index_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const uint64_t tasks = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000;
  const uint64_t nodes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000;
  std::printf("%llu tasks on %llu nodes\n", static_cast<unsigned long long>(tasks),
              static_cast<unsigned long long>(nodes));
  Cluster cluster(nodes);
  cluster.create("create and place one service", "web", tasks, {});
  cluster.create("the same with a constraint", "bound", tasks, {{"node.role==worker"}, {}, 0, {}});
  cluster.create("the same, spread over a label", "spread", tasks,
                 {{}, {"node.labels.zone"}, 0, {}});
  cluster.create("the same where no node fits", "nowhere", tasks,
                 {{"node.labels.x==y"}, {}, 0, {}});
  cluster.report_all("all of them run", model::TaskState::running, model::TaskState::assigned,
                     SIZE_MAX);
  cluster.report_all("half of a service fails at once", model::TaskState::failed,
                     model::TaskState::running, tasks / 2);
  cluster.report_all("one task fails while those wait", model::TaskState::failed,
                     model::TaskState::running, 1);
  cluster.ask("a node dies", [&](store::Draft& draft) {
    planner::node_down(draft, cluster.node(7), "heartbeat failure");
  });
  return 0;
}
