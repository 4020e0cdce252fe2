// One look, one step.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/members.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <map>
#include <set>

#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"

namespace skep::manager {
namespace {

using model::NodeRole;
using model::Reachability;
using raft::RaftId;

constexpr std::chrono::milliseconds kLookPeriod{500};
// From the moment a leader first sees that a node is to be of the group until it is a voter.
constexpr std::chrono::seconds kJoinLimit{120};
constexpr std::chrono::milliseconds kAfterFailure{200};
// If all disks are full, the lead must not go round and round.
constexpr std::chrono::seconds kHandOverPause{60};

void drop(std::vector<RaftId>& from, RaftId id) {
  from.erase(std::remove(from.begin(), from.end(), id), from.end());
}

void insert(std::vector<RaftId>& to, RaftId id) {
  to.insert(std::lower_bound(to.begin(), to.end(), id), id);
}

}  // namespace

class Members::Loop : public std::enable_shared_from_this<Loop> {
 public:
  Loop(asio::io_context& loop, Queue& queue, Reach reach)
      : loop_(loop), queue_(queue), reach_(std::move(reach)), bell_(loop) {}

  void start() {
    asio::co_spawn(
        loop_, [self = shared_from_this()]() -> asio::awaitable<void> { co_await self->run(); },
        asio::detached);
  }
  void look() { bell_.cancel(); }
  void stop() {
    stopped_ = true;
    bell_.cancel();
  }

 private:
  asio::awaitable<void> run();
  asio::awaitable<void> rest(std::chrono::milliseconds time);
  asio::awaitable<bool> step();
  asio::awaitable<bool> take_out(const model::Node& node, RaftId member);
  asio::awaitable<bool> take_in(const model::Node& node, RaftId member);
  asio::awaitable<bool> change(raft::Configuration wanted, std::string what);
  asio::awaitable<bool> submit(Queue::Request request, std::string what);
  asio::awaitable<bool> note_reachability();
  bool answers(RaftId member) const {
    return member == queue_.member().raft().self() || reach_.answers(member);
  }

