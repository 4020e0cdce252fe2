// The one thread that waits for the disk, so that the daemon's loop never does.
//
// What consensus waits for (persists, chunks) is done in the order it was asked for, one piece at a
// time. Work that may be long (saving and loading a snapshot, compacting) goes beside it in slices,
// one between two such pieces, so that a persist never waits for more than one slice. Each
// completion is posted to the loop. After the first failed write of the log every later piece fails
// with the same reason, without touching the disk (the store's latch).
//
// The destructor finishes the persists and chunks that were asked for and gives the long work up,
// then joins the thread; completions posted by then still run if the loop does, so what they
// capture must outlive the loop's run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "daemon/storage/log_store.hpp"

namespace skep::storage {

class Persister {
 public:
  // Runs on the loop: at the beginning, and when `read_only` comes or goes.
  using RoomChanged = std::function<void(const DiskRoom&)>;

  // Takes the store over; `loop` outlives the persister.
  Persister(boost::asio::io_context& loop, std::unique_ptr<LogStore> store,
            RoomChanged room_changed = nullptr);
  ~Persister();
  Persister(const Persister&) = delete;
  Persister& operator=(const Persister&) = delete;

  // Any thread; none of them blocks. `done` runs on the loop.
  using Done = std::function<void(Status)>;
  void persist(raft::Persist batch, Done done);

  // The answers are what consensus takes, also when the disk fails: then without bytes, or with
  // nothing received. `why` is for the log.
  void read_chunk(raft::ReadChunk read, std::function<void(raft::ChunkRead, Status why)> done);
  void store_chunk(raft::StoreChunk chunk, std::function<void(raft::ChunkStored, Status why)> done);

  // `write` gives the state to the sink in pieces of any size (which are copied; no second copy of
  // the whole is made) and ends when the sink fails. It runs on a thread of its own, which waits
  // when the disk is behind, so that serialising a big state holds up neither the loop nor a
  // persist: what it captures must be immutable.
  using SnapshotSink = std::function<Status(std::string_view)>;
  using SnapshotWrite = std::function<Status(const SnapshotSink&)>;
  void save_snapshot(raft::SnapshotPointer at, SnapshotWrite write, Done done);
  // The snapshot on the disk (Output::load_snapshot). ErrorKind::conflict if that is another one
  // by now.
  void load_snapshot(raft::SnapshotPointer at, std::function<void(Result<Snapshot>)> done);
  void compact(raft::Index through, Done done);
  // See LogStore. Does nothing if that key is in force. True: something is still sealed with an
  // older data key, until a snapshot and a cut come.
  void set_unlock_key(std::optional<UnlockKey> key, std::function<void(Result<bool>)> done);

 private:
  // Does a slice; true when there is no more to do and the completion was posted.
  using Step = std::function<bool(LogStore&)>;
  struct Long {
    Step step;
    std::function<void(Error)> give_up;
    std::function<bool()> ready;  // under mutex_: a slice can be done now; null: always
  };
  // A snapshot that is being made: the hand-over from its thread to the storage thread.
  struct Saving {
    raft::SnapshotPointer at;
    bool begun = false;              // the storage thread's
    std::deque<std::string> pieces;  // under mutex_, as what follows
    std::optional<Status> ended;     // what `write` said
    bool cancelled = false;
    std::condition_variable changed;
    std::thread thread;
  };
  static constexpr size_t kPiecesMax = 4;
  // More than these means that someone does not wait for completions.
  static constexpr size_t kJobsMax = 1024;
  // How soon a disk that others fill up is noticed.
  static constexpr std::chrono::seconds kRoomPeriod{5};

  void add(Step job);
  void add_long(Long job);
  void produce(Saving& saving, const SnapshotWrite& write);
  Status hand_over(Saving& saving, std::string_view bytes);
  // One slice; true when the snapshot stands.
  Result<bool> save_some(LogStore& store, Saving& saving);
  void end(Saving& saving);
  template <class Completion>
  void post(Completion completion);
  // Takes what is to be done next; false when there is nothing left and the end has come.
  bool wait(Step* urgent, bool* slice);
  void run();
  void run_slice();
  void look_around();

  boost::asio::io_context& loop_;
  std::unique_ptr<LogStore> store_;  // the storage thread's alone
  RoomChanged room_changed_;
  std::optional<bool> read_only_;  // as last told; the storage thread's
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Step> jobs_;  // under mutex_
  std::deque<Long> long_;  // under mutex_; the first is at work, its functions the storage thread's
  bool stopping_ = false;  // under mutex_
  std::thread thread_;     // last: starts when the rest stands
};

}  // namespace skep::storage
