// What a user may count on when services are made, scaled and moved, and nodes come and go.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <set>

#include "tests/unit/planner/world.hpp"

using namespace skep;
using namespace std::chrono_literals;
using model::NodeAvailability;
using model::TaskState;
using test::World;
using Spread = std::map<size_t, size_t>;

namespace {

std::vector<store::Row<model::Task>> in_slot(const World& world, model::ServiceId id,
                                             uint64_t slot) {
  std::vector<store::Row<model::Task>> out;
  for (const auto& task : world.tasks(id)) {
    if (task->slot == slot) out.push_back(task);
  }
  return out;
}

store::Row<model::Task> wanted_in_slot(const World& world, model::ServiceId id, uint64_t slot) {
  for (const auto& task : in_slot(world, id, slot)) {
    if (task->desired <= TaskState::running) return task;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("service create with its tasks and placements is one entry") {
  World world(3);
  const uint64_t before = world.entries();
  const model::ServiceId web = world.create("web", 50);
  CHECK(world.entries() == before + 1);
  CHECK(world.tasks(web).size() == 50);
  for (const auto& task : world.tasks(web)) CHECK(task->status.state == TaskState::assigned);
}

TEST_CASE("replicas are spread over all nodes, the manager among them") {
  World world(3);
  const model::ServiceId web = world.create("web", 5);
  const Spread spread = world.spread(web);
  CHECK(spread.size() == 3);
  for (const auto& [node, count] : spread) CHECK((count == 1 || count == 2));
}

TEST_CASE("slots are numbered from one and a missing number is filled first") {
  World world(2);
  const model::ServiceId web = world.create("web", 3);
  std::set<uint64_t> slots;
  for (const auto& task : world.tasks(web)) slots.insert(task->slot);
  CHECK(slots == std::set<uint64_t>{1, 2, 3});
}

TEST_CASE("scaling down takes from the fullest nodes and keeps the spread even") {
  World world(3);
  const model::ServiceId web = world.create("web", 5);
  world.agents_obey();
  REQUIRE(world.scale(web, 3));
  CHECK(world.spread(web) == Spread{{0, 1}, {1, 1}, {2, 1}});
  world.agents_obey();
  CHECK(world.tasks(web).size() == 3);
}

TEST_CASE("scaling to zero leaves no task once the nodes have stopped them") {
  World world(3);
  const model::ServiceId web = world.create("web", 4);
  world.agents_obey();
  REQUIRE(world.scale(web, 0));
  CHECK(world.tasks(web).size() == 4);
  world.agents_obey();
  CHECK(world.tasks(web).empty());
}

TEST_CASE("a removed service is gone at once and its tasks go when they have stopped") {
  World world(3);
  const model::ServiceId web = world.create("web", 4);
  world.agents_obey();
  REQUIRE(world.ask([&](store::Draft& d) { return planner::remove_service(d, web); }));
  CHECK(world.store().service(web) == nullptr);
  CHECK(world.store().service_by_name("web") == nullptr);
  CHECK(world.tasks(web).size() == 4);
  world.agents_obey();
  CHECK(world.tasks(web).empty());
  CHECK(world.store().spec({web, 1}) == nullptr);
}

TEST_CASE("a name that is taken is refused, whatever its case, and nothing is made") {
  World world(1);
  world.create("web", 1);
  const uint64_t before = world.entries();
  const auto again = world.ask([&](store::Draft& d) {
    return planner::create_service(d, World::spec("WEB", 1), world.ids());
  });
  REQUIRE_FALSE(again);
  CHECK(again.error().kind == ErrorKind::conflict);
  CHECK(again.error().message.find("already exists") != std::string::npos);
  CHECK(world.entries() == before);
}

TEST_CASE("two creates of one name in one batch give one service") {
  World world(1);
  world.ask([&](store::Draft& d) {
    CHECK(planner::create_service(d, World::spec("web", 1), world.ids()));
    CHECK_FALSE(planner::create_service(d, World::spec("Web", 1), world.ids()));
    return 0;
  });
}

TEST_CASE("an update with an old version is out of sequence") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  const Status late = world.ask([&](store::Draft& d) {
    return planner::update_service(d, web, d.service(web)->meta.version - 1, World::spec("web", 2));
  });
  REQUIRE_FALSE(late);
  CHECK(late.error().message == "update out of sequence");
  CHECK(late.error().kind == ErrorKind::conflict);
}

TEST_CASE("the second of two updates in one batch is out of sequence") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  world.ask([&](store::Draft& d) {
    const uint64_t version = d.service(web)->meta.version;
    CHECK(planner::update_service(d, web, version, World::spec("web", 2)));
    CHECK_FALSE(planner::update_service(d, web, version, World::spec("web", 3)));
    return 0;
  });
  CHECK(world.tasks(web).size() == 2);
}

TEST_CASE("the tasks of a node that died run elsewhere without any delay") {
  World world(3);
  const model::ServiceId web = world.create("web", 6);
  world.agents_obey();
  const uint64_t before = world.entries();
  world.lose(1);
  CHECK(world.entries() == before + 1);
  CHECK(world.spread(web) == Spread{{0, 3}, {2, 3}});
  for (const auto& task : world.tasks(web)) {
    if (task->node != world.node(1)) CHECK(task->desired == TaskState::running);
  }
  world.agents_obey();
  CHECK(world.running(web) == 6);
}

TEST_CASE("nothing is moved back to a node that returns, and its old tasks are told to stop") {
  World world(3);
  const model::ServiceId web = world.create("web", 6);
  world.agents_obey();
  world.lose(1);
  world.agents_obey();
  world.regain(1);
  CHECK(world.spread(web) == Spread{{0, 3}, {2, 3}});
  world.agents_obey();
  for (const auto& task : world.tasks(web)) {
    if (task->node == world.node(1)) CHECK(task->status.state == TaskState::shutdown);
  }
}

TEST_CASE("a drained node loses its tasks and gets no new one") {
  World world(3);
  const model::ServiceId web = world.create("web", 3);
  world.agents_obey();
  REQUIRE(world.set_availability(0, NodeAvailability::drain));
  CHECK(world.spread(web).count(0) == 0);
  world.agents_obey();  // the old one stops: its successor is released
  world.agents_obey();
  CHECK(world.running(web) == 3);
  REQUIRE(world.scale(web, 9));
  CHECK(world.spread(web).count(0) == 0);
  REQUIRE(world.set_availability(0, NodeAvailability::active));
  REQUIRE(world.scale(web, 12));
  CHECK(world.spread(web).at(0) == 3);
}

TEST_CASE("the successor of a drained task waits until the old one has stopped") {
  World world(2);
  const model::ServiceId web = world.create("web", 1);
  world.agents_obey();
  const store::Row<model::Task> old = wanted_in_slot(world, web, 1);
  const size_t where = old->node == world.node(0) ? 0 : 1;
  REQUIRE(world.set_availability(where, NodeAvailability::drain));
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::ready);
  world.report(*old, TaskState::shutdown);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::running);
}