  asio::io_context& loop_;
  Queue& queue_;  // valid until stop()
  Reach reach_;   // as above
  asio::steady_timer bell_;
  std::map<RaftId, std::chrono::nanoseconds> since_;  // those that are being taken in
  std::chrono::nanoseconds handed_over_{};            // for want of room on the disk
  bool stopped_ = false;
};

asio::awaitable<void> Members::Loop::run() {
  while (!stopped_) {
    if (!queue_.leading()) {
      since_.clear();
      co_await rest(std::chrono::hours(1));
      continue;
    }
    const bool did_something = co_await step();
    if (!did_something && !stopped_) co_await rest(kLookPeriod);
  }
}

asio::awaitable<void> Members::Loop::rest(std::chrono::milliseconds time) {
  boost::system::error_code woken;
  bell_.expires_after(time);
  co_await bell_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

// True: look again at once.
asio::awaitable<bool> Members::Loop::step() {
  const raft::Configuration configuration = queue_.member().raft().configuration();
  std::set<RaftId> known;
  std::vector<store::Row<model::Node>> managers;
  queue_.store().each_node([&](const store::Row<model::Node>& node) {
    if (!node->manager) return;
    known.insert(RaftId{node->manager->raft_id});
    managers.push_back(node);
  });
  if (!queue_.store().cluster()) co_return false;
  if (queue_.member().read_only() && configuration.voters.size() > 1 &&
      base::mono_now() - handed_over_ > kHandOverPause) {
    // Another one may have a disk with room.
    handed_over_ = base::mono_now();
    queue_.member().transfer(RaftId{});
    co_return false;
  }
  for (const RaftId member : configuration.members()) {
    if (known.contains(member) || configuration.is_joint()) continue;
    raft::Configuration wanted = configuration;
    drop(wanted.voters, member);
    drop(wanted.learners, member);
    if (wanted.voters.empty()) continue;
    co_return co_await change(std::move(wanted), "a member whose node is gone");
  }
  for (const store::Row<model::Node>& node : managers) {
    const RaftId member{node->manager->raft_id};
    const bool acted = node->spec.role == NodeRole::manager ? co_await take_in(*node, member)
                                                            : co_await take_out(*node, member);
    if (acted || stopped_ || !queue_.leading()) co_return acted;
  }
  co_return co_await note_reachability();
}

asio::awaitable<bool> Members::Loop::take_out(const model::Node& node, RaftId member) {
  since_.erase(member);
  raft::Configuration wanted = queue_.member().raft().configuration();
  const model::NodeId id = node.id;
  if (!wanted.contains(member)) {
    Queue::Request forget = [id, member](store::Draft& draft) -> Status {
      const store::Row<model::Node> row = draft.node(id);
      if (!row || !row->manager || row->manager->raft_id != member.value) return {};
      model::Node updated = *row;
      updated.manager.reset();
      if (updated.spec.role == NodeRole::worker) updated.role = NodeRole::worker;
      draft.put(std::move(updated));
      return {};
    };
    co_return co_await submit(std::move(forget), "noting that node " + id.str() + " left");
  }
  if (wanted.is_joint()) co_return false;
  if (member == queue_.member().raft().self()) {
    if (wanted.voters.size() < 2) co_return false;  // nobody else could decide anything
    base::log_info("manager", "handing over: this node is to be a worker");
    queue_.member().transfer(RaftId{});
    co_await rest(kLookPeriod);
    co_return true;
  }
  drop(wanted.voters, member);
  drop(wanted.learners, member);
  co_return co_await change(std::move(wanted), "node " + id.str() + " is to be a worker");
}

asio::awaitable<bool> Members::Loop::take_in(const model::Node& node, RaftId member) {
  raft::Configuration wanted = queue_.member().raft().configuration();
  if (wanted.is_joint()) co_return false;
  if (wanted.is_voter(member)) {
    since_.erase(member);
    co_return false;
  }
  const std::string name = "node " + node.id.str();
  const auto [began, first] = since_.emplace(member, base::mono_now());
  if (base::mono_now() - began->second > kJoinLimit) {
    since_.erase(began);
    base::log_warning("manager", name + " was to be a manager and did not get that far in time");
    if (wanted.is_learner(member)) {
      drop(wanted.learners, member);
      if (!co_await change(std::move(wanted), name + " took too long")) co_return false;
    }
    const model::NodeId id = node.id;
    Queue::Request forget = [id, member](store::Draft& draft) -> Status {
      const store::Row<model::Node> row = draft.node(id);
      if (!row || !row->manager || row->manager->raft_id != member.value) return {};
      model::Node updated = *row;
      updated.manager.reset();
      draft.put(std::move(updated));
      return {};
    };
    co_return co_await submit(std::move(forget), name + " took too long");
  }
  if (!reach_.answers(member)) {
    reach_.probe(member);
    co_return false;
  }
  if (!wanted.is_learner(member)) {
    insert(wanted.learners, member);
    co_return co_await change(std::move(wanted), name + " is taken in as a learner");
  }
  for (const raft::MemberProgress& progress : queue_.member().progress()) {
    if (progress.id != member) continue;
    const uint64_t last = queue_.member().raft().last_index().value;
    if (!progress.active || !progress.match) co_return false;
    if (progress.match.value + raft::kCaughtUpEntries < last) co_return false;
  }
  drop(wanted.learners, member);
  insert(wanted.voters, member);
  co_return co_await change(std::move(wanted), name + " has caught up and votes");
}

asio::awaitable<bool> Members::Loop::change(raft::Configuration wanted, std::string what) {
  const std::shared_ptr<Loop> self = shared_from_this();
  const Status changed = co_await queue_.member().change(std::move(wanted));
  if (stopped_) co_return false;
  if (changed) {
    base::log_info("manager", "the group has changed: " + what);
    co_return true;
  }
  base::log_info("manager", what + ": not yet: " + changed.error().message);
  co_await rest(kAfterFailure);
  co_return false;
}

asio::awaitable<bool> Members::Loop::submit(Queue::Request request, std::string what) {
  const std::shared_ptr<Loop> self = shared_from_this();
  const Status done = co_await queue_.submit(std::move(request));
  if (!done && !stopped_) base::log_info("manager", what + ": " + done.error().message);
  co_return done.has_value();
}

// A learner is not said to be reachable yet: whoever counts the reachable managers wants to know
// how many of them may be lost.
asio::awaitable<bool> Members::Loop::note_reachability() {
  const raft::Configuration group = queue_.member().raft().configuration();
  std::map<model::NodeId, Reachability> news;
  queue_.store().each_node([&](const store::Row<model::Node>& node) {
    if (!node->manager) return;
    const RaftId member{node->manager->raft_id};
    const bool counts = group.is_voter(member) && answers(member);
    const Reachability seen = counts ? Reachability::reachable : Reachability::unreachable;
    if (node->manager->reachability != seen) news[node->id] = seen;
  });
  if (news.empty()) co_return false;
  Queue::Request note = [news](store::Draft& draft) -> Status {
    for (const auto& [id, seen] : news) {
      const store::Row<model::Node> row = draft.node(id);
      if (!row || !row->manager) continue;
      model::Node updated = *row;
      updated.manager->reachability = seen;
      draft.put(std::move(updated));
    }
    return {};
  };
  co_return co_await submit(std::move(note), "noting which managers answer");
}

Members::Members(asio::io_context& loop, Queue& queue, Reach reach)
    : loop_(std::make_shared<Loop>(loop, queue, std::move(reach))) {
  loop_->start();
}

Members::~Members() {
  stop();
}

void Members::look() {
  loop_->look();
}

void Members::stop() {
  loop_->stop();
}

}  // namespace skep::manager
