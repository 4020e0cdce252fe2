// This manager's place in the group: it gives raft time, disk and messages, and tells what became
// of it.
//
// One step at a time: what happens during a step (an answer that is there at once, a listener who
// proposes) waits for its end. What a step asks for is carried out in the order that raft demands:
// the disk is asked first, messages go out, a snapshot that came in is loaded, and only then are
// entries told; while a snapshot is being read from the disk the entries behind it wait.
//
// Knows nothing of the cluster: entries are bytes, and where a message goes is the listener's
// business. All on the daemon's loop; listeners are called there and must not destroy the member.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/raft/raft.hpp"
#include "daemon/storage/log_store.hpp"
#include "daemon/storage/persister.hpp"

namespace skep::manager {

namespace asio = boost::asio;

// The real length of raft's tick (architecture.md, "Time").
inline constexpr std::chrono::milliseconds kTick{50};

class RaftMember {
 public:
  struct Events {
    // An entry is to be applied; in order, each once.
    std::function<void(const raft::Committed&)> committed;
    // The state machine is to be replaced by this snapshot's. Called on a thread of its own, so
    // that a big state does not hold up the loop; what it returns is called on the loop, and
    // destroyed on that thread again, with whatever it took out. Errors: it can't be read.
    std::function<Result<std::function<void()>>(raft::Index, const std::string& state)> load;
    std::function<void(const raft::Dropped&)> dropped;
    std::function<void(const raft::RoleChange&)> role;
    // A message for another member, on its way or lost: raft sends again what matters.
    std::function<void(const raft::Message&)> send;
    // A step is over and all of the above was told.
    std::function<void()> settled;
  };

  // Takes up what the disk holds, and tells nothing before start(). Errors: what Raft::start says.
  static Result<std::unique_ptr<RaftMember>> open(asio::io_context& loop,
                                                  std::unique_ptr<storage::LogStore> log,
                                                  const storage::Loaded& loaded, uint64_t seed,
                                                  Events events);
  ~RaftMember();
  RaftMember(const RaftMember&) = delete;
  RaftMember& operator=(const RaftMember&) = delete;

  // Begins: what the disk holds is told at once and within this call. Once.
  void start();
  // Nothing is told and nothing goes to the disk any more; reads and changes that wait are
  // answered `cancelled`.
  void stop();

  // A number for propose(); the asker notes it first, because the answer may come at once.
  raft::ProposalId next_proposal() { return {++last_proposal_}; }
  // Asks for an entry; what becomes of it is told by `committed` or `dropped`.
  void propose(raft::ProposalId id, std::string bytes);
  void receive(raft::Message message);
  // Asks a leader to hand over; zero: to whoever is best fit.
  void transfer(raft::RaftId to);
  // Resolves when the new configuration is in force and committed. Errors: as ChangeConfiguration.
  asio::awaitable<Status> change(raft::Configuration configuration);
  // Resolves when the applied state is as fresh as the moment of asking. Errors: unavailable.
  asio::awaitable<Status> read();

  // Keeps a snapshot of the state after `applied`, which `write` gives (Persister::save_snapshot).
  // Requires: none is being kept.
  void take_snapshot(raft::Index applied, uint64_t keep_entries,
                     storage::Persister::SnapshotWrite write);
  // A member that answers is being sent the last one. A new one would make it begin anew.
  bool sending_snapshot() const;

  // See Persister. Errors: the disk's.
  asio::awaitable<Result<bool>> set_unlock_key(std::optional<storage::UnlockKey> key);

  // Why nothing new should be proposed: the disk is nearly full. Nullopt while it is not.
  const std::optional<Error>& read_only() const { return read_only_; }
  // The same, or that the disk has not answered for a while; empty while all is well.
  std::string disk_complaint() const;
  const storage::Identity& identity() const { return identity_; }
  bool saving_snapshot() const { return saving_; }
  // A snapshot came in and is being read: entries behind it are committed, but not told yet.
  bool loading_snapshot() const { return loading_.has_value(); }

  const raft::Raft& raft() const { return raft_; }
  // Of all members; empty unless this one leads.
  std::vector<raft::MemberProgress> progress() const;

 private:
  using Answer = std::function<void(Status)>;
  struct Read {
    std::optional<raft::Index> index;  // once it is known; then it waits to be applied
    Answer answer;
  };

  RaftMember(asio::io_context& loop, std::unique_ptr<storage::LogStore> log,
             storage::Identity identity, raft::Raft raft, Events events);

  void step(raft::Input input);
  void carry_out(raft::Output output);
  void log_role(const raft::RoleChange& change);
  void persist(raft::Persist persist);
  void expect_disk();
  void heard_disk();
  void read_chunk(raft::ReadChunk chunk);
  void store_chunk(raft::StoreChunk chunk);
  void load_snapshot(raft::SnapshotPointer at);
  void take_up(raft::SnapshotPointer at, Result<std::function<void()>> loaded);
  void tell_entries();
  void tell_reads();
  void answer(Answer answer, Status status);
  void arm_tick();
  bool needs_ticks() const;

  asio::io_context& loop_;
  storage::Identity identity_;
  raft::Raft raft_;
  Events events_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // posted work checks it
  storage::Persister persister_;
  std::deque<raft::Input> inputs_;         // that came during a step
  std::deque<raft::Committed> committed_;  // not told yet: a snapshot is being read
  std::map<raft::ReadId, Read> reads_;
  std::map<raft::ProposalId, Answer> changes_;
  asio::steady_timer tick_timer_;
  asio::steady_timer silence_timer_;  // runs while a persist is on its way
  bool disk_silent_ = false;
  std::optional<raft::SnapshotPointer> loading_;  // being read from the disk, to be told
  raft::Index told_;                              // the last entry that was told, or the snapshot's
  uint64_t last_proposal_ = 0;
  uint64_t last_read_ = 0;
  bool stepping_ = false;
  bool ticking_ = false;
  bool saving_ = false;
  bool stopped_ = false;
  std::optional<Error> read_only_;
  std::optional<raft::RoleChange> logged_role_;
  // Of snapshots that came in. Last: it is joined before the rest goes.
  asio::thread_pool reader_{1};
};

}  // namespace skep::manager
