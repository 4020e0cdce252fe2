// A group of members in one process, whose messages and disks move only when a test says so.
//
// Messages lie in a bag in the order of sending; a test delivers all, some, one, or drops or
// doubles them. A disk holds what was answered; what was asked for and not answered is lost in a
// crash. The state machine of a member is the list of its applied bytes, and that list is its
// snapshot. After every step the group is checked: one leader per term, the same entry committed
// everywhere at an index, and no entry handed out twice or out of order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/raft/raft.hpp"

namespace skep::raft {

Configuration voters(std::vector<uint64_t> ids);
Configuration with_learners(Configuration configuration, std::vector<uint64_t> ids);

struct Member {
  // What survives a crash.
  Restored disk;
  std::string snapshot;     // bytes of the state at disk.snapshot
  Incarnation incarnation;  // not told, so that configurations need not name disks
  // A snapshot on its way in.
  Index arriving;
  std::string arrived;

  // What does not.
  std::optional<Raft> raft;
  std::optional<Persist> asked;  // of the disk, not answered
  std::vector<std::string> applied;
  Index applied_index;

  // What the member said since the test last looked; a crash leaves it.
  std::vector<RoleChange> roles;
  std::vector<Committed> committed;
  std::vector<Dropped> dropped;
  std::vector<ReadResult> reads;
  std::vector<RefusedMessage> refused;
  std::vector<SnapshotPointer> loaded;
};

class Group {
 public:
  using Filter = std::function<bool(const Message&)>;

  // Members 1..count, running; those in no half of `first` begin as joiners.
  Group(const Configuration& first, uint64_t count, uint64_t seed = 1);

  Raft& raft(uint64_t id) { return *members_.at(id).raft; }
  Member& member(uint64_t id) { return members_.at(id); }
  Tick now() const { return now_; }

  // Steps and carries out everything but the persist.
  void step(uint64_t id, Input input);
  void tick(uint64_t id) { step(id, TimePassed{}); }
  void time_passes() { now_ = now_.next(); }
  // Answers the outstanding persist; false if there is none.
  bool flush(uint64_t id);
  // Delivers the message at this place of the bag; kept: it stays in the bag as well.
  void deliver(size_t place, bool kept = false);
  // Delivers the first message that fits; requires that there is one.
  void deliver_first(const Filter& fits);
  // Everything moves until nothing is left to move: messages, disks, chunks.
  void settle();
  // Ticks of everybody, each followed by settle().
  void run(uint64_t ticks);
  // run() until the condition holds; false if it does not within a long time.
  bool run_until(const std::function<bool()>& holds, uint64_t ticks = 400);
  bool elect(uint64_t id);

  void crash(uint64_t id);
  void restart(uint64_t id);
  bool up(uint64_t id) const { return members_.at(id).raft.has_value(); }
  size_t count(const Filter& fits) const;  // in the bag
  // A snapshot of everything applied there.
  void snapshot(uint64_t id, uint64_t keep);
  // Proposes at the leader and settles; the id of the proposal.
  ProposalId propose(uint64_t id, std::string bytes);

  std::optional<uint64_t> leader() const;
  // One line for each member, for the message of a failed check.
  std::string describe() const;

  std::deque<Message> bag;
  Filter dropped_by_the_network;  // none: nothing is lost
  std::set<uint64_t> slow_disks;  // are not flushed by settle()
  size_t chunk_bytes = 64;
  std::map<Term, RaftId> leaders;  // of all terms
  std::map<Index, Entry> committed;

 private:
  void carry_out(uint64_t id, Output output);
  void apply(Member& member, const Committed& committed);
  void load(Member& member);
  void check(uint64_t id);
  ChunkRead read_chunk(const Member& member, const ReadChunk& wanted) const;
  ChunkStored store_chunk(Member& member, const StoreChunk& chunk);

  uint64_t seed_;
  Tick now_{0};
  uint64_t last_proposal_ = 0;
  std::map<uint64_t, Member> members_;
};

// A message as the group's members send them.
Message message(uint64_t from, uint64_t to, uint64_t term, MessageBody body);
Entry entry(uint64_t term, uint64_t index, std::string bytes = "x",
            EntryKind kind = EntryKind::normal);

// True if it ends its process by an assertion.
bool asserts(const std::function<void()>& action);

// Filters.
Group::Filter cut_off(uint64_t id);             // nothing from or to it
Group::Filter between(uint64_t a, uint64_t b);  // in either direction
template <class Body>
bool is(const Message& message) {
  return std::holds_alternative<Body>(message.body);
}
template <class Body>
Group::Filter of(uint64_t from) {
  return [from](const Message& m) { return is<Body>(m) && m.from == RaftId{from}; };
}

}  // namespace skep::raft
