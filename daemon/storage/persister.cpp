// The storage thread; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/persister.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace skep::storage {
namespace {

// One slice; true when all of it is in `to`.
Result<bool> load_some(LogStore& store, Snapshot& to) {
  raft::ReadChunk read;
  read.at = to.at;
  read.offset = to.state.size();
  SKEP_TRY_ASSIGN(const raft::ChunkRead chunk, store.read_chunk(read));
  if (!chunk.bytes) return fail(ErrorKind::conflict, "a newer snapshot took its place");
  to.state += *chunk.bytes;
  return chunk.last;
}

}  // namespace

Persister::Persister(boost::asio::io_context& loop, std::unique_ptr<LogStore> store,
                     RoomChanged room_changed)
    : loop_(loop),
      store_(std::move(store)),
      room_changed_(std::move(room_changed)),
      thread_([this] { run(); }) {}

Persister::~Persister() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

template <class Completion>
void Persister::post(Completion completion) {
  boost::asio::post(loop_, std::move(completion));
}

void Persister::persist(raft::Persist batch, Done done) {
  // std::function wants something it can copy.
  auto shared = std::make_shared<const raft::Persist>(std::move(batch));
  add([this, shared, done = std::move(done)](LogStore& store) {
    post([done, status = store.persist(*shared)] { done(status); });
    return true;
  });
}

void Persister::read_chunk(raft::ReadChunk read,
                           std::function<void(raft::ChunkRead, Status)> done) {
  add([this, read = std::move(read), done = std::move(done)](LogStore& store) {
    Result<raft::ChunkRead> chunk = store.read_chunk(read);
    raft::ChunkRead answer;
    answer.to = read.to;
    answer.snapshot = read.at.index;
    answer.offset = read.offset;
    Status why;
    if (chunk) {
      answer = std::move(*chunk);
    } else {
      why = fail(chunk.error());
    }
    post([done, answer, why] { done(answer, why); });
    return true;
  });
}

void Persister::store_chunk(raft::StoreChunk chunk,
                            std::function<void(raft::ChunkStored, Status)> done) {
  add([this, chunk = std::move(chunk), done = std::move(done)](LogStore& store) {
    const Result<raft::ChunkStored> stored = store.store_chunk(chunk);
    raft::ChunkStored answer{chunk.at.index, 0, false};
    Status why;
    if (stored) {
      answer = *stored;
    } else {
      why = fail(stored.error());
    }
    post([done, answer, why] { done(answer, why); });
    return true;
  });
}

void Persister::set_unlock_key(std::optional<UnlockKey> key,
                               std::function<void(Result<bool>)> done) {
  add([this, key = std::move(key), done = std::move(done)](LogStore& store) {
    Result<bool> old_keys = true;
    if (!store.has_unlock_key(key)) {
      if (const Status set = store.set_unlock_key(key); !set) old_keys = fail(set.error());
    }
    if (old_keys) old_keys = store.holds_old_keys();
    post([done, old_keys] { done(old_keys); });
    return true;
  });
}

// --- saving a snapshot ---------------------------------------------------------------------

void Persister::save_snapshot(raft::SnapshotPointer at, SnapshotWrite write, Done done) {
  auto saving = std::make_shared<Saving>();
  saving->at = std::move(at);
  const auto step = [this, saving, done](LogStore& store) {
    const Result<bool> finished = save_some(store, *saving);
    if (finished && !*finished) return false;
    end(*saving);
    Status status;
    if (!finished) status = fail(finished.error());
    post([done, status] { done(status); });
    return true;
  };
  const auto give_up = [this, saving, done](const Error& why) {
    end(*saving);
    post([done, why] { done(fail(why)); });
  };
  const auto ready = [saving] { return !saving->pieces.empty() || saving->ended.has_value(); };
  saving->thread = std::thread(
      [this, saving = saving.get(), write = std::move(write)] { produce(*saving, write); });
  add_long({step, give_up, ready});
}

void Persister::produce(Saving& saving, const SnapshotWrite& write) {
  const Status ended = write([&](std::string_view bytes) { return hand_over(saving, bytes); });
  {
    const std::lock_guard lock(mutex_);
    saving.ended = ended;
  }
  changed_.notify_one();
}

Status Persister::hand_over(Saving& saving, std::string_view bytes) {
  while (!bytes.empty()) {
    std::string piece(bytes.substr(0, raft::kSnapshotChunkBytes));
    bytes.remove_prefix(piece.size());
    {
      std::unique_lock lock(mutex_);
      saving.changed.wait(lock,
                          [&] { return saving.cancelled || saving.pieces.size() < kPiecesMax; });
      if (saving.cancelled) return fail(ErrorKind::cancelled, "nobody wants the snapshot any more");
      saving.pieces.push_back(std::move(piece));
    }
    changed_.notify_one();
  }
  return {};
}