TEST_CASE("the successor of a task that never stops starts after a minute") {
  World world(2);
  const model::ServiceId web = world.create("web", 1);
  world.agents_obey();
  const store::Row<model::Task> old = wanted_in_slot(world, web, 1);
  REQUIRE(world.set_availability(old->node == world.node(0) ? 0 : 1, NodeAvailability::drain));
  world.pass(59s);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::ready);
  world.pass(2s);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::running);
}

TEST_CASE("a paused node keeps its tasks and gets no new one") {
  World world(2);
  const model::ServiceId web = world.create("web", 2);
  world.agents_obey();
  REQUIRE(world.set_availability(0, NodeAvailability::pause));
  CHECK(world.running(web) == 2);
  REQUIRE(world.scale(web, 5));
  CHECK(world.spread(web) == Spread{{0, 1}, {1, 4}});
}

TEST_CASE("a node that can start nothing keeps its tasks and gets none until it can again") {
  World world(2);
  const model::ServiceId web = world.create("web", 2);
  world.agents_obey();
  const auto say = [&](std::string trouble) {
    return world.ask([&](store::Draft& draft) {
      model::NodeDescription description = draft.node(world.node(0))->description;
      description.takes_no_tasks = !trouble.empty();
      description.trouble = std::move(trouble);
      return planner::node_ready(draft, world.node(0), description, "10.77.0.1");
    });
  };
  REQUIRE(say("driver r is unhealthy"));
  world.ask([&](store::Draft& draft) {
    CHECK(draft.node(world.node(0))->status.message == "driver r is unhealthy");
    CHECK(draft.node(world.node(0))->status.state == model::NodeState::ready);
    return 0;
  });
  CHECK(world.running(web) == 2);
  REQUIRE(world.scale(web, 5));
  CHECK(world.spread(web) == Spread{{0, 1}, {1, 4}});
  REQUIRE(world.set_availability(1, NodeAvailability::pause));
  REQUIRE(world.scale(web, 6));
  CHECK(wanted_in_slot(world, web, 6)->status.error ==
        "no suitable node (2 nodes not available for new tasks)");
  REQUIRE(say(""));
  CHECK(world.spread(web) == Spread{{0, 2}, {1, 4}});
}

