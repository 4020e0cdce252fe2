// The scheduler against the rule itself, judged slowly: every node for every task.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/planner/world.hpp"

using namespace skep;
using test::World;

namespace {

struct Load {
  int64_t memory = 0;
  size_t of_service = 0;
  size_t tasks = 0;
  std::string zone;
  std::string rack;
};

// What the nodes carry, without the tasks that are yet to be placed.
std::map<model::NodeId, Load> loads_without(const World& world, model::ServiceId service,
                                            const std::set<model::TaskId>& without) {
  std::map<model::NodeId, Load> loads;
  world.store().each_node([&](const auto& node) {
    Load& load = loads[node->id];
    const auto label = [&](const char* key) {
      const auto it = node->spec.labels.find(key);
      return it == node->spec.labels.end() ? std::string() : it->second;
    };
    load.zone = label("zone");
    load.rack = label("rack");
  });
  world.store().each_task([&](const auto& task) {
    if (!task->node || without.count(task->id) != 0) return;
    Load& load = loads[task->node];
    const auto spec = world.store().spec_of(*task);
    if (spec->task.reservations) load.memory += spec->task.reservations->memory_bytes;
    ++load.tasks;
    load.of_service += task->service == service;
  });
  return loads;
}

// The node that the rule of the scheduler's header gives, none if no node fits.
model::NodeId by_the_rule(const World& world, const std::map<model::NodeId, Load>& loads,
                          const model::ServiceSpec& spec) {
  using Rank = std::tuple<size_t, size_t, size_t, size_t, model::NodeId>;
  const bool spreads = !spec.task.placement->spread_over.empty();
  std::optional<Rank> best;
  for (const auto& [id, load] : loads) {
    const auto node = world.store().node(id);
    if (spec.task.reservations && load.memory + spec.task.reservations->memory_bytes >
                                      node->description.resources.memory_bytes) {
      continue;
    }
    const uint64_t copies = spec.task.placement->max_replicas_per_node;
    if (copies != 0 && load.of_service >= copies) continue;
    size_t in_zone = 0;
    size_t in_rack = 0;
    for (const auto& [other, peer] : loads) {
      if (!spreads || peer.zone != load.zone) continue;
      in_zone += peer.of_service;
      if (peer.rack == load.rack) in_rack += peer.of_service;
    }
    const Rank rank{in_zone, in_rack, load.of_service, load.tasks, id};
    if (!best || rank < *best) best = rank;
  }
  return best ? std::get<model::NodeId>(*best) : model::NodeId();
}

}  // namespace

TEST_CASE("each task of a group goes to the node that the rule gives, for random clusters") {
  const uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 12; ++round) {
    World world(3 + random() % 9);
    for (size_t i = 0; world.nodes() > i; ++i) {
      REQUIRE(world.ask([&](store::Draft& draft) {
        const auto row = draft.node(world.node(i));
        model::NodeSpec spec = row->spec;
        if (random() % 4 != 0) spec.labels["zone"] = std::string(1, "abc"[random() % 3]);
        if (random() % 4 != 0) spec.labels["rack"] = std::string(1, "12"[random() % 2]);
        return planner::update_node(draft, row->id, row->meta.version, spec);
      }));
    }
    for (int service = 0; service < 6; ++service) {
      model::ServiceSpec spec = World::spec("s" + std::to_string(service), 1 + random() % 30);
      spec.task.placement.emplace();
      if (random() % 2 == 0) {
        spec.task.placement->spread_over = {"node.labels.zone", "node.labels.rack"};
      }
      if (random() % 3 == 0) spec.task.placement->max_replicas_per_node = 1 + random() % 3;
      if (random() % 3 == 0) {
        spec.task.reservations = model::Resources{0, int64_t{1 + int64_t(random() % 3)} << 30, 0};
      }
      const model::ServiceId id = world.create(spec);
      std::vector<store::Row<model::Task>> tasks = world.tasks(id);
      std::set<model::TaskId> to_place;
      for (const auto& task : tasks) to_place.insert(task->id);
      for (const auto& task : tasks) {  // in order of slot, as they were placed
        const model::NodeId expected = by_the_rule(world, loads_without(world, id, to_place), spec);
        REQUIRE(task->node == expected);
        to_place.erase(task->id);
      }
    }
  }
}
