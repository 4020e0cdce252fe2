// Full states and differences, and the queue of reports: the two pure parts of the session.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/agent/assignment_state.hpp"
#include "daemon/agent/status_queue.hpp"
#include "daemon/transport/node_rpc.pb.h"

using namespace skep;
using namespace skep::agent;

namespace {

constexpr model::ServiceId kService{{5, 5}};

rpc::AssignmentsItem item(bool full, uint64_t base, uint64_t generation) {
  rpc::AssignmentsItem made;
  made.set_full(full);
  made.set_base(base);
  made.set_generation(generation);
  return made;
}
void add_spec(rpc::AssignmentsItem& to, uint64_t version, const std::string& image) {
  rpc::AssignedSpec* spec = to.add_specs();
  spec->set_service(codec::encode_id(kService));
  spec->set_version(version);
  model::TaskSpec task;
  task.container.image = image;
  codec::encode(task, spec->mutable_spec());
  const model::Labels labels = {{"a", "b"}};
  codec::encode(labels, spec->mutable_service_labels());
}
void add_task(rpc::AssignmentsItem& to, uint64_t id, uint64_t version) {
  model::Task task;
  task.id = model::TaskId{{2, id}};
  task.service = kService;
  task.spec_version = version;
  task.node = model::NodeId{{1, 9}};
  codec::encode(task, to.add_upsert());
}
TaskReport report(uint64_t id, model::TaskState state) {
  TaskReport made;
  made.id = model::TaskId{{2, id}};
  made.status.state = state;
  return made;
}

}  // namespace

TEST_CASE("a full state and the differences after it make the next full states") {
  AssignmentState state;
  rpc::AssignmentsItem full = item(true, 0, 10);
  add_spec(full, 1, "httpd:1");
  add_task(full, 1, 1);
  add_task(full, 2, 1);
  REQUIRE(state.apply(full));
  REQUIRE(state.set().tasks.size() == 2);
  CHECK(state.set().tasks[0].spec == state.set().tasks[1].spec);
  CHECK(state.set().tasks[0].service_labels.at("a") == "b");

  rpc::AssignmentsItem next = item(false, 10, 11);
  add_spec(next, 2, "httpd:2");
  add_task(next, 3, 2);
  next.add_remove(codec::encode_id(model::TaskId{{2, 1}}));
  REQUIRE(state.apply(next));
  const AssignmentSet set = state.set();
  CHECK(set.generation == 11);
  REQUIRE(set.tasks.size() == 2);
  CHECK(set.tasks[0].task.id == model::TaskId{{2, 2}});
  CHECK(set.tasks[0].spec->container.image == "httpd:1");
  CHECK(set.tasks[1].spec->container.image == "httpd:2");

  REQUIRE(state.apply(item(true, 0, 3)));  // another manager, another count
  CHECK(state.set().tasks.empty());
}

TEST_CASE("a difference to another generation is a gap and changes nothing") {
  AssignmentState state;
  CHECK(state.apply(item(false, 0, 1)).error().kind == ErrorKind::conflict);
  rpc::AssignmentsItem full = item(true, 0, 10);
  add_spec(full, 1, "httpd:1");
  add_task(full, 1, 1);
  REQUIRE(state.apply(full));
  CHECK(state.apply(item(false, 11, 12)).error().kind == ErrorKind::conflict);
  CHECK(state.set().generation == 10);
  CHECK(state.set().tasks.size() == 1);
}

TEST_CASE("an item that can't be used is refused whole") {
  AssignmentState state;
  rpc::AssignmentsItem no_spec = item(true, 0, 1);
  add_task(no_spec, 1, 1);
  CHECK(state.apply(no_spec).error().kind == ErrorKind::invalid);
  rpc::AssignmentsItem bad_id = item(true, 0, 1);
  bad_id.add_remove("short");
  CHECK(state.apply(bad_id).error().kind == ErrorKind::invalid);
  CHECK(state.set().generation == 0);
}

TEST_CASE("the newest report of a task is kept until one is committed") {
  StatusQueue queue;
  CHECK_FALSE(queue.ready());
  queue.add({report(1, model::TaskState::preparing), report(2, model::TaskState::running)});
  queue.add({report(1, model::TaskState::running)});
  std::vector<TaskReport> batch = queue.take(100);
  REQUIRE(batch.size() == 2);
  CHECK(batch[0].status.state == model::TaskState::running);

  queue.add({report(1, model::TaskState::failed)});
  CHECK_FALSE(queue.ready());  // one batch at a time
  CHECK(queue.size() == 2);
  queue.failed();
  batch = queue.take(100);
  REQUIRE(batch.size() == 2);
  CHECK(batch[0].status.state == model::TaskState::failed);
  CHECK(batch[1].status.state == model::TaskState::running);
  queue.committed();
  CHECK(queue.size() == 0);
}

TEST_CASE("a batch is bounded") {
  StatusQueue queue;
  for (uint64_t i = 1; i <= 10; ++i) queue.add({report(i, model::TaskState::running)});
  CHECK(queue.take(4).size() == 4);
  queue.committed();
  CHECK(queue.size() == 6);
}
