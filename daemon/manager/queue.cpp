// Requests gather, a draft is planned and proposed, the log answers, the store follows.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/queue.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "core/store/split.hpp"
#include "core/store/state_codec.hpp"
#include "core/store/transaction_codec.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"

namespace skep::manager {
namespace {

// A snapshot is held back for a follower that is being sent the last one until the log is so many
// times as long as it usually gets.
constexpr uint64_t kHeldBackIntervals = 4;

// What raft would refuse of a decision in parts. Asked before the first part is proposed: tasks
// that committed while their spec did not would be a state nobody can carry on from.
Status acceptable(const std::vector<store::Part>& parts) {
  size_t total = 0;
  for (const auto& [transaction, bytes] : parts) {
    total += bytes.size();
    if (bytes.size() > raft::kEntryBytesMax) {
      return fail(ErrorKind::exhausted, "a change of " + std::to_string(bytes.size()) +
                                            " bytes can't be stored: the limit is " +
                                            std::to_string(raft::kEntryBytesMax));
    }
  }
  if (total <= raft::kUncommittedBytesMax) return {};
  return fail(ErrorKind::exhausted, "what follows from this takes " + std::to_string(total) +
                                        " bytes: the limit of one change is " +
                                        std::to_string(raft::kUncommittedBytesMax));
}

}  // namespace

Result<std::unique_ptr<Queue>> Queue::open(asio::io_context& loop,
                                           std::unique_ptr<storage::LogStore> log,
                                           const storage::Loaded& loaded, model::IdSource& ids,
                                           Events events) {
  std::unique_ptr<Queue> queue(new Queue(loop, ids, std::move(events)));
  SKEP_TRY_ASSIGN(queue->member_, RaftMember::open(loop, std::move(log), loaded, ids.next().low,
                                                   queue->member_events()));
  if (!loaded.snapshot.state.empty()) {
    auto state = store::decode_state(loaded.snapshot.state);
    if (!state) return fail(state.error().within("the snapshot can't be read"));
    queue->store_.load(loaded.snapshot.at.index.value, std::move(*state));
  }
  return queue;
}

void Queue::start() {
  member_->start();
}

Queue::Queue(asio::io_context& loop, model::IdSource& ids, Events events)
    : loop_(loop),
      events_(std::move(events)),
      planner_(ids),
      deadline_timer_(loop),
      last_mono_(base::mono_now()) {}

RaftMember::Events Queue::member_events() {
  RaftMember::Events events;
  events.committed = [this](const raft::Committed& committed) { apply(committed); };
  events.load = [this](raft::Index at, const std::string& state) { return load(at, state); };
  events.dropped = [this](const raft::Dropped& dropped) {
    if (in_flight_ && in_flight_->proposals.count(dropped.proposal) != 0) {
      abandon_in_flight(dropped.why);
    }
  };
  events.role = [this](const raft::RoleChange& change) { note_role(change); };
  events.send = [this](const raft::Message& message) {
    if (events_.send) events_.send(message);
  };
  events.settled = [this] {
    note_broken();
    maybe_lead();
    maybe_snapshot();
    if (held_back_ && !raft().transferring()) schedule_pump();
  };
  return events;
}

Queue::~Queue() {
  stop();
}

bool Queue::leading() const {
  return leading_;
}

void Queue::stop() {
  if (std::exchange(stopped_, true)) return;
  leading_ = false;
  alive_.reset();
  if (member_) member_->stop();
  deadline_timer_.cancel();
  abandon_in_flight({ErrorKind::unknown_outcome, "the daemon is stopping"});
  refuse_waiting({ErrorKind::cancelled, "the daemon is stopping"});
}

void Queue::refuse_waiting(const Error& why) {
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    if (waiting.answer) waiting.answer(fail(why));
  }
}

model::WallTime Queue::now() {
  const std::chrono::nanoseconds mono = base::mono_now();
  last_time_ = std::max(base::wall_now(), last_time_ + (mono - last_mono_));
  last_mono_ = mono;
  return last_time_;
}

asio::awaitable<Status> Queue::submit(Request request) {
  Asked asked = [request = std::move(request)](store::Draft& draft) -> Result<std::string> {
    SKEP_TRY(request(draft));
    return std::string();
  };
  SKEP_CO_TRY(co_await wait_for(std::move(asked), model::RequestId()));
  co_return Status{};
}

asio::awaitable<Result<std::string>> Queue::submit_once(model::RequestId id, Asked request) {
  SKEP_ASSERT(!id.none(), "a request that is done once has an id");
  co_return co_await wait_for(std::move(request), id);
}

