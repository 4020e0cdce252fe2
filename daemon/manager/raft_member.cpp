// Steps, their outputs, and the clock.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/raft_member.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"

namespace skep::manager {
namespace {

// A disk that takes longer than this for one flush is told of.
constexpr std::chrono::seconds kSilenceLimit{2};
constexpr const char* kSilent = "the disk of this manager does not answer";

raft::Tick now_tick() {
  return {static_cast<uint64_t>(base::mono_now() / kTick)};
}

}  // namespace

Result<std::unique_ptr<RaftMember>> RaftMember::open(asio::io_context& loop,
                                                     std::unique_ptr<storage::LogStore> log,
                                                     const storage::Loaded& loaded, uint64_t seed,
                                                     Events events) {
  raft::Options options{loaded.identity.member, loaded.identity.cluster,
                        loaded.identity.incarnation, std::mt19937_64(seed),
                        loaded.identity.generation};
  SKEP_TRY_ASSIGN(raft::Raft raft,
                  raft::Raft::start(std::move(options), loaded.restored(), now_tick()));
  return std::unique_ptr<RaftMember>(
      new RaftMember(loop, std::move(log), loaded.identity, std::move(raft), std::move(events)));
}

RaftMember::RaftMember(asio::io_context& loop, std::unique_ptr<storage::LogStore> log,
                       storage::Identity identity, raft::Raft raft, Events events)
    : loop_(loop),
      identity_(identity),
      raft_(std::move(raft)),
      events_(std::move(events)),
      persister_(loop, std::move(log),
                 [this, alive = std::weak_ptr(alive_)](const storage::DiskRoom& room) {
                   if (alive.expired()) return;
                   if (room.read_only && !read_only_) {
                     base::log_warning("manager", room.read_only->message);
                   }
                   read_only_ = room.read_only;
                   if (events_.settled) events_.settled();
                 }),
      tick_timer_(loop),
      silence_timer_(loop),
      told_(raft_.snapshot_index()) {}

RaftMember::~RaftMember() {
  stop();
}

void RaftMember::start() {
  step(raft::TimePassed{});
}

void RaftMember::stop() {
  if (std::exchange(stopped_, true)) return;
  alive_.reset();
  tick_timer_.cancel();
  silence_timer_.cancel();
  const Error why{ErrorKind::cancelled, "the daemon is stopping"};
  for (auto& [id, read] : std::exchange(reads_, {})) answer(std::move(read.answer), fail(why));
  for (auto& [id, waiting] : std::exchange(changes_, {})) answer(std::move(waiting), fail(why));
}

void RaftMember::propose(raft::ProposalId id, std::string bytes) {
  step(raft::Propose{id, std::move(bytes)});
}

void RaftMember::receive(raft::Message message) {
  step(std::move(message));
}

void RaftMember::transfer(raft::RaftId to) {
  step(raft::TransferLeadership{to});
}

asio::awaitable<Status> RaftMember::change(raft::Configuration configuration) {
  const auto start = [this](auto handler, raft::Configuration wanted) {
    // Answers are kept in copyable functions; a coroutine's handler is not copyable.
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    const raft::ProposalId id = next_proposal();
    changes_[id] = [shared](Status status) { std::move (*shared)(std::move(status)); };
    if (stopped_) {
      answer(std::move(changes_.extract(id).mapped()),
             fail(ErrorKind::cancelled, "the daemon is stopping"));
      return;
    }
    step(raft::ChangeConfiguration{id, std::move(wanted)});
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Status)>(
      start, asio::use_awaitable, std::move(configuration));
}

asio::awaitable<Status> RaftMember::read() {
  const auto start = [this](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    Answer answered = [shared](Status status) { std::move (*shared)(std::move(status)); };
    if (stopped_) {
      answer(std::move(answered), fail(ErrorKind::cancelled, "the daemon is stopping"));
      return;
    }
    const raft::ReadId id{++last_read_};
    reads_[id] = Read{std::nullopt, std::move(answered)};
    step(raft::ReadRequest{id});
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Status)>(
      start, asio::use_awaitable);
}

asio::awaitable<Result<bool>> RaftMember::set_unlock_key(std::optional<storage::UnlockKey> key) {
  const auto start = [this](auto handler, std::optional<storage::UnlockKey> wanted) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    persister_.set_unlock_key(std::move(wanted), [shared](Result<bool> old_keys) {
      std::move (*shared)(std::move(old_keys));
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<bool>)>(
      start, asio::use_awaitable, std::move(key));
}

std::vector<raft::MemberProgress> RaftMember::progress() const {
  return raft_.progress(now_tick());
}

bool RaftMember::sending_snapshot() const {
  const std::vector<raft::MemberProgress> members = progress();
  return std::any_of(members.begin(), members.end(), [](const raft::MemberProgress& member) {
    return member.active && member.state == raft::ProgressState::snapshot;
  });
}

// Later, so that whoever is woken finds this member at rest.
void RaftMember::answer(Answer answer, Status status) {
  asio::post(loop_, [answer = std::move(answer), status = std::move(status)]() mutable {
    answer(std::move(status));
  });
}

void RaftMember::take_snapshot(raft::Index applied, uint64_t keep_entries,
                               storage::Persister::SnapshotWrite write) {
  if (loading_ || stopped_) return;
  SKEP_ASSERT(!saving_, "one snapshot at a time");
  saving_ = true;
  const raft::SnapshotPointer at = raft_.snapshot_pointer(applied);
  persister_.save_snapshot(
      at, std::move(write), [this, at, keep_entries, alive = std::weak_ptr(alive_)](Status status) {
        if (alive.expired()) return;
        saving_ = false;
        if (status) return step(raft::SnapshotTaken{at.index, keep_entries});
        base::log_error("manager", "saving a snapshot: " + status.error().message);
      });
}

void RaftMember::step(raft::Input input) {
  if (stopped_) return;
  inputs_.push_back(std::move(input));
  if (std::exchange(stepping_, true)) return;
  while (!inputs_.empty() && !stopped_) {
    raft::Input next = std::move(inputs_.front());
    inputs_.pop_front();
    carry_out(raft_.step(std::move(next), now_tick()));
  }
  stepping_ = false;
  if (stopped_) return;
  if (!ticking_ && needs_ticks()) arm_tick();
  if (events_.settled) events_.settled();
}

void RaftMember::carry_out(raft::Output output) {
  for (const raft::RoleChange& change : output.role_changes) {
    log_role(change);
    events_.role(change);
  }
  if (output.persist) persist(std::move(*output.persist));
  if (events_.send) {
    for (const raft::Message& message : output.messages) events_.send(message);
  }
  for (raft::ReadChunk& chunk : output.read_chunks) read_chunk(std::move(chunk));
  if (output.store_chunk) store_chunk(std::move(*output.store_chunk));
  if (output.load_snapshot) load_snapshot(std::move(*output.load_snapshot));
  for (raft::Committed& committed : output.committed) committed_.push_back(std::move(committed));
  tell_entries();
  for (const raft::Dropped& dropped : output.dropped) {
    const auto change = changes_.find(dropped.proposal);
    if (change == changes_.end()) {
      events_.dropped(dropped);
      continue;
    }
    answer(std::move(change->second), fail(dropped.why));
    changes_.erase(change);
  }
  for (const raft::ReadResult& result : output.reads) {
    const auto read = reads_.find(result.read);
    if (read == reads_.end()) continue;
    if (result.index) {
      read->second.index = *result.index;
    } else {
      answer(std::move(read->second.answer), fail(result.index.error()));
      reads_.erase(read);
    }
  }
  tell_reads();
  for (const raft::RefusedMessage& refused : output.refused) {
    base::log_warning("raft", "a message of member " + std::to_string(refused.from.value) +
                                  " is refused: " + refused.why.message);
  }
  if (output.compact_through) {
    persister_.compact(*output.compact_through, [](Status status) {
      if (!status) base::log_warning("manager", "compacting the log: " + status.error().message);
    });
  }
}

// One that is cut off becomes a candidate again and again; that is told once.
void RaftMember::log_role(const raft::RoleChange& change) {
  const bool told = logged_role_ && logged_role_->role == change.role &&
                    logged_role_->term == change.term && logged_role_->leader == change.leader;
  if (told) return;
  logged_role_ = change;
  std::string what = "is a candidate";
  if (change.role == raft::RoleName::leader) what = "leads";
  if (change.role == raft::RoleName::follower) {
    what = change.leader ? "follows member " + std::to_string(change.leader.value)
                         : "follows nobody yet";
  }
  base::log_info("raft", "term " + std::to_string(change.term.value) + ": this manager " + what +
                             ": " + change.reason);
}

void RaftMember::persist(raft::Persist persist) {
  const raft::PersistDone done = persist.done();
  expect_disk();
  persister_.persist(std::move(persist),
                     [this, done, alive = std::weak_ptr(alive_)](Status status) {
                       if (alive.expired()) return;
                       heard_disk();
                       if (status) return step(done);
                       step(raft::PersistFailed{done.epoch, status.error().message});
                     });
}

// Raft asks for one persist at a time.
void RaftMember::expect_disk() {
  silence_timer_.expires_after(kSilenceLimit);
  silence_timer_.async_wait(
      [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        disk_silent_ = true;
        base::log_warning("manager", kSilent);
      });
}

void RaftMember::heard_disk() {
  silence_timer_.cancel();
  if (std::exchange(disk_silent_, false)) {
    base::log_info("manager", "the disk of this manager answers again");
  }
}

std::string RaftMember::disk_complaint() const {
  if (disk_silent_) return kSilent;
  return read_only_ ? read_only_->message : std::string();
}

void RaftMember::read_chunk(raft::ReadChunk chunk) {
  persister_.read_chunk(
      std::move(chunk), [this, alive = std::weak_ptr(alive_)](raft::ChunkRead read, Status why) {
        if (alive.expired()) return;
        if (!why) base::log_warning("manager", "reading a snapshot: " + why.error().message);
        step(std::move(read));
      });
}

void RaftMember::store_chunk(raft::StoreChunk chunk) {
  persister_.store_chunk(std::move(chunk), [this, alive = std::weak_ptr(alive_)](
                                               raft::ChunkStored stored, Status why) {
    if (alive.expired()) return;
    if (!why) base::log_warning("manager", "storing a snapshot: " + why.error().message);
    step(std::move(stored));
  });
}

// A snapshot that can't be read back is a disk that lost what it had promised.
void RaftMember::load_snapshot(raft::SnapshotPointer at) {
  loading_ = at;
  committed_.clear();  // the snapshot covers them
  persister_.load_snapshot(
      at, [this, at, alive = std::weak_ptr(alive_)](Result<storage::Snapshot> snapshot) {
        if (alive.expired() || loading_ != at) return;  // a newer one is on its way
        if (!snapshot) return take_up(at, fail(snapshot.error()));
        asio::post(reader_, [this, at, alive, state = std::move(snapshot->state)] {
          // Valid without a look at `alive`: the destructor waits for this.
          auto loaded = events_.load(at.index, state);
          asio::post(loop_, [this, at, alive, loaded = std::move(loaded)]() mutable {
            if (!alive.expired() && loading_ == at) take_up(at, std::move(loaded));
          });
        });
      });
}

void RaftMember::take_up(raft::SnapshotPointer at, Result<std::function<void()>> loaded) {
  if (!loaded) {
    step(raft::PersistFailed{{}, "the snapshot that came in: " + loaded.error().message});
    return;
  }
  (*loaded)();
  asio::post(reader_, [gone = std::move(*loaded)] {});
  loading_.reset();
  told_ = at.index;
  tell_entries();
  tell_reads();
  if (events_.settled) events_.settled();
}

void RaftMember::tell_entries() {
  while (!committed_.empty() && !loading_ && !stopped_) {
    const raft::Committed committed = std::move(committed_.front());
    committed_.pop_front();
    told_ = committed.entry.index;
    if (committed.proposal && committed.entry.kind == raft::EntryKind::configuration) {
      const auto change = changes_.find(*committed.proposal);
      if (change == changes_.end()) continue;
      answer(std::move(change->second), {});
      changes_.erase(change);
      continue;
    }
    events_.committed(committed);
  }
}

void RaftMember::tell_reads() {
  for (auto it = reads_.begin(); it != reads_.end();) {
    Read& read = it->second;
    if (!read.index || *read.index > told_) {
      ++it;
      continue;
    }
    answer(std::move(read.answer), {});
    it = reads_.erase(it);
  }
}

// A lone voter has nothing to time once it leads; the tick then rests.
bool RaftMember::needs_ticks() const {
  return !raft_.leader_is_ready() || raft_.configuration().members().size() > 1;
}

void RaftMember::arm_tick() {
  ticking_ = true;
  tick_timer_.expires_after(kTick);
  tick_timer_.async_wait(
      [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        ticking_ = false;
        step(raft::TimePassed{});
      });
}

}  // namespace skep::manager