TEST_CASE("a task that fails is replaced in its slot after the restart delay") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  world.agents_obey();
  world.report(*wanted_in_slot(world, web, 1), TaskState::failed);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::ready);
  world.pass(4900ms);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::ready);
  world.pass(200ms);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::running);
  CHECK(in_slot(world, web, 1).size() == 2);
}

TEST_CASE("a task that can't even be prepared is tried again once per restart delay") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  world.report(*wanted_in_slot(world, web, 1), TaskState::rejected);
  for (int attempt = 0; attempt < 3; ++attempt) {
    const store::Row<model::Task> held = wanted_in_slot(world, web, 1);
    REQUIRE(held->desired == TaskState::ready);
    const size_t made = in_slot(world, web, 1).size();
    world.report(*held, TaskState::rejected);
    CHECK(in_slot(world, web, 1).size() == made);
    world.pass(4900ms);
    CHECK(in_slot(world, web, 1).size() == made);
    world.forget_and_replan();
    CHECK(in_slot(world, web, 1).size() == made);
    world.pass(200ms);
    CHECK(wanted_in_slot(world, web, 1)->id != held->id);
  }
}

TEST_CASE("a successor that is moved before it began still waits for the task that runs") {
  World world(3);
  const model::ServiceId web = world.create("web", 1);
  world.agents_obey();
  const auto drain_node_of = [&](const model::Task& task) {
    for (size_t i = 0; i < 3; ++i) {
      if (world.node(i) == task.node) {
        REQUIRE(world.set_availability(i, NodeAvailability::drain));
      }
    }
  };
  const store::Row<model::Task> first = wanted_in_slot(world, web, 1);
  drain_node_of(*first);
  const store::Row<model::Task> second = wanted_in_slot(world, web, 1);
  drain_node_of(*second);
  world.report(*second, TaskState::shutdown);
  const store::Row<model::Task> third = wanted_in_slot(world, web, 1);
  REQUIRE(third->id != second->id);
  CHECK(third->desired == TaskState::ready);
  world.report(*first, TaskState::shutdown);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::running);
}

TEST_CASE("a spec that no entry could carry is refused before anything is made") {
  World world(1);
  model::ServiceSpec spec = World::spec("web", 1);
  spec.task.container.env.push_back("BIG=" + std::string(planner::kRowBytesMax, 'x'));
  const auto made = world.ask(
      [&](store::Draft& draft) { return planner::create_service(draft, spec, world.ids()); });
  REQUIRE_FALSE(made);
  CHECK(made.error().kind == ErrorKind::too_large);
  CHECK(world.store().service_by_name("web") == nullptr);
}

