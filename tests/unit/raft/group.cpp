// The group's disks, network and checks; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/raft/group.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace skep::raft {
namespace {

const model::ClusterId kCluster{{7, 7}};
constexpr size_t kMovesMax = 100'000;

std::string bytes_of(const std::vector<std::string>& applied) {
  std::string bytes;
  for (const std::string& one : applied) bytes += one + '\n';
  return bytes;
}

}  // namespace

Message message(uint64_t from, uint64_t to, uint64_t term, MessageBody body) {
  return {kCluster, {}, {}, {from}, {to}, {term}, std::move(body)};
}

Entry entry(uint64_t term, uint64_t index, std::string bytes, EntryKind kind) {
  return {{term}, {index}, kind, std::make_shared<const std::string>(std::move(bytes))};
}

bool asserts(const std::function<void()>& action) {
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // The test program's own handlers would report the signal as a failure of the test.
    std::signal(SIGABRT, SIG_DFL);
    std::fclose(stderr);
    action();
    std::_Exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

Configuration voters(std::vector<uint64_t> ids) {
  Configuration configuration;
  for (const uint64_t id : ids) configuration.voters.push_back({id});
  return configuration;
}

Configuration with_learners(Configuration configuration, std::vector<uint64_t> ids) {
  for (const uint64_t id : ids) configuration.learners.push_back({id});
  return configuration;
}

Group::Filter cut_off(uint64_t id) {
  return [id](const Message& m) { return m.from == RaftId{id} || m.to == RaftId{id}; };
}

Group::Filter between(uint64_t a, uint64_t b) {
  return [a, b](const Message& m) {
    return (m.from == RaftId{a} && m.to == RaftId{b}) || (m.from == RaftId{b} && m.to == RaftId{a});
  };
}

Group::Group(const Configuration& first, uint64_t count, uint64_t seed) : seed_(seed) {
  for (uint64_t id = 1; id <= count; ++id) {
    Member& member = members_[id];
    if (first.contains({id})) member.disk.snapshot.configuration = first;
    restart(id);
  }
}

void Group::restart(uint64_t id) {
  Member& member = members_.at(id);
  Options options{{id}, kCluster, member.incarnation, std::mt19937_64(seed_ * 1000 + id), {}};
  seed_ += 17;
  Result<Raft> started = Raft::start(std::move(options), member.disk, now_);
  INFO((started ? "" : started.error().message));
  REQUIRE(started.has_value());
  member.raft.emplace(std::move(*started));
  load(member);
}

void Group::crash(uint64_t id) {
  Member& member = members_.at(id);
  member.raft.reset();
  member.asked.reset();
}

void Group::load(Member& member) {
  member.applied.clear();
  member.applied_index = member.disk.snapshot.index;
  std::string line;
  for (const char c : member.snapshot) {
    if (c == '\n') {
      member.applied.push_back(line);
      line.clear();
    } else {
      line += c;
    }
  }
}

void Group::step(uint64_t id, Input input) {
  Member& member = members_.at(id);
  if (!member.raft) return;
  carry_out(id, member.raft->step(std::move(input), now_));
  check(id);
}

void Group::carry_out(uint64_t id, Output output) {
  Member& member = members_.at(id);
  if (output.persist) {
    REQUIRE_FALSE(member.asked.has_value());
    member.asked = std::move(output.persist);
  }
  for (Message& message : output.messages) bag.push_back(std::move(message));
  if (output.load_snapshot) {
    REQUIRE(member.disk.snapshot == *output.load_snapshot);
    member.loaded.push_back(*output.load_snapshot);
    load(member);
  }
  for (const Committed& one : output.committed) apply(member, one);
  const auto keep = [](auto& from, auto& to) { to.insert(to.end(), from.begin(), from.end()); };
  keep(output.role_changes, member.roles);
  keep(output.committed, member.committed);
  keep(output.dropped, member.dropped);
  keep(output.reads, member.reads);
  keep(output.refused, member.refused);
  if (output.compact_through) {
    std::erase_if(member.disk.entries,
                  [&](const Entry& e) { return e.index <= *output.compact_through; });
  }
  for (const ReadChunk& wanted : output.read_chunks) step(id, read_chunk(member, wanted));
  if (output.store_chunk) step(id, store_chunk(member, *output.store_chunk));
}

void Group::apply(Member& member, const Committed& one) {
  REQUIRE(one.entry.index == member.applied_index.next());
  member.applied_index = one.entry.index;
  if (one.entry.kind == EntryKind::normal) member.applied.push_back(*one.entry.bytes);
  const auto [known, fresh] = committed.emplace(one.entry.index, one.entry);
  REQUIRE(known->second.term == one.entry.term);
  REQUIRE(*known->second.bytes == *one.entry.bytes);
}

void Group::check(uint64_t id) {
  const Raft& raft = *members_.at(id).raft;
  REQUIRE(raft.commit() <= raft.last_index());
  REQUIRE(raft.handed_out() <= raft.commit());
  REQUIRE(raft.snapshot_index() <= raft.handed_out());
  if (!raft.is_leader()) return;
  const auto [known, fresh] = leaders.emplace(raft.term(), raft.self());
  REQUIRE(known->second == raft.self());
}

bool Group::flush(uint64_t id) {
  Member& member = members_.at(id);
  if (!member.raft || !member.asked) return false;
  const Persist done = *std::exchange(member.asked, std::nullopt);
  std::vector<Entry>& entries = member.disk.entries;
  if (done.install) {
    REQUIRE(done.entries.empty());
    REQUIRE(member.arriving == done.install->index);
    member.disk.snapshot = *done.install;
    member.snapshot = member.arrived;
    entries.clear();
  }
  if (done.truncate_from) {
    std::erase_if(entries, [&](const Entry& e) { return e.index >= *done.truncate_from; });
  }
  for (const Entry& entry : done.entries) {
    if (!entries.empty()) REQUIRE(entry.index == entries.back().index.next());
    entries.push_back(entry);
  }
  const Index end = entries.empty() ? member.disk.snapshot.index : entries.back().index;
  REQUIRE(done.hard_state.commit <= end);
  REQUIRE(done.hard_state.term >= member.disk.hard_state.term);
  member.disk.hard_state = done.hard_state;
  step(id, done.done());
  return true;
}

ChunkRead Group::read_chunk(const Member& member, const ReadChunk& wanted) const {
  ChunkRead chunk{wanted.to, wanted.at.index, wanted.offset, nullptr, 0, false};
  const bool there = member.disk.snapshot == wanted.at && wanted.offset <= member.snapshot.size();
  if (!there) return chunk;
  chunk.bytes =
      std::make_shared<const std::string>(member.snapshot.substr(wanted.offset, chunk_bytes));
  chunk.last = wanted.offset + chunk.bytes->size() == member.snapshot.size();
  return chunk;
}

ChunkStored Group::store_chunk(Member& member, const StoreChunk& chunk) {
  if (member.arriving != chunk.at.index) {
    member.arriving = chunk.at.index;
    member.arrived.clear();
  }
  const bool fits = chunk.offset == member.arrived.size();
  if (fits) member.arrived += *chunk.bytes;
  return {chunk.at.index, member.arrived.size(), fits && chunk.last};
}

void Group::deliver(size_t place, bool kept) {
  REQUIRE(place < bag.size());
  Message message = bag[place];
  if (!kept) bag.erase(bag.begin() + static_cast<std::ptrdiff_t>(place));
  if (dropped_by_the_network && dropped_by_the_network(message)) return;
  if (members_.contains(message.to.value)) step(message.to.value, message);
}

void Group::deliver_first(const Filter& fits) {
  for (size_t place = 0; place < bag.size(); ++place) {
    if (fits(bag[place])) return deliver(place);
  }
  FAIL("no such message is on its way");
}

size_t Group::count(const Filter& fits) const {
  return static_cast<size_t>(std::count_if(bag.begin(), bag.end(), fits));
}

void Group::settle() {
  size_t moves = 0;
  for (bool moved = true; moved;) {
    moved = false;
    while (!bag.empty()) {
      deliver(0);
      moved = true;
      REQUIRE(++moves < kMovesMax);
    }
    for (auto& [id, member] : members_) {
      if (!slow_disks.contains(id) && flush(id)) moved = true;
    }
  }
}

void Group::run(uint64_t ticks) {
  for (; ticks > 0; --ticks) {
    time_passes();
    for (auto& [id, member] : members_) tick(id);
    settle();
  }
}

bool Group::run_until(const std::function<bool()>& holds, uint64_t ticks) {
  for (; ticks > 0 && !holds(); --ticks) run(1);
  return holds();
}

// Its clock alone runs until it campaigns; the others keep still and vote.
bool Group::elect(uint64_t id) {
  now_ = {now_.value + kElectionTicksMin};  // nobody keeps faith with an earlier one
  for (uint64_t ticks = 0; ticks <= kElectionTicksMax && !raft(id).is_leader(); ++ticks) {
    time_passes();
    tick(id);
    settle();
  }
  return raft(id).is_leader();
}

void Group::snapshot(uint64_t id, uint64_t keep) {
  Member& member = members_.at(id);
  member.disk.snapshot = raft(id).snapshot_pointer(member.applied_index);
  member.snapshot = bytes_of(member.applied);
  step(id, SnapshotTaken{member.applied_index, keep});
}

ProposalId Group::propose(uint64_t id, std::string bytes) {
  const ProposalId proposal{++last_proposal_};
  step(id, Propose{proposal, std::move(bytes)});
  settle();
  return proposal;
}

std::string Group::describe() const {
  const auto list = [](const std::vector<RaftId>& ids) {
    std::string text = "{";
    for (const RaftId id : ids) text += " " + std::to_string(id.value);
    return text + " }";
  };
  std::string text;
  for (const auto& [id, member] : members_) {
    text += "\n" + std::to_string(id) + ": ";
    if (!member.raft) {
      text += "down";
      continue;
    }
    const Raft& raft = *member.raft;
    text += raft.role() == RoleName::leader ? "leader" : "";
    text += raft.role() == RoleName::candidate ? "candidate" : "";
    text += " term " + std::to_string(raft.term().value) + " last " +
            std::to_string(raft.log().last_term().value) + "/" +
            std::to_string(raft.last_index().value) + " commit " +
            std::to_string(raft.commit().value) + " snapshot " +
            std::to_string(raft.snapshot_index().value) + " voters " +
            list(raft.configuration().voters) + " learners " + list(raft.configuration().learners) +
            " outgoing " + list(raft.configuration().outgoing);
    for (const MemberProgress& one : raft.progress(now_)) {
      text += "\n     " + std::to_string(one.id.value) + " match " +
              std::to_string(one.match.value) + (one.active ? " active" : " silent") + " state " +
              std::to_string(static_cast<int>(one.state));
    }
  }
  return text;
}

std::optional<uint64_t> Group::leader() const {
  std::optional<uint64_t> found;
  for (const auto& [id, member] : members_) {
    if (!member.raft || !member.raft->leader_is_ready()) continue;
    if (!found || members_.at(*found).raft->term() < member.raft->term()) found = id;
  }
  return found;
}

}  // namespace skep::raft