Result<bool> Persister::save_some(LogStore& store, Saving& saving) {
  std::optional<std::string> piece;
  Status ended;
  {
    const std::lock_guard lock(mutex_);
    if (!saving.pieces.empty()) {
      piece = std::move(saving.pieces.front());
      saving.pieces.pop_front();
    } else {
      ended = *saving.ended;
    }
  }
  saving.changed.notify_one();
  if (!std::exchange(saving.begun, true)) {
    SKEP_TRY(store.begin_snapshot(saving.at));
  }
  if (piece) {
    SKEP_TRY(store.append_snapshot(*piece));
    return false;
  }
  SKEP_TRY(ended);
  SKEP_TRY(store.finish_snapshot());
  return true;
}

// Its thread ends at its next piece.
void Persister::end(Saving& saving) {
  {
    const std::lock_guard lock(mutex_);
    saving.cancelled = true;
  }
  saving.changed.notify_one();
  saving.thread.join();
}

// --- the other long work -------------------------------------------------------------------

void Persister::load_snapshot(raft::SnapshotPointer at,
                              std::function<void(Result<Snapshot>)> done) {
  auto loaded = std::make_shared<Snapshot>();
  loaded->at = std::move(at);
  const auto step = [this, loaded, done](LogStore& store) {
    const Result<bool> finished = load_some(store, *loaded);
    if (finished && !*finished) return false;
    if (finished) {
      post([done, loaded] { done(std::move(*loaded)); });
    } else {
      post([done, why = finished.error()] { done(fail(why)); });
    }
    return true;
  };
  add_long(
      {step, [this, done](const Error& why) { post([done, why] { done(fail(why)); }); }, nullptr});
}

void Persister::compact(raft::Index through, Done done) {
  const auto step = [this, through, done](LogStore& store) {
    const Result<bool> finished = store.compact(through);
    if (finished && !*finished) return false;
    Status status;
    if (!finished) status = fail(finished.error());
    post([done, status] { done(status); });
    return true;
  };
  add_long(
      {step, [this, done](const Error& why) { post([done, why] { done(fail(why)); }); }, nullptr});
}

void Persister::add(Step job) {
  {
    const std::lock_guard lock(mutex_);
    SKEP_ASSERT(jobs_.size() < kJobsMax, "callers wait for completions before they ask for more");
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

void Persister::add_long(Long job) {
  {
    const std::lock_guard lock(mutex_);
    SKEP_ASSERT(long_.size() < kJobsMax, "callers wait for completions before they ask for more");
    long_.push_back(std::move(job));
  }
  changed_.notify_one();
}

bool Persister::wait(Step* urgent, bool* slice) {
  std::deque<Long> given_up;
  {
    std::unique_lock lock(mutex_);
    const auto long_ready = [this] {
      return !long_.empty() && (!long_.front().ready || long_.front().ready());
    };
    changed_.wait_for(lock, kRoomPeriod,
                      [&] { return stopping_ || !jobs_.empty() || long_ready(); });
    if (stopping_) given_up = std::exchange(long_, {});
    if (!jobs_.empty()) {
      *urgent = std::move(jobs_.front());
      jobs_.pop_front();
    }
    *slice = long_ready();
    if (stopping_ && !*urgent && given_up.empty()) return false;
  }
  for (const Long& job : given_up) job.give_up({ErrorKind::cancelled, "the daemon is stopping"});
  return true;
}

void Persister::run() {
  look_around();
  for (;;) {
    Step urgent;
    bool slice = false;
    if (!wait(&urgent, &slice)) return;
    if (urgent) urgent(*store_);
    if (slice) run_slice();
    look_around();
  }
}

// Others only add at the end, so the first one stays where it is without the lock.
void Persister::run_slice() {
  Long* first = nullptr;
  {
    const std::lock_guard lock(mutex_);
    first = &long_.front();
  }
  if (!first->step(*store_)) return;
  Long finished;  // dropped without the lock: it may hold a big state
  const std::lock_guard lock(mutex_);
  finished = std::move(long_.front());
  long_.pop_front();
}

// After the completions are on their way: nobody waits for this but the next one.
void Persister::look_around() {
  // A failure is kept by the store, and the next persist hears of it.
  const Status tidied = store_->tidy();
  if (!tidied || !room_changed_) return;
  const DiskRoom room = store_->room();
  if (read_only_ == room.read_only.has_value()) return;
  read_only_ = room.read_only.has_value();
  post([this_room = room, tell = room_changed_] { tell(this_room); });
}

}  // namespace skep::storage