asio::awaitable<Result<std::string>> Queue::wait_for(Asked request, model::RequestId id) {
  const auto start = [this](auto handler, Asked asked, model::RequestId request_id) {
    // Answers are kept in copyable functions; a coroutine's handler is not copyable.
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    Answer answer = [this, shared](Result<std::string> result) {
      asio::post(loop_, [shared, result = std::move(result)]() mutable {
        std::move (*shared)(std::move(result));
      });
    };
    Waiting waiting{std::move(asked), std::move(answer), request_id};
    if (request_id) {
      enqueue_once(std::move(waiting));
    } else {
      enqueue(std::move(waiting));
    }
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<std::string>)>(
      start, asio::use_awaitable, std::move(request), id);
}

void Queue::post(Request request) {
  Asked asked = [request = std::move(request)](store::Draft& draft) -> Result<std::string> {
    SKEP_TRY(request(draft));
    return std::string();
  };
  enqueue({std::move(asked), nullptr, {}});
}

void Queue::enqueue_once(Waiting waiting) {
  const model::RequestId id = waiting.id;
  if (const store::Row<store::AnsweredRequest> before = store_.answered(id)) {
    return waiting.answer(before->outcome);
  }
  const auto [first, is_first] = once_.try_emplace(id);
  if (!is_first) {
    if (first->second.size() < kWaitingMax) return first->second.push_back(waiting.answer);
    return waiting.answer(
        fail(ErrorKind::unavailable, "too many wait for the same request; try again later"));
  }
  waiting.answer = [this, id, answer = std::move(waiting.answer)](const auto& result) {
    const auto again = once_.extract(id);
    answer(result);
    for (const Answer& other : again.mapped()) other(result);
  };
  enqueue(std::move(waiting));
}

void Queue::enqueue(Waiting waiting) {
  std::optional<Error> refusal;
  if (stopped_) refusal = Error{ErrorKind::cancelled, "the daemon is stopping"};
  if (!leading_ && !stopped_) {
    refusal = Error{ErrorKind::unavailable, raft().broken() ? raft().broken()->message
                                                            : "the swarm does not have a leader"};
  }
  if (waiting.answer && waiting_.size() >= kWaitingMax) {
    refusal = Error{ErrorKind::unavailable, "too many requests are waiting; try again later"};
  }
  if (refusal) {
    if (waiting.answer) waiting.answer(fail(*refusal));
    return;
  }
  waiting_.push_back(std::move(waiting));
  schedule_pump();
}

// Posted, so that everything that arrives in one turn of the loop shares a draft.
void Queue::schedule_pump() {
  if (pump_scheduled_ || in_flight_ || stopped_) return;
  pump_scheduled_ = true;
  asio::post(loop_, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    pump_scheduled_ = false;
    pump();
  });
}

void Queue::pump() {
  if (!leading_ || in_flight_ || (waiting_.empty() && !planner_due_)) return;
  // Nothing is taken while the lead is handed over: asking again and again would change nothing.
  held_back_ = raft().transferring();
  if (held_back_) return;
  planner_due_ = false;
  const model::WallTime now = this->now();
  store::Draft draft(store_);
  std::vector<Settled> settled;
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    if (const auto before = waiting.id ? store_.answered(waiting.id) : nullptr) {
      waiting.answer(before->outcome);  // committed while this one waited
      continue;
    }
    Result<std::string> verdict = waiting.request(draft);
    if (verdict && waiting.id) draft.answer(waiting.id, *verdict);
    if (!waiting.answer) continue;
    if (verdict) {
      settled.push_back({std::move(waiting.answer), std::move(*verdict)});
    } else {
      waiting.answer(verdict);
    }
  }
  planner_.run(draft, now);
  arm_deadline();
  if (draft.empty()) {
    for (const Settled& one : settled) one.answer(one.result);
    return;
  }
  propose(draft, now, std::move(settled));
}

void Queue::propose(const store::Draft& draft, model::WallTime now, std::vector<Settled> settled) {
  std::vector<store::Part> parts = store::split(draft, now, raft::kEntryBytesMax);
  in_flight_.emplace();
  in_flight_->settled = std::move(settled);
  if (const Status accepted = acceptable(parts); !accepted) {
    base::log_error("manager", "a decision is dropped: " + accepted.error().message);
    // Not tried again before something new is asked: it would be the same.
    abandon_in_flight(accepted.error());
    planner_due_ = false;
    return;
  }
  std::vector<raft::ProposalId> ids;
  for (auto& [transaction, bytes] : parts) {
    ids.push_back(member_->next_proposal());
    in_flight_->proposals.emplace(ids.back(), std::move(transaction));
  }
  for (size_t i = 0; i < ids.size(); ++i) member_->propose(ids[i], std::move(parts[i].bytes));
}