TEST_CASE("a node reports only states that are its own, in sentences of bounded length") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  const auto report = [&](TaskState state, const std::string& error) {
    world.ask([&](store::Draft& draft) {
      model::TaskStatus status;
      status.state = state;
      status.error = error;
      const auto task = wanted_in_slot(world, web, 1);
      planner::report_status(draft, task->node, {{task->id, status}}, world.now());
      return 0;
    });
  };
  report(TaskState::orphaned, "");
  report(TaskState::remove, "");
  CHECK(wanted_in_slot(world, web, 1)->status.state == TaskState::assigned);
  // The limit falls into the middle of a two-byte character.
  std::string error = "x";
  while (error.size() <= planner::kReportTextMax) error += "\xc3\xa9";
  report(TaskState::preparing, error);
  CHECK(wanted_in_slot(world, web, 1)->status.error.size() == planner::kReportTextMax - 1);
}

TEST_CASE("restart condition none leaves the slot as it ended") {
  World world(1);
  model::ServiceSpec spec = World::spec("once", 1);
  spec.task.restart = model::RestartPolicy{model::RestartCondition::none};
  const model::ServiceId once = world.create(spec);
  world.agents_obey();
  world.report(*wanted_in_slot(world, once, 1), TaskState::failed);
  world.pass(10min);
  CHECK(in_slot(world, once, 1).size() == 1);
}

TEST_CASE("restart condition on-failure restarts a failure and not a completion") {
  World world(1);
  model::ServiceSpec spec = World::spec("batch", 2);
  spec.task.restart = model::RestartPolicy{model::RestartCondition::on_failure, 0s};
  const model::ServiceId batch = world.create(spec);
  world.agents_obey();
  world.report(*wanted_in_slot(world, batch, 1), TaskState::complete);
  world.report(*wanted_in_slot(world, batch, 2), TaskState::failed);
  CHECK(wanted_in_slot(world, batch, 1) == nullptr);
  CHECK(wanted_in_slot(world, batch, 2) != nullptr);
}

TEST_CASE("max attempts bounds the restarts of a slot") {
  World world(1);
  model::ServiceSpec spec = World::spec("flaky", 1);
  spec.task.restart = model::RestartPolicy{model::RestartCondition::any, 0s, 3, 0s};
  const model::ServiceId flaky = world.create(spec);
  int starts = 0;
  while (const auto task = wanted_in_slot(world, flaky, 1)) {
    REQUIRE(++starts < 10);
    world.pass(1s);
    world.report(*task, TaskState::failed);
  }
  CHECK(starts == 4);
}

TEST_CASE("the history of a slot keeps five ended tasks") {
  World world(1);
  model::ServiceSpec spec = World::spec("web", 1);
  spec.task.restart = model::RestartPolicy{model::RestartCondition::any, 0s};
  const model::ServiceId web = world.create(spec);
  for (int i = 0; i < 9; ++i) {
    world.pass(1s);
    world.report(*wanted_in_slot(world, web, 1), TaskState::failed);
  }
  CHECK(in_slot(world, web, 1).size() == 6);
}

TEST_CASE("a constraint that no node meets leaves the task pending with the reason") {
  World world(3);
  model::ServiceSpec spec = World::spec("web", 1);
  spec.task.placement = model::Placement{{"node.labels.disk==ssd"}};
  const model::ServiceId web = world.create(spec);
  const auto task = wanted_in_slot(world, web, 1);
  CHECK(task->status.state == TaskState::pending);
  CHECK(task->status.error == "no suitable node (scheduling constraints not satisfied on 3 nodes)");
}

