// A few managers in one process: queues on logs in memory, their messages posted from one to the
// other, and the errand of Members on each. Time is real; what a test waits for has a deadline.
//
// Manager 1 founds the group; the others begin as joiners with an empty log, as a node does that
// was given a raft id. Whether somebody "answers" is for the test to say, apart from whether its
// messages get through: that is the difference between a dialled address and a vote.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "core/planner/requests.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/manager/members.hpp"
#include "tests/unit/manager/memory_log.hpp"

namespace skep::manager {

class Managers {
 public:
  explicit Managers(uint64_t count, uint64_t snapshot_interval = 10'000) {
    for (uint64_t number = 1; number <= count; ++number) {
      Disk& disk = managers_[number].disk;
      disk.content.identity = {model::ClusterId{{1, 1}}, node_id(number), raft::RaftId{number},
                               raft::Incarnation{100 + number}};
      answering.insert(number);
      if (number == 1) disk.content.snapshot.at.configuration = {{{1}}, {}, {}, {{{1}, {101}}}};
      start(number);
    }
    run_until([&] { return queue(1).leading(); });
    const Status founded = submit(1, [&](store::Draft& draft) {
      model::Cluster cluster;
      cluster.id = model::ClusterId{{1, 1}};
      cluster.last_raft_id = count;
      cluster.spec.snapshot_interval = snapshot_interval;
      cluster.spec.log_entries_for_slow_followers = 0;
      model::Node first;
      first.id = node_id(1);
      first.role = first.spec.role = model::NodeRole::manager;
      first.manager = model::ManagerStatus{1, "first", model::Reachability::reachable};
      planner::found_cluster(draft, cluster, first, model::NetworkId{ids.next()});
      return Status{};
    });
    REQUIRE(founded);
  }
  ~Managers() {
    for (auto& [number, manager] : managers_) stop(manager);
    loop.restart();
    loop.poll();
  }

  static model::NodeId node_id(uint64_t number) { return model::NodeId{{0, number}}; }
  Queue& queue(uint64_t number) { return *managers_.at(number).queue; }
  Disk& disk(uint64_t number) { return managers_.at(number).disk; }
  const raft::Configuration& configuration(uint64_t number) {
    return queue(number).member().raft().configuration();
  }
  store::Row<model::Node> node(uint64_t number) { return queue(1).store().node(node_id(number)); }

  // Answers are not: `holds` is looked at after each event of the loop.
  template <class Condition>
  bool reaches(Condition holds, std::chrono::milliseconds within = std::chrono::seconds(20)) {
    const auto deadline = std::chrono::steady_clock::now() + within;
    loop.restart();
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      loop.run_one_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  template <class Condition>
  void run_until(Condition holds) {
    REQUIRE(reaches(holds));
  }

  std::shared_ptr<std::optional<Status>> begin(uint64_t number, Queue::Request request) {
    auto answer = std::make_shared<std::optional<Status>>();
    asio::co_spawn(
        loop,
        [this, number, answer, request = std::move(request)]() -> asio::awaitable<void> {
          *answer = co_await queue(number).submit(request);
        },
        asio::detached);
    return answer;
  }
  Status submit(uint64_t number, Queue::Request request) {
    const auto answer = begin(number, std::move(request));
    run_until([&] { return answer->has_value(); });
    return **answer;
  }
  // The row of a node that is to be a manager and was given its raft id.
  void put_manager(uint64_t number, model::NodeRole wanted = model::NodeRole::manager) {
    REQUIRE(submit(1, [number, wanted](store::Draft& draft) {
      model::Node node;
      node.id = node_id(number);
      node.role = model::NodeRole::manager;
      node.spec.role = wanted;
      node.manager = model::ManagerStatus{number, "somewhere", model::Reachability::unknown};
      draft.put(std::move(node));
      return Status{};
    }));
  }
  Status put_service(uint64_t number, std::string name) {
    return submit(number, service(std::move(name)));
  }
  Queue::Request service(std::string name) {
    return [this, name = std::move(name)](store::Draft& draft) -> Status {
      model::ServiceSpec spec;
      spec.name = name;
      spec.task.container.image = "httpd:2.4.34";
      SKEP_TRY(planner::create_service(draft, spec, ids));
      return {};
    };
  }

  asio::io_context loop;
  base::RandomIds ids;
  std::set<uint64_t> answering;  // when dialled
  std::set<uint64_t> probed;
  std::set<uint64_t> silent;                       // no message of theirs or for them gets through
  std::function<bool(const raft::Message&)> lost;  // null: none is

 private:
  struct One {
    Disk disk;
    std::unique_ptr<Queue> queue;
    std::unique_ptr<Members> members;
  };

  void start(uint64_t number) {
    One& one = managers_.at(number);
    Queue::Events events;
    events.applied = [&one](const store::Applied&) {
      if (one.members) one.members->look();
    };
    events.leading = [&one] {
      if (one.members) one.members->look();
    };
    events.broken = [](const Error&) {};
    events.send = [this](const raft::Message& message) { deliver(message); };
    auto opened = Queue::open(loop, std::make_unique<MemoryLog>(one.disk), one.disk.content, ids,
                              std::move(events));
    REQUIRE(opened);
    one.queue = std::move(*opened);
    one.queue->start();
    Reach reach{[this](raft::RaftId member) { return answering.contains(member.value); },
                [this](raft::RaftId member) { probed.insert(member.value); }};
    one.members = std::make_unique<Members>(loop, *one.queue, std::move(reach));
  }
  static void stop(One& one) {
    if (one.members) one.members->stop();
    if (one.queue) one.queue->stop();
  }
  void deliver(const raft::Message& message) {
    if (lost && lost(message)) return;
    const uint64_t to = message.to.value;
    if (silent.contains(message.from.value) || silent.contains(to)) return;
    asio::post(loop, [this, to, message] {
      const auto found = managers_.find(to);
      if (found != managers_.end() && found->second.queue) {
        found->second.queue->member().receive(message);
      }
    });
  }

  std::map<uint64_t, One> managers_;
};

}  // namespace skep::manager
