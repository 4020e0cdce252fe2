// The process around the core: outputs in their order, disk work in its; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/host.hpp"

#include <algorithm>

#include "tests/sim/world.hpp"

namespace skep::sim {
namespace {

// The whole state is hashed at these indexes only; the store's hash costs an encoding of it all.
constexpr uint64_t kHashEvery = 32;

}  // namespace

struct Host::Process {
  raft::Raft raft;
  std::unique_ptr<StateMachine> machine;
  uint64_t run = 0;
  raft::Tick now;
  uint64_t last_tick_us = 0;
  raft::Index applied;
  std::deque<Job> jobs;
  bool disk_busy = false;
  bool disk_broken = false;
  bool saving = false;
  std::map<raft::ProposalId, Request> writes;
  std::set<raft::ProposalId> changes;
  std::map<raft::ReadId, Read> reads;
  std::multimap<raft::Index, Request> ready_reads;  // wait for their index to be applied
};

Host::Host(World& world, int number) : world_(world), number_(number), disk_(world.make_disk()) {}
Host::~Host() = default;

const raft::Raft& Host::raft() const {
  return process_->raft;
}
raft::Index Host::applied() const {
  return process_->applied;
}
size_t Host::waiting_requests() const {
  return process_->writes.size() + process_->reads.size() + process_->ready_reads.size();
}

void Host::found(raft::RaftId member, raft::Incarnation incarnation,
                 const raft::SnapshotPointer& first) {
  wipe();
  disk_->faults() = {};
  member_ = member;
  const Status made = disk_->format(member, incarnation, first);
  SKEP_ASSERT(made.has_value(), "a disk without faults takes a new log");
  start();
}

void Host::start() {
  if (process_ || lost_ || !member_) return;
  Result<std::optional<Contents>> found = disk_->load();
  if (!found) {
    // What can't be read now may be read later; what is damaged stays so.
    lost_ = found.error().kind == ErrorKind::internal;
    world_.note(What::disk_fault, number_, {lost_}, "does not load");
    if (!lost_) world_.after(2 * kSecond, RestartDue{number_});
    return;
  }
  SKEP_ASSERT(found->has_value(), "a member's disk is not blank");
  if (rotten_) return world_.checker().fail("a damaged journal was loaded");
  Contents& contents = **found;
  world_.checker().started(contents);
  if (world_.checker().failure()) return;
  const raft::SnapshotPointer at = contents.restored.snapshot;
  const raft::HardState hard = contents.restored.hard_state;
  raft::Options options;
  options.self = member_;
  options.cluster = world_.cluster();
  options.incarnation = contents.incarnation;
  options.generation = {1};
  options.random = world_.random().fork();
  Result<raft::Raft> raft =
      raft::Raft::start(std::move(options), std::move(contents.restored), raft::Tick{1});
  if (!raft) {
    world_.checker().fail("h" + std::to_string(number_) +
                          " does not start: " + raft.error().message);
    return;
  }
  run_ += 1;
  process_ = std::make_unique<Process>(
      Process{std::move(*raft), world_.make_machine(), run_, raft::Tick{1}, world_.now_us()});
  world_.note(What::start, number_,
              {member_.value, hard.term.value, hard.commit.value, at.index.value,
               process_->raft.last_index().value});
  if (at.index) load(at);
  world_.after(world_.random().below(kTickUs), TickDue{number_, run_});
}

void Host::crash() {
  if (!process_) return;
  world_.note(What::crash, number_, {member_.value});
  process_.reset();
  parts_left_.reset();
  disk_->lose_power(world_.random());
}

void Host::wipe() {
  crash();
  if (member_) world_.checker().forget(member_);
  disk_->wipe();
  member_ = {};
  lost_ = false;
  rotten_ = false;
  impostor_ = false;
}

void Host::come_back_blank(raft::Incarnation incarnation) {
  crash();
  world_.checker().disown(member_);
  disk_->wipe();
  disk_->faults() = {};
  impostor_ = true;
  const Status made = disk_->format(member_, incarnation, {});
  SKEP_ASSERT(made.has_value(), "a disk without faults takes a new log");
  start();
}

void Host::rot() {
  crash();
  rotten_ = disk_->rot(world_.random());
  world_.note(What::disk_fault, number_, {rotten_}, "rots");
}

// --- inputs ----------------------------------------------------------------------------------

void Host::tick(uint64_t run) {
  if (!process_ || process_->run != run) return;
  const uint64_t interval = kTickUs * 100 / clock_percent;
  const uint64_t passed = world_.now_us() - process_->last_tick_us;
  process_->now.value += clock_runs_on ? std::max<uint64_t>(1, passed / interval) : 1;
  process_->last_tick_us = world_.now_us();
  world_.after(interval, TickDue{number_, run});
  step(raft::TimePassed{});
}

bool Host::knows_disk_of(raft::RaftId member) const {
  return process_ && raft().configuration().disk_of(member) != raft::Incarnation{};
}

void Host::receive(raft::Message message) {
  if (!process_) return;
  trace(world_, What::deliver, number_, message.from, message);
  step(std::move(message));
}

void Host::request(const Request& request) {
  if (!process_) return;
  world_.note(What::request, number_,
              {request.operation.client, request.operation.sequence, request.operation.attempt,
               request.operation.key, request.operation.value},
              request.is_write ? "write" : "read");
  if (request.is_write) {
    const raft::ProposalId id{world_.next_id()};
    process_->writes.emplace(id, request);
    step(raft::Propose{id, process_->machine->encode(request.operation)});
  } else {
    const raft::ReadId id{world_.next_id()};
    process_->reads.emplace(id, Read{request, world_.checker().read_floor()});
    step(raft::ReadRequest{id});
  }
}

void Host::change_configuration(raft::ProposalId id, raft::Configuration to) {
  if (!process_) return;
  process_->changes.insert(id);
  step(raft::ChangeConfiguration{id, std::move(to)});
}

void Host::transfer(raft::RaftId to) {
  if (process_) step(raft::TransferLeadership{to});
}

void Host::step(raft::Input input) {
  raft::Output out = process_->raft.step(std::move(input), process_->now);
  world_.count_step();
  if (out.persist) world_.checker().asked(member_, *out.persist, process_->raft);
  for (const raft::Message& message : out.messages) world_.checker().sent(message);
  world_.checker().stepped(process_->raft, out);
  trace_output(out);
  if (!world_.checker().failure()) carry_out(std::move(out));
}

void Host::trace_output(const raft::Output& out) {
  for (const raft::RoleChange& change : out.role_changes) {
    world_.note(What::role, number_,
                {member_.value, change.term.value, change.leader.value,
                 process_->raft.last_index().value, process_->raft.commit().value},
                change.reason);
  }
  if (out.persist) {
    const raft::Persist& p = *out.persist;
    world_.note(What::persist, number_,
                {p.epoch.value, p.hard_state.term.value, p.hard_state.vote.value,
                 p.truncate_from ? p.truncate_from->value : 0,
                 p.entries.empty() ? 0 : p.entries.back().index.value},
                p.install ? "install" : "");
  }
  for (const raft::RefusedMessage& refused : out.refused) {
    world_.note(What::refused, number_, {refused.from.value}, refused.why.message);
  }
}

// --- outputs ---------------------------------------------------------------------------------

bool Host::part_done() {
  if (!parts_left_) return true;
  if (*parts_left_ == 0) {
    crash();
    world_.restart_later(number_);
    return false;
  }
  parts_left_ = *parts_left_ - 1;
  return true;
}

void Host::carry_out(raft::Output out) {
  if (out.persist) {
    if (!part_done()) return;
    add(std::move(*out.persist));
    if (!process_) return;
  }
  for (raft::Message& message : out.messages) {
    if (!part_done()) return;
    world_.send(number_, std::move(message));
  }
  // Any work for the disk may begin what waited before it, fail there and end the process.
  for (raft::ReadChunk& chunk : out.read_chunks) {
    if (process_) add(std::move(chunk));
  }
  if (process_ && out.store_chunk) add(std::move(*out.store_chunk));
  if (!process_) return;
  if (!part_done()) return;
  hand_out(out);
  if (process_) take_snapshot();
}

void Host::hand_out(const raft::Output& out) {
  if (out.load_snapshot) load(*out.load_snapshot);
  for (const raft::Committed& committed : out.committed) apply(committed);
  for (const raft::Dropped& dropped : out.dropped) drop(dropped);
  for (const raft::ReadResult& read : out.reads) read_at(read);
  answer_reads();
}

void Host::apply(const raft::Committed& committed) {
  const raft::Index index = committed.entry.index;
  process_->applied = index;
  Applied applied;
  if (committed.entry.kind == raft::EntryKind::normal) {
    Result<Applied> result = process_->machine->apply(index.value, *committed.entry.bytes);
    if (!result) return world_.checker().fail("an entry can't be applied");
    applied = *result;
  }
  const bool is_operation = committed.entry.kind == raft::EntryKind::normal;
  std::optional<uint64_t> hash;
  if (index.value % kHashEvery == 0) hash = process_->machine->hash();
  world_.checker().applied(member_, index, is_operation ? &applied : nullptr, hash);
  world_.note(What::apply, number_,
              {index.value, committed.entry.term.value, static_cast<uint64_t>(committed.entry.kind),
               applied.operation.client, applied.operation.sequence});
  if (!committed.proposal) return;
  if (process_->changes.erase(*committed.proposal) != 0) {
    return world_.membership().changed(*committed.proposal, committed.entry);
  }
  const auto found = process_->writes.find(*committed.proposal);
  if (found == process_->writes.end()) return world_.checker().fail("an answer nobody waits for");
  const Operation& asked = found->second.operation;
  if (asked.attempt != applied.operation.attempt) {
    return world_.checker().fail("a proposal is answered with another's entry");
  }
  if (!applied.overtaken) world_.checker().acknowledged(asked);
  world_.answer(number_, {applied.overtaken ? AnswerKind::overtaken : AnswerKind::done,
                          asked.client,
                          asked.sequence,
                          asked.attempt,
                          applied.result,
                          {}});
  process_->writes.erase(found);
}

void Host::load(const raft::SnapshotPointer& at) {
  const Status loaded = process_->machine->load(at.index.value, disk_->state());
  if (!loaded) return world_.checker().fail(loaded.error().message);
  process_->applied = at.index;
  world_.note(What::load, number_, {at.index.value, at.term.value});
  world_.checker().loaded(member_, at, process_->machine->hash());
}

void Host::drop(const raft::Dropped& dropped) {
  const bool unknown = dropped.why.kind == ErrorKind::unknown_outcome;
  if (process_->changes.erase(dropped.proposal) != 0) {
    return world_.membership().dropped(dropped.proposal, dropped.why);
  }
  const auto found = process_->writes.find(dropped.proposal);
  if (found == process_->writes.end()) return world_.checker().fail("a drop nobody waits for");
  const Operation asked = found->second.operation;
  process_->writes.erase(found);
  if (!unknown) world_.checker().refused(asked.attempt);
  world_.answer(number_, {unknown ? AnswerKind::unknown : AnswerKind::refused,
                          asked.client,
                          asked.sequence,
                          asked.attempt,
                          {},
                          world_.likely_leader()});
}

void Host::read_at(const raft::ReadResult& result) {
  const auto found = process_->reads.find(result.read);
  if (found == process_->reads.end()) return world_.checker().fail("a read nobody waits for");
  const Read read = found->second;
  process_->reads.erase(found);
  if (!result.index) {
    const Operation& asked = read.request.operation;
    return world_.answer(number_, {AnswerKind::refused,
                                   asked.client,
                                   asked.sequence,
                                   asked.attempt,
                                   {},
                                   world_.likely_leader()});
  }
  if (*result.index < read.floor) {
    return world_.checker().fail("a read at entry " + std::to_string(result.index->value) +
                                 " that began after entry " + std::to_string(read.floor.value) +
                                 " was committed (13)");
  }
  process_->ready_reads.emplace(*result.index, read.request);
}

void Host::answer_reads() {
  auto& ready = process_->ready_reads;
  while (!ready.empty() && ready.begin()->first <= process_->applied) {
    const Operation asked = ready.begin()->second.operation;
    ready.erase(ready.begin());
    world_.answer(number_, {AnswerKind::done,
                            asked.client,
                            asked.sequence,
                            asked.attempt,
                            process_->machine->read(asked.key),
                            {}});
  }
}

void Host::take_snapshot() {
  Process& p = *process_;
  const Profile& profile = world_.profile();
  if (p.saving || p.applied.value < p.raft.snapshot_index().value + profile.snapshot_entries)
    return;
  p.saving = true;
  const raft::SnapshotPointer at = p.raft.snapshot_pointer(p.applied);
  world_.note(What::snapshot, number_, {at.index.value, at.term.value});
  world_.checker().applied(member_, at.index, nullptr, p.machine->hash());
  add(SaveSnapshot{at, p.machine->dump(), profile.keep_entries});
}

// --- the disk --------------------------------------------------------------------------------

void Host::add(Job job) {
  process_->jobs.push_back(std::move(job));
  if (!process_->disk_busy) begin_job();
}

void Host::begin_job() {
  Process& p = *process_;
  if (p.jobs.empty() || p.disk_broken) return;
  p.disk_busy = true;
  Status begun;
  if (const auto* batch = std::get_if<raft::Persist>(&p.jobs.front())) {
    begun = disk_->begin(*batch);
  } else if (const auto* snapshot = std::get_if<SaveSnapshot>(&p.jobs.front())) {
    begun = disk_->begin(*snapshot);
  }
  if (!begun) return fail_job(begun.error());
  world_.after(1 + world_.random().below(disk_max_us), DiskDue{number_, run_});
}

void Host::disk_due(uint64_t run) {
  if (!process_ || process_->run != run || process_->disk_broken) return;
  const Job& job = process_->jobs.front();
  if (std::holds_alternative<raft::Persist>(job) || std::holds_alternative<SaveSnapshot>(job)) {
    const Result<bool> complete = disk_->advance();
    if (!complete) return fail_job(complete.error());
    if (!*complete) {
      world_.after(1 + world_.random().below(disk_max_us), DiskDue{number_, run_});
      return;
    }
  }
  end_job();
}

void Host::end_job() {
  Process& p = *process_;
  Job job = std::move(p.jobs.front());
  p.jobs.pop_front();
  p.disk_busy = false;
  raft::Input input = raft::TimePassed{};
  if (auto* batch = std::get_if<raft::Persist>(&job)) {
    world_.checker().durable(member_, *batch);
    const raft::PersistDone done = batch->done();
    world_.note(What::durable, number_, {done.epoch.value, done.last_index.value});
    input = done;
  } else if (auto* snapshot = std::get_if<SaveSnapshot>(&job)) {
    p.saving = false;
    input = raft::SnapshotTaken{snapshot->at.index, snapshot->keep_entries};
  } else if (auto* chunk = std::get_if<raft::StoreChunk>(&job)) {
    if (world_.random().per_mille(world_.profile().damaged_chunks)) chunk->checksum ^= 1;
    input = disk_->store(*chunk);
  } else if (auto* wanted = std::get_if<raft::ReadChunk>(&job)) {
    input = disk_->read(*wanted, world_.profile().chunk_bytes);
  }
  step(std::move(input));
  if (process_ && process_->run == run_ && !process_->disk_busy) begin_job();
}

// As the daemon does: the core is told, and the process ends soon after.
void Host::fail_job(const Error& why) {
  Process& p = *process_;
  p.disk_broken = true;
  world_.note(What::disk_fault, number_, {}, why.message);
  raft::Epoch epoch;
  for (const Job& job : p.jobs) {
    if (const auto* batch = std::get_if<raft::Persist>(&job)) epoch = batch->epoch;
  }
  step(raft::PersistFailed{epoch, why.message});
  if (!process_) return;
  crash();
  world_.restart_later(number_);
}

}  // namespace skep::sim
