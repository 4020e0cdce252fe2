// The one queue: every write to the cluster's state passes here, in one order.
//
// A request is a function that changes a Draft. Requests that arrive while a transaction is on its
// way to the disk gather; when it has been applied they are laid on one new Draft, the planner
// works out what follows from all of them, and the whole difference is proposed at once. Batches so
// grow with load, and a caller is answered when his change and its consequences are durable.
//
// Consensus is a RaftMember's, which the queue stands on: the queue proposes, and applies what was
// committed, on followers as on the leader. On a follower every request is refused: whoever wants
// a write takes it to the leader.
//
// A request may carry an id of the client's making. Its outcome is then committed together with
// what it did, and every manager remembers it for a while (core/store/state.hpp): asked again, it
// is answered the same and does nothing. That is what makes "outcome unknown" bearable: repeating
// is safe. A request that is refused is not remembered, since it did nothing.
//
// One transaction is in flight at a time, so a Draft always lies on the committed state: with one
// voter and group commit a stack of drafts would add nothing (docs/decisions/0002). When the
// outcome of a proposal can't be known, every waiting caller is told so at once, and the planner
// starts anew from the committed state.
//
// All on the daemon's loop. The store's rows may be kept; the store itself is valid while the queue
// is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/model/id_source.hpp"
#include "core/planner/planner.hpp"
#include "core/store/store.hpp"
#include "daemon/manager/raft_member.hpp"

namespace skep::manager {

namespace asio = boost::asio;

// Waiting callers beyond this are refused: something downstream does not move.
inline constexpr size_t kWaitingMax = 10'000;

class Queue {
 public:
  // Checks and changes the draft, or returns an error and leaves it as it was.
  using Request = std::function<Status(store::Draft&)>;

  struct Events {
    // After each applied entry, before the callers it answers.
    std::function<void(const store::Applied&)> applied;
    // This manager leads, and its state is the whole truth.
    std::function<void()> leading;
    // It leads no more, or another leader is known.
    std::function<void()> following;
    // The store was replaced by a snapshot of the leader's: what was known of rows may be wrong.
    std::function<void()> reloaded;
    // A message for another manager.
    std::function<void(const raft::Message&)> send;
    // The disk failed: nothing is acknowledged any more until the log was read again. Once, in a
    // turn of the loop of its own.
    std::function<void(const Error&)> broken;
  };

  // Takes up what `loaded` holds, and tells nothing before start(). Errors: what Raft::start says,
  // or a snapshot that can't be read.
  static Result<std::unique_ptr<Queue>> open(asio::io_context& loop,
                                             std::unique_ptr<storage::LogStore> log,
                                             const storage::Loaded& loaded, model::IdSource& ids,
                                             Events events);
  // Begins: entries of the log are applied and told, at once and within this call, so that whoever
  // is told must hold this queue by now. Once.
  void start();
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Resolves when the request and its consequences are committed, or with the request's own error.
  // unknown_outcome: it may or may not have been committed. unavailable: there is no leader.
  asio::awaitable<Status> submit(Request request);
  // The same for a request with an id, which is not none; resolves with what the request returned:
  // a few bytes for the asker, at most store::kAnswerBytesMax. One that was answered before gets
  // that answer, on a follower too; one that is on its way joins the wait of the first.
  using Asked = std::function<Result<std::string>(store::Draft&)>;
  asio::awaitable<Result<std::string>> submit_once(model::RequestId id, Asked request);
  // The same without an answer, for what is repeated until it holds. Never refused for being one
  // too many.
  void post(Request request);

  // The cluster's time: never goes back, and never stands still though the machine's clock was set
  // back. What goes into rows and what deadlines are compared with. Advances with each call.
  model::WallTime now();
  bool leading() const;
  const store::Store& store() const { return store_; }
  // What is in the log now is to go into a snapshot, and out of the log, as soon as that can be.
  void snapshot_soon();
  RaftMember& member() { return *member_; }
  const RaftMember& member() const { return *member_; }
  // Ends all waiting with `cancelled`; nothing is proposed any more.
  void stop();

 private:
  using Answer = std::function<void(const Result<std::string>&)>;
  struct Waiting {
    Asked request;
    Answer answer;        // null: nobody waits
    model::RequestId id;  // or none
  };
  // Who is to be told `result` once it is committed.
  struct Settled {
    Answer answer;
    std::string result;
  };
  struct InFlight {
    std::map<raft::ProposalId, store::Transaction> proposals;
    std::vector<Settled> settled;
  };

  Queue(asio::io_context& loop, model::IdSource& ids, Events events);

  const raft::Raft& raft() const { return member_->raft(); }
  RaftMember::Events member_events();
  asio::awaitable<Result<std::string>> wait_for(Asked request, model::RequestId id);
  void enqueue_once(Waiting waiting);
  void enqueue(Waiting waiting);
  void schedule_pump();
  void pump();
  void propose(const store::Draft& draft, model::WallTime now, std::vector<Settled> settled);
  void apply(const raft::Committed& committed);
  Result<std::function<void()>> load(raft::Index at, const std::string& state);
  void note_role(const raft::RoleChange& change);
  void note_broken();
  void maybe_lead();
  void maybe_snapshot();
  void abandon_in_flight(const Error& why);
  void refuse_waiting(const Error& why);
  void arm_deadline();

  asio::io_context& loop_;
  Events events_;
  std::unique_ptr<RaftMember> member_;
  store::Store store_;
  planner::Planner planner_;
  std::vector<Waiting> waiting_;
  std::optional<InFlight> in_flight_;
  // Requests with an id that wait or are in flight, with who asked for them again.
  std::map<model::RequestId, std::vector<Answer>> once_;
  asio::steady_timer deadline_timer_;
  model::WallTime last_time_;                             // that now() gave or an entry carried
  std::chrono::nanoseconds last_mono_{};                  // when that was
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // posted work checks it
  std::optional<raft::Index> snapshot_due_;               // covers this, and keeps no entries
  bool pump_scheduled_ = false;
  bool planner_due_ = false;
  bool held_back_ = false;  // the pump waits for the end of a hand-over
  bool leading_ = false;
  bool stopped_ = false;
  bool broken_told_ = false;
};

}  // namespace skep::manager
