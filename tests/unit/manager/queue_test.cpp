// The one queue on a log in memory: what is one entry, what shares one, and what a bad disk does to
// callers.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/queue.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <catch2/catch.hpp>

#include "core/planner/requests.hpp"
#include "core/store/state_codec.hpp"
#include "core/store/transaction_codec.hpp"
#include "daemon/base/random_ids.hpp"
#include "tests/unit/manager/memory_log.hpp"

using namespace skep;
using manager::Disk;
using manager::MemoryLog;
namespace asio = boost::asio;

namespace {

// A manager without a port: the queue, its loop, and a cluster of one ready node.
class Bench {
 public:
  explicit Bench(Disk& disk) : disk_(disk) {
    if (disk.content.snapshot.at.configuration.voters.empty()) {
      disk.content.identity = {model::ClusterId{ids.next()}, model::NodeId{ids.next()},
                               raft::RaftId{1}, raft::Incarnation{1}};
      disk.content.snapshot.at.configuration = raft::Configuration{{raft::RaftId{1}}, {}};
    }
    manager::Queue::Events events;
    // A listener that reads the store it is told of, as the manager does. Once a restart replayed
    // its log before open() had returned the queue, and a scaled service crashed the daemon.
    events.applied = [this](const store::Applied& change) {
      ++applied;
      REQUIRE(queue);
      CHECK(queue->store().applied_index() == change.version);
    };
    events.leading = [] {};
    events.broken = [this](const Error&) { broke = true; };
    auto opened = manager::Queue::open(loop, std::make_unique<MemoryLog>(disk), disk.content, ids,
                                       std::move(events));
    REQUIRE(opened);
    queue = std::move(*opened);
    queue->start();
    run_until([&] { return queue->leading(); });
  }
  ~Bench() {
    queue->stop();
    loop.restart();
    loop.poll();
  }

  template <class Condition>
  void run_until(Condition done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    loop.restart();
    // A loop without work of its own would stop, and not hear what the storage thread posts.
    const auto work = asio::make_work_guard(loop);
    while (!done()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      loop.run_one_for(std::chrono::milliseconds(100));
    }
  }

  // Submits all at once and waits for every answer.
  std::vector<Status> ask(std::vector<manager::Queue::Request> requests) {
    std::vector<std::optional<Status>> answers(requests.size());
    size_t answered = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      asio::co_spawn(
          loop,
          [&, i, request = requests[i]]() -> asio::awaitable<void> {
            answers[i] = co_await queue->submit(request);
            ++answered;
          },
          asio::detached);
    }
    run_until([&] { return answered == requests.size(); });
    std::vector<Status> out;
    for (const auto& answer : answers) out.push_back(*answer);
    return out;
  }

  // The same for requests with an id.
  struct Once {
    model::RequestId id;
    manager::Queue::Asked request;
  };
  std::vector<Result<std::string>> ask_once(std::vector<Once> requests) {
    std::vector<std::optional<Result<std::string>>> answers(requests.size());
    size_t answered = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      asio::co_spawn(
          loop,
          [&, i, once = requests[i]]() -> asio::awaitable<void> {
            answers[i] = co_await queue->submit_once(once.id, once.request);
            ++answered;
          },
          asio::detached);
    }
    run_until([&] { return answered == requests.size(); });
    std::vector<Result<std::string>> out;
    for (const auto& answer : answers) out.push_back(*answer);
    return out;
  }
  // Makes a service and is answered with its id.
  Once create_once(uint64_t number, const std::string& name) {
    return {{{9, number}}, [this, name](store::Draft& draft) -> Result<std::string> {
              ++executed;
              model::ServiceSpec spec;
              spec.name = name;
              spec.task.container.image = "httpd:2.4.34";
              SKEP_TRY_ASSIGN(const model::ServiceId made,
                              planner::create_service(draft, spec, ids));
              return made.str();
            }};
  }

  void found() {
    const Status founded = ask({[&](store::Draft& draft) {
      model::Cluster cluster;
      cluster.id = disk_.content.identity.cluster;
      model::Node node;
      node.id = disk_.content.identity.node;
      node.role = node.spec.role = model::NodeRole::manager;
      planner::found_cluster(draft, cluster, node, model::NetworkId{ids.next()});
      model::NodeDescription description;
      description.hostname = "node1";
      return planner::node_ready(draft, node.id, description, "127.0.0.1");
    }})[0];
    REQUIRE(founded);
  }

  manager::Queue::Request create(const std::string& name, uint64_t replicas) {
    return [this, name, replicas](store::Draft& draft) -> Status {
      model::ServiceSpec spec;
      spec.name = name;
      spec.replicas = replicas;
      spec.task.container.image = "httpd:2.4.34";
      SKEP_TRY(planner::create_service(draft, spec, ids));
      return {};
    };
  }

  asio::io_context loop;
  base::RandomIds ids;
  std::unique_ptr<manager::Queue> queue;
  size_t applied = 0;
  size_t executed = 0;  // requests with an id
  bool broke = false;

 private:
  Disk& disk_;
};

}  // namespace