TEST_CASE("a task is placed where the drivers of its volumes are, and waits where they are not") {
  World world(3);
  model::ServiceSpec spec = World::spec("db", 1);
  model::Mount mount;
  mount.source = "data";
  mount.target = "/data";
  mount.volume = model::VolumeOptions();
  mount.volume->driver = model::VolumeDriverConfig{"nfs", {}};
  spec.task.container.mounts = {mount};
  const model::ServiceId db = world.create(spec);
  CHECK(wanted_in_slot(world, db, 1)->status.state == TaskState::pending);
  CHECK(wanted_in_slot(world, db, 1)->status.error ==
        "no suitable node (missing plugin on 3 nodes)");
  for (const auto& [type, name, placed] :
       {std::tuple{"Network", "nfs", false}, std::tuple{"Volume", "nfs:latest", true}}) {
    world.ask([&, type = type, name = name](store::Draft& draft) {
      model::Node node = *draft.node(world.node(1));
      node.description.plugins = {{type, name}};
      draft.put(node);
      return Status();
    });
    CHECK((world.spread(db) == Spread{{1, 1}}) == placed);
  }

  // Every node has the local driver, whatever it says.
  for (const char* local : {"", "local", "volume-local"}) {
    spec = World::spec(std::string("any") + local, 3);
    mount.volume->driver->name = local;
    spec.task.container.mounts = {mount};
    CHECK(world.spread(world.create(spec)) == Spread{{0, 1}, {1, 1}, {2, 1}});
  }
}

TEST_CASE("who comes is placed though others wait, and those when their node changes") {
  World world(2);
  model::ServiceSpec spec = World::spec("waits", 2);
  spec.task.placement = model::Placement{{"node.labels.disk==ssd"}};
  const model::ServiceId waits = world.create(spec);
  const model::ServiceId comes = world.create("comes", 2);
  CHECK(world.spread(comes) == Spread{{0, 1}, {1, 1}});
  CHECK(wanted_in_slot(world, waits, 1)->status.state == TaskState::pending);
  // One that is scaled up while it waits has slots that were tried and one that was not.
  REQUIRE(world.scale(waits, 3));
  CHECK(wanted_in_slot(world, waits, 3)->status.error ==
        wanted_in_slot(world, waits, 1)->status.error);
  REQUIRE(world.ask([&](store::Draft& draft) -> Status {
    model::Node labelled = *draft.node(world.node(1));
    labelled.spec.labels["disk"] = "ssd";
    draft.put(labelled);
    return {};
  }));
  CHECK(world.spread(waits) == Spread{{1, 3}});
}

TEST_CASE("a pending task is placed as soon as a node meets its constraint") {
  World world(3);
  model::ServiceSpec spec = World::spec("web", 2);
  spec.task.placement = model::Placement{{"node.labels.disk==ssd"}};
  const model::ServiceId web = world.create(spec);
  const Status labelled = world.ask([&](store::Draft& d) {
    const auto row = d.node(world.node(2));
    model::NodeSpec changed = row->spec;
    changed.labels["disk"] = "ssd";
    return planner::update_node(d, row->id, row->meta.version, changed);
  });
  REQUIRE(labelled);
  CHECK(world.spread(web) == Spread{{2, 2}});
}

TEST_CASE("tasks leave a node that no longer meets their constraint") {
  World world(2);
  for (size_t i = 0; i < 2; ++i) {
    REQUIRE(world.ask([&](store::Draft& d) {
      const auto row = d.node(world.node(i));
      model::NodeSpec changed = row->spec;
      changed.labels["zone"] = "a";
      return planner::update_node(d, row->id, row->meta.version, changed);
    }));
  }
  model::ServiceSpec spec = World::spec("web", 2);
  spec.task.placement = model::Placement{{"node.labels.zone==a"}};
  const model::ServiceId web = world.create(spec);
  world.agents_obey();
  REQUIRE(world.ask([&](store::Draft& d) {
    const auto row = d.node(world.node(1));
    model::NodeSpec changed = row->spec;
    changed.labels.clear();
    return planner::update_node(d, row->id, row->meta.version, changed);
  }));
  CHECK(world.spread(web) == Spread{{0, 2}});
}

TEST_CASE("reservations are honoured and the refusal says so") {
  World world(2);
  model::ServiceSpec spec = World::spec("big", 5);
  spec.task.reservations = model::Resources{0, int64_t{3} << 30, 0};
  const model::ServiceId big = world.create(spec);
  CHECK(world.spread(big) == Spread{{0, 2}, {1, 2}});
  CHECK(wanted_in_slot(world, big, 5)->status.error ==
        "no suitable node (insufficient resources on 2 nodes)");
}

