// One machine: a disk, a clock of its own, and a manager process while there is one.
//
// The process is to core/raft what the daemon is: it carries out each Output in its order, keeps
// one piece of disk work going at a time, applies what is committed, takes snapshots and answers
// clients. It may be cut off anywhere in between. The disk survives it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <variant>

#include "core/raft/raft.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/event.hpp"

namespace skep::sim {

class World;

class Host {
 public:
  Host(World& world, int number);
  ~Host();

  // A blank disk becomes that of a new member; its process starts.
  void found(raft::RaftId member, raft::Incarnation incarnation,
             const raft::SnapshotPointer& first);
  // Starts the process on what the disk holds. Nothing happens on a blank or a lost one.
  void start();
  // The process ends, the disk keeps what it flushed and some of the rest.
  void crash();
  // The process ends and the disk is blank.
  void wipe();
  // The same, and a process under the old id starts on a new log.
  void come_back_blank(raft::Incarnation incarnation);
  // The next output is carried out up to this many of its parts; then the process crashes.
  void crash_within(uint64_t parts) { parts_left_ = parts; }

  void tick(uint64_t run);
  void receive(raft::Message message);
  void disk_due(uint64_t run);
  void request(const Request& request);
  void change_configuration(raft::ProposalId id, raft::Configuration to);
  void transfer(raft::RaftId to);

  bool running() const { return process_ != nullptr; }
  // Blank: nobody's.
  bool blank() const { return !member_; }
  // Its disk was found damaged, or never had a log: it will not run again as this member.
  bool lost() const { return lost_; }
  // It will be found damaged when it is read again.
  void rot();
  // It has another disk than the member whose id it goes by: nobody may heed it.
  bool impostor() const { return impostor_; }
  bool is_well() const { return member_ && !lost_ && !rotten_ && !impostor_; }
  raft::RaftId member() const { return member_; }
  // Whether the log says on which disk that member is; of one that has left, nobody has to.
  bool knows_disk_of(raft::RaftId member) const;
  // Requires: running().
  const raft::Raft& raft() const;
  raft::Index applied() const;
  size_t waiting_requests() const;
  Disk& disk() { return *disk_; }

  // Percent of the true rate; takes effect with the next tick.
  uint64_t clock_percent = 100;
  // Nothing is done before that time; the clock may run on meanwhile or not.
  uint64_t paused_until_us = 0;
  bool clock_runs_on = false;
  // The disk answers nothing before that time.
  uint64_t disk_hangs_until_us = 0;
  uint64_t disk_max_us = 0;

 private:
  using Job = std::variant<raft::Persist, SaveSnapshot, raft::StoreChunk, raft::ReadChunk>;
  struct Read {
    Request request;
    raft::Index floor;
  };
  struct Process;

  void step(raft::Input input);
  void carry_out(raft::Output out);
  void hand_out(const raft::Output& out);
  // False: the process has just crashed.
  bool part_done();
  void apply(const raft::Committed& committed);
  void load(const raft::SnapshotPointer& at);
  void drop(const raft::Dropped& dropped);
  void read_at(const raft::ReadResult& result);
  void answer_reads();
  void take_snapshot();
  void add(Job job);
  void begin_job();
  void end_job();
  void fail_job(const Error& why);
  void trace_output(const raft::Output& out);

  World& world_;
  const int number_;
  std::unique_ptr<Disk> disk_;
  raft::RaftId member_;
  bool lost_ = false;
  bool rotten_ = false;
  bool impostor_ = false;
  uint64_t run_ = 0;
  std::optional<uint64_t> parts_left_;
  std::unique_ptr<Process> process_;
};

}  // namespace skep::sim