TEST_CASE("service create with fifty tasks and their placements is one raft entry and one flush") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  const size_t entries = disk.normal_entries();
  const size_t persists = disk.persists;
  CHECK(bench.ask({bench.create("web", 50)})[0]);
  CHECK(disk.normal_entries() == entries + 1);
  CHECK(disk.persists == persists + 1);
  size_t assigned = 0;
  bench.queue->store().each_task(
      [&](const auto& task) { assigned += task->status.state == model::TaskState::assigned; });
  CHECK(assigned == 50);
}

TEST_CASE("requests that come together share one entry, and each gets its own answer") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  const size_t entries = disk.normal_entries();
  const auto answers =
      bench.ask({bench.create("a", 1), bench.create("b", 1), bench.create("A", 1)});
  CHECK(answers[0]);
  CHECK(answers[1]);
  REQUIRE_FALSE(answers[2]);
  CHECK(answers[2].error().kind == ErrorKind::conflict);
  CHECK(disk.normal_entries() == entries + 1);
}

TEST_CASE("a request that changes nothing costs no entry") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  const size_t entries = disk.normal_entries();
  CHECK(bench.ask({[](store::Draft&) { return Status{}; }})[0]);
  CHECK(disk.normal_entries() == entries);
}

TEST_CASE(
    "a decision over a mebibyte is committed as several entries, each with its spec in place") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  const size_t entries = disk.normal_entries();
  CHECK(bench.ask({bench.create("big", 20'000)})[0]);
  CHECK(disk.normal_entries() > entries + 1);
  CHECK(bench.queue->store().task_count() == 20'000);
  bench.queue->store().each_task([&](const auto& task) {
    if (!bench.queue->store().spec_of(*task)) FAIL("a task without its spec");
  });
}

TEST_CASE("a restart finds everything that was acknowledged") {
  Disk disk;
  {
    Bench bench(disk);
    bench.found();
    CHECK(bench.ask({bench.create("web", 3)})[0]);
  }
  Bench again(disk);
  again.run_until([&] { return again.queue->store().service_by_name("web") != nullptr; });
  CHECK(again.queue->store().task_count() == 3);
}

TEST_CASE("a restart from a snapshot and the entries after it finds everything") {
  Disk disk;
  {
    Bench bench(disk);
    bench.found();
    REQUIRE(bench.ask({[](store::Draft& draft) {
      model::Cluster cluster = *draft.cluster();
      cluster.spec.snapshot_interval = 5;
      cluster.spec.log_entries_for_slow_followers = 0;
      draft.put(cluster);
      return Status{};
    }})[0]);
    for (int i = 0; i < 12; ++i) {
      REQUIRE(bench.ask({bench.create("s" + std::to_string(i), 1)})[0]);
    }
    bench.run_until([&] {
      const std::lock_guard lock(disk.mutex);
      return disk.content.snapshot.at.index.value >= 10;
    });
    REQUIRE(bench.ask({bench.create("after", 1)})[0]);
  }
  Bench again(disk);
  again.run_until([&] { return again.queue->store().service_by_name("after") != nullptr; });
  CHECK(again.queue->store().task_count() == 13);
  CHECK(again.queue->store().service_by_name("s0") != nullptr);
}

// The state is never on the disk by itself: it is a snapshot, which carries its index, and the log
// behind it. So the marker and the data can differ only if a snapshot is not of the index it says.
// Each one is looked at on the disk, where the process might have been killed, while requests go
// on. Guard: maybe_snapshot names the index of the very state that it hands over.
TEST_CASE("a snapshot holds what the entries up to its index made, to the byte (trap 1)") {
  Disk disk;
  std::string last;
  size_t looked_at = 0;
  {
    Bench bench(disk);
    bench.found();
    REQUIRE(bench.ask({[](store::Draft& draft) {
      model::Cluster cluster = *draft.cluster();
      cluster.spec.snapshot_interval = 3;
      cluster.spec.log_entries_for_slow_followers = 10'000;
      draft.put(cluster);
      return Status{};
    }})[0]);
    raft::Index seen;
    for (int i = 0; i < 60; ++i) {
      REQUIRE(bench.ask({bench.create("s" + std::to_string(i), 2)})[0]);
      // The disk may be far behind the requests; each tenth of them waits for it.
      const auto kept_up = [&] {
        const std::lock_guard lock(disk.mutex);
        return disk.content.snapshot.at.index.value + 6 > bench.queue->store().applied_index();
      };
      if (i % 10 == 9) bench.run_until(kept_up);
      const std::lock_guard lock(disk.mutex);
      const storage::Snapshot& made = disk.content.snapshot;
      if (made.at.index == seen) continue;
      seen = made.at.index;
      store::Store replayed;
      for (const raft::Entry& entry : disk.content.entries) {
        if (entry.kind != raft::EntryKind::normal || entry.index > seen) continue;
        replayed.apply(entry.index.value, store::decode_transaction(*entry.bytes).value());
      }
      CHECK(store::encode(replayed.dump()) == made.state);
      ++looked_at;
    }
    last = store::encode(bench.queue->store().dump());
  }
  CHECK(looked_at >= 5);
  // Killed between any two steps, it comes back to the same: snapshot, then the entries above it.
  Bench again(disk);
  again.run_until([&] { return again.queue->store().service_by_name("s59") != nullptr; });
  CHECK(store::encode(again.queue->store().dump()) == last);
}

TEST_CASE("a failed flush acknowledges nothing: the caller is told, and so is everyone after him") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  {
    const std::lock_guard lock(disk.mutex);
    disk.fails = true;
  }
  const auto answers = bench.ask({bench.create("web", 1)});
  REQUIRE_FALSE(answers[0]);
  CHECK(answers[0].error().kind == ErrorKind::unknown_outcome);
  CHECK(bench.queue->store().service_by_name("web") == nullptr);
  bench.run_until([&] { return bench.broke; });
  CHECK_FALSE(bench.queue->leading());
  const auto later = bench.ask({bench.create("next", 1)});
  REQUIRE_FALSE(later[0]);
  CHECK(later[0].error().message.find("the disk is gone") != std::string::npos);
}

TEST_CASE("who comes while a flush fails is answered as well") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  {
    const std::lock_guard lock(disk.mutex);
    disk.fails = true;
  }
  std::optional<Status> second;
  const auto answers = bench.ask({[&](store::Draft& draft) -> Status {
    // Asked while the first is being laid on its draft: it has to wait for the next one.
    asio::co_spawn(
        bench.loop,
        [&]() -> asio::awaitable<void> {
          second = co_await bench.queue->submit([](store::Draft&) { return Status{}; });
        },
        asio::detached);
    return bench.create("web", 1)(draft);
  }});
  REQUIRE_FALSE(answers[0]);
  bench.run_until([&] { return second.has_value(); });
  CHECK_FALSE(second->has_value());
}

TEST_CASE("a change that no entry can hold is refused whole, and the queue goes on") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  const size_t entries = disk.normal_entries();
  const auto answers = bench.ask({[&](store::Draft& draft) {
    model::ServiceSpec spec;
    spec.name = "huge";
    spec.replicas = 2;
    spec.task.container.image = std::string(raft::kEntryBytesMax, 'x');
    model::Service service;
    service.id = model::ServiceId{bench.ids.next()};
    service.name = "huge";
    draft.put_spec({service.id, 1}, spec);
    draft.put(service);
    return Status{};
  }});
  REQUIRE_FALSE(answers[0]);
  CHECK(answers[0].error().kind == ErrorKind::exhausted);
  CHECK(disk.normal_entries() == entries);
  CHECK(bench.queue->store().task_count() == 0);
  CHECK(bench.ask({bench.create("web", 1)})[0]);
}

TEST_CASE("the cluster's time goes on from the last entry though the clock was set back") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  // A log whose last entry was written an hour ahead of what the clock says now.
  const model::WallTime ahead = bench.queue->now() + std::chrono::hours(1);
  const size_t index = disk.content.entries.back().index.value + 1;
  Disk later;
  later.content = disk.content;
  store::Transaction transaction{ahead, {store::upsert(*bench.queue->store().cluster())}, {}};
  later.content.entries.push_back(
      {later.content.hard_state.term, raft::Index{index}, raft::EntryKind::normal,
       std::make_shared<const std::string>(store::encode(transaction))});
  Bench again(later);
  again.run_until([&] { return again.queue->store().applied_index() >= index; });
  const model::WallTime first = again.queue->now();
  CHECK(first >= ahead);
  CHECK(first < ahead + std::chrono::minutes(5));
  CHECK(again.queue->now() > first);
}