TEST_CASE("freed resources let a pending task in") {
  World world(1);
  model::ServiceSpec spec = World::spec("big", 1);
  spec.task.reservations = model::Resources{0, int64_t{6} << 30, 0};
  const model::ServiceId first = world.create(spec);
  spec.name = "second";
  const model::ServiceId second = world.create(spec);
  world.agents_obey();
  CHECK(wanted_in_slot(world, second, 1)->status.state == TaskState::pending);
  REQUIRE(world.scale(first, 0));
  world.agents_obey();
  CHECK(wanted_in_slot(world, second, 1)->status.state >= TaskState::assigned);
}

TEST_CASE("no more replicas per node than the limit") {
  World world(2);
  model::ServiceSpec spec = World::spec("web", 5);
  spec.task.placement = model::Placement{{}, {}, 2};
  const model::ServiceId web = world.create(spec);
  CHECK(world.spread(web) == Spread{{0, 2}, {1, 2}});
  CHECK(wanted_in_slot(world, web, 5)->status.error ==
        "no suitable node (max replicas per node limit exceed)");
}

TEST_CASE("an observed state never goes back") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  world.agents_obey();
  const auto task = wanted_in_slot(world, web, 1);
  world.report(*task, TaskState::preparing);
  CHECK(wanted_in_slot(world, web, 1)->status.state == TaskState::running);
}

TEST_CASE("a report for a task of another node is ignored") {
  World world(2);
  const model::ServiceId web = world.create("web", 1);
  const auto task = wanted_in_slot(world, web, 1);
  model::Task forged = *task;
  forged.node = task->node == world.node(0) ? world.node(1) : world.node(0);
  world.report(forged, TaskState::failed);
  CHECK(wanted_in_slot(world, web, 1)->status.state == TaskState::assigned);
}

TEST_CASE(
    "a node that is not down is removed by force only, and its tasks are orphaned and moved") {
  World world(3);
  const model::ServiceId web = world.create("web", 3);
  world.agents_obey();
  const auto remove = [&](bool force) {
    return world.ask([&](store::Draft& d) {
      return planner::remove_node(d, world.node(1), force, world.now());
    });
  };
  REQUIRE_FALSE(remove(false));
  REQUIRE(remove(true));
  CHECK(world.store().node(world.node(1)) == nullptr);
  CHECK(world.store().cluster()->blocked_nodes.size() == 1);
  CHECK(world.spread(web).count(1) == 0);
  CHECK(world.spread(web)[0] + world.spread(web)[2] == 3);
}

TEST_CASE("tasks of a removed service on a dead node are forgotten") {
  World world(2);
  const model::ServiceId web = world.create("web", 2);
  world.agents_obey();
  world.lose(1);
  world.agents_obey();
  REQUIRE(world.ask([&](store::Draft& d) { return planner::remove_service(d, web); }));
  world.agents_obey();
  CHECK(world.tasks(web).empty());
}

TEST_CASE("a planner that starts anew from the store decides nothing new in a settled cluster") {
  World world(3);
  world.create("web", 5);
  world.agents_obey();
  const uint64_t before = world.entries();
  world.forget_and_replan();
  CHECK(world.entries() == before);
}

TEST_CASE("a planner that starts anew goes on with what was waiting") {
  World world(1);
  const model::ServiceId web = world.create("web", 1);
  world.agents_obey();
  world.report(*wanted_in_slot(world, web, 1), TaskState::failed);
  world.forget_and_replan();
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::ready);
  world.pass(6s);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::running);
}

TEST_CASE("the successor of a drained task starts when the node that still ran the old one dies") {
  World world(3);
  const model::ServiceId web = world.create("web", 1);
  world.agents_obey();
  const store::Row<model::Task> old = wanted_in_slot(world, web, 1);
  size_t where = 0;
  while (world.node(where) != old->node) ++where;
  REQUIRE(world.set_availability(where, NodeAvailability::drain));
  REQUIRE(wanted_in_slot(world, web, 1)->desired == TaskState::ready);
  world.lose(where);
  CHECK(wanted_in_slot(world, web, 1)->desired == TaskState::running);
}