void Queue::apply(const raft::Committed& committed) {
  if (committed.entry.kind != raft::EntryKind::normal) return;
  store::Transaction transaction;
  bool own = false;
  if (committed.proposal && in_flight_) {
    const auto it = in_flight_->proposals.find(*committed.proposal);
    if (it != in_flight_->proposals.end()) {
      own = true;
      transaction = std::move(it->second);
      in_flight_->proposals.erase(it);
    }
  }
  if (!own) {
    auto decoded = store::decode_transaction(*committed.entry.bytes);
    SKEP_ASSERT(decoded.has_value(), "an entry that was committed can be decoded");
    transaction = std::move(*decoded);
  }
  if (transaction.time > last_time_) {
    last_time_ = transaction.time;
    last_mono_ = base::mono_now();
  }
  events_.applied(store_.apply(committed.entry.index.value, transaction));
  if (own && in_flight_->proposals.empty()) {
    const InFlight finished = std::move(*in_flight_);
    in_flight_.reset();
    for (const Settled& one : finished.settled) one.answer(one.result);
    schedule_pump();
  }
}

// On another thread; `this` is for what is called on the loop.
Result<std::function<void()>> Queue::load(raft::Index at, const std::string& state) {
  SKEP_TRY_ASSIGN(store::State rows, store::decode_state(state));
  const auto fresh = std::make_shared<store::Store>();
  fresh->load(at.value, std::move(rows));
  return [this, fresh] {
    std::swap(store_, *fresh);
    if (events_.reloaded) events_.reloaded();
  };
}

void Queue::note_role(const raft::RoleChange& change) {
  if (change.role == raft::RoleName::leader) return;
  if (std::exchange(leading_, false)) {
    base::log_warning("manager", "no longer the leader: " + change.reason);
    deadline_timer_.cancel();
    // Nothing of what waits was proposed, and nobody here would take it up.
    const auto& broken = raft().broken();
    refuse_waiting({ErrorKind::unavailable, broken ? broken->message : "no longer the leader"});
  }
  if (events_.following) events_.following();
}

void Queue::note_broken() {
  if (!raft().broken() || std::exchange(broken_told_, true) || !events_.broken) return;
  asio::post(loop_, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) events_.broken(*raft().broken());
  });
}

// Who is elected while it reads a snapshot has everything in its log and too little in its store.
void Queue::maybe_lead() {
  if (leading_ || member_->loading_snapshot() || !raft().leader_is_ready()) return;
  leading_ = true;
  planner_.reset(store_);
  planner_due_ = true;
  schedule_pump();
  events_.leading();
}

void Queue::maybe_snapshot() {
  const store::Row<model::Cluster> cluster = store_.cluster();
  if (!cluster || stopped_ || member_->saving_snapshot()) return;
  const uint64_t applied = store_.applied_index();
  const uint64_t since_last = applied - std::min(applied, raft().snapshot_index().value);
  const uint64_t interval = cluster->spec.snapshot_interval;
  const bool due = snapshot_due_ && applied >= snapshot_due_->value && since_last > 0;
  if (!due && since_last < interval) return;
  // A slow follower would be sent one snapshot after the other and never have a whole one; a log
  // that grows without end is worse.
  if (since_last < kHeldBackIntervals * interval && member_->sending_snapshot()) return;
  // A copy of the state costs a moment; the encoding is the disk thread's.
  const auto state = std::make_shared<const store::State>(store_.dump());
  member_->take_snapshot({applied}, due ? 0 : cluster->spec.log_entries_for_slow_followers,
                         [state](const auto& sink) { return store::encode(*state, sink); });
  if (due && member_->saving_snapshot()) snapshot_due_.reset();
}

void Queue::snapshot_soon() {
  snapshot_due_ = raft().last_index();
  maybe_snapshot();
}

void Queue::abandon_in_flight(const Error& why) {
  if (!in_flight_) return;
  const InFlight lost = std::move(*in_flight_);
  in_flight_.reset();
  for (const Settled& one : lost.settled) one.answer(fail(why));
  // What the planner believes rests on the draft that is gone.
  planner_.reset(store_);
  planner_due_ = true;
  schedule_pump();
}

void Queue::arm_deadline() {
  const std::optional<model::WallTime> next = planner_.next_deadline();
  if (!next) {
    deadline_timer_.cancel();
    return;
  }
  deadline_timer_.expires_after(std::max(*next - now(), model::Nanoseconds(0)));
  // Cancelling doesn't reach a wait that is over already and only waits for its turn.
  deadline_timer_.async_wait(
      [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        planner_due_ = true;
        schedule_pump();
      });
}

}  // namespace skep::manager