TEST_CASE("a request that is asked again with its id is answered the same and done once") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  const auto first = bench.ask_once({bench.create_once(1, "web")});
  REQUIRE(first[0]);
  CHECK(bench.queue->store().service_by_name("web")->id.str() == *first[0]);
  const size_t entries = disk.normal_entries();
  const auto again = bench.ask_once({bench.create_once(1, "web")});
  CHECK(again[0] == first[0]);
  CHECK(bench.executed == 1);
  CHECK(disk.normal_entries() == entries);
}

TEST_CASE("a request that is asked again while it is on its way joins the wait of the first") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  std::optional<Result<std::string>> later;
  auto slow = bench.create_once(1, "web");
  const auto inner = slow.request;
  slow.request = [&](store::Draft& draft) {
    // Asked while the first is being laid on its draft; the answer comes when that is committed.
    asio::co_spawn(
        bench.loop,
        [&]() -> asio::awaitable<void> {
          const auto once = bench.create_once(1, "web");
          later = co_await bench.queue->submit_once(once.id, once.request);
        },
        asio::detached);
    return inner(draft);
  };
  const auto answers = bench.ask_once({slow, bench.create_once(1, "web")});
  bench.run_until([&] { return later.has_value(); });
  REQUIRE(answers[0]);
  CHECK(answers[1] == answers[0]);
  CHECK(*later == answers[0]);
  CHECK(bench.executed == 1);
}

TEST_CASE("a refused request is not remembered: asked again, it is judged again") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  REQUIRE(bench.ask_once({bench.create_once(1, "web")})[0]);
  const size_t entries = disk.normal_entries();
  const auto refused = bench.ask_once({bench.create_once(2, "web"), bench.create_once(2, "web")});
  for (const auto& answer : refused) {
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::conflict);
  }
  CHECK(disk.normal_entries() == entries);
  CHECK(bench.queue->store().answered({{9, 2}}) == nullptr);
  CHECK(bench.ask_once({bench.create_once(2, "other")})[0]);
}

TEST_CASE("a request with an id that changes nothing is remembered all the same") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  const auto nothing = [](store::Draft&) -> Result<std::string> { return std::string("done"); };
  CHECK(bench.ask_once({{{{9, 1}}, nothing}})[0].value() == "done");
  CHECK(bench.queue->store().answered({{9, 1}}));
}

TEST_CASE("a snapshot that is wanted soon covers the whole log and leaves no entry of it") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  REQUIRE(bench.ask({bench.create("before", 1)})[0]);
  const raft::Index last = bench.queue->member().raft().last_index();
  bench.queue->snapshot_soon();
  bench.run_until([&] {
    const std::lock_guard lock(disk.mutex);
    const auto& entries = disk.content.entries;
    return disk.content.snapshot.at.index >= last &&
           (entries.empty() || entries.front().index > last);
  });
  // Once: what comes after is kept for those who are slow.
  REQUIRE(bench.ask({bench.create("after", 1)})[0]);
  bench.run_until([&] { return bench.queue->store().service_by_name("after") != nullptr; });
  const std::lock_guard lock(disk.mutex);
  CHECK_FALSE(disk.content.entries.empty());
}

TEST_CASE("a restart remembers what was answered, from its log and from a snapshot") {
  Disk disk;
  std::vector<std::string> made;
  {
    Bench bench(disk);
    bench.found();
    REQUIRE(bench.ask({[](store::Draft& draft) {
      model::Cluster cluster = *draft.cluster();
      cluster.spec.snapshot_interval = 5;
      cluster.spec.log_entries_for_slow_followers = 0;
      draft.put(cluster);
      return Status{};
    }})[0]);
    for (uint64_t i = 0; i < 12; ++i) {
      made.push_back(
          bench.ask_once({bench.create_once(i + 1, "s" + std::to_string(i))})[0].value());
    }
    bench.run_until([&] {
      const std::lock_guard lock(disk.mutex);
      return disk.content.snapshot.at.index.value >= 10;
    });
  }
  Bench again(disk);
  again.run_until([&] { return again.queue->store().service_by_name("s11") != nullptr; });
  for (uint64_t i = 0; i < 12; ++i) {
    CHECK(again.ask_once({again.create_once(i + 1, "s" + std::to_string(i))})[0].value() ==
          made[i]);
  }
  CHECK(again.executed == 0);
}

TEST_CASE("everyone who waits for a request is told when its outcome is unknown") {
  Disk disk;
  Bench bench(disk);
  bench.found();
  {
    const std::lock_guard lock(disk.mutex);
    disk.fails = true;
  }
  const auto answers = bench.ask_once({bench.create_once(1, "web"), bench.create_once(1, "web")});
  for (const auto& answer : answers) {
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == ErrorKind::unknown_outcome);
  }
}
