// The commands of a group; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/script/raft_group.hpp"

#include <algorithm>
#include <sstream>

#include "tests/script/raft_show.hpp"

namespace skep::script {
namespace {

const model::ClusterId kCluster{{1, 1}};
// Small, so that a snapshot of a few lines takes several.
constexpr size_t kChunkBytes = 16;

std::vector<raft::RaftId> ids_of(const std::string& list) {
  std::vector<raft::RaftId> ids;
  std::istringstream words(list);
  for (std::string one; std::getline(words, one, ',');) ids.push_back({std::stoull(one)});
  return ids;
}

raft::Configuration configuration_of(std::istream& words, uint64_t* count) {
  raft::Configuration configuration;
  for (std::string word; words >> word;) {
    const std::string key = word.substr(0, word.find('='));
    const std::string value = word.substr(word.find('=') + 1);
    if (key == "voters") configuration.voters = ids_of(value);
    if (key == "learners") configuration.learners = ids_of(value);
    if (key == "count" && count != nullptr) *count = std::stoull(value);
  }
  return configuration;
}

bool fits(const raft::Message& message, const std::string& pair) {
  return pair.empty() ||
         pair == std::to_string(message.from.value) + ">" + std::to_string(message.to.value);
}

// Each line with the member's number before it.
std::string by(uint64_t id, const std::string& lines) {
  std::string text;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) text += std::to_string(id) + ": " + line + "\n";
  return text;
}

uint64_t number(std::istream& words) {
  uint64_t value = 0;
  words >> value;
  return value;
}

}  // namespace

RaftGroup::RaftGroup(std::istream& words) {
  uint64_t count = 0;
  const raft::Configuration first = configuration_of(words, &count);
  for (const raft::RaftId id : first.members()) count = std::max(count, id.value);
  for (uint64_t id = 1; id <= count; ++id) {
    if (first.contains({id})) members_[id].disk.snapshot.configuration = first;
    start(id);
  }
}

std::string RaftGroup::run(const std::string& command) {
  std::istringstream words(command);
  std::string verb;
  words >> verb;
  std::string rest;
  if (verb == "deliver" || verb == "drop") {
    words >> rest;
    return verb == "deliver" ? deliver(rest, Detail::everything) : drop(rest);
  }
  if (verb == "settle") return settle();
  if (verb == "run") return ticks(number(words));
  if (verb == "state") return state();
  if (verb == "heal") {
    cuts_.clear();
    return {};
  }
  if (verb == "cut") {
    const uint64_t a = number(words);
    const uint64_t b = number(words);
    cuts_.insert({a, b});
    cuts_.insert({b, a});
    return {};
  }
  if (verb == "messages") {
    for (const raft::Message& message : on_the_way_) rest += show(message) + "\n";
    return rest;
  }
  if (verb.find_first_not_of("0123456789") == std::string::npos) {
    return of_member(std::stoull(verb), words);
  }
  return "error: no such command\n";
}

std::string RaftGroup::of_member(uint64_t id, std::istream& words) {
  if (!members_.contains(id)) return "error: no such member\n";
  Member& member = members_.at(id);
  std::string verb;
  words >> verb;
  if (verb == "restart") return start(id);
  if (!member.raft) return "error: it is down\n";
  if (verb == "crash") {
    member.raft.reset();
    member.asked.reset();
    return {};
  }
  const Detail all = Detail::everything;
  if (verb == "campaign") return campaign(id);
  if (verb == "persisted") return persisted(id, all);
  if (verb == "read") return step(id, raft::ReadRequest{{number(words)}}, all);
  if (verb == "transfer") return step(id, raft::TransferLeadership{{number(words)}}, all);
  if (verb == "change") {
    const raft::ProposalId proposal{number(words)};
    return step(id, raft::ChangeConfiguration{proposal, configuration_of(words, nullptr)}, all);
  }
  if (verb == "propose") {
    const raft::ProposalId proposal{number(words)};
    std::string bytes;
    words >> bytes;
    return step(id, raft::Propose{proposal, bytes}, all);
  }
  if (verb == "tick") {
    std::string text;
    for (uint64_t left = number(words); left > 0; --left) {
      now_ = now_.next();
      text += step(id, raft::TimePassed{}, all);
    }
    return text;
  }
  if (verb == "snapshot") {
    std::string keep;
    words >> keep;
    member.disk.snapshot = member.raft->snapshot_pointer(member.applied_index);
    member.snapshot.clear();
    for (const std::string& line : member.applied) member.snapshot += line + "\n";
    const uint64_t kept = std::stoull(keep.substr(keep.find('=') + 1));
    return step(id, raft::SnapshotTaken{member.applied_index, kept}, all);
  }
  return "error: no such command\n";
}

std::string RaftGroup::start(uint64_t id) {
  Member& member = members_[id];
  raft::Options options{{id}, kCluster, {1}, std::mt19937_64(id), {}};
  auto started = raft::Raft::start(std::move(options), member.disk, now_);
  if (!started) return "refused: " + started.error().message + "\n";
  member.raft.emplace(std::move(*started));
  member.applied.clear();
  member.applied_index = member.disk.snapshot.index;
  std::istringstream lines(member.snapshot);
  for (std::string line; std::getline(lines, line);) member.applied.push_back(line);
  return {};
}

std::string RaftGroup::step(uint64_t id, raft::Input input, Detail detail) {
  return carry_out(id, members_.at(id).raft->step(std::move(input), now_), detail);
}

std::string RaftGroup::carry_out(uint64_t id, raft::Output output, Detail detail) {
  Member& member = members_.at(id);
  std::string text = by(id, detail == Detail::news ? show_news(output) : show(output));
  if (output.persist) member.asked = output.persist;
  for (raft::Message& message : output.messages) {
    if (detail == Detail::everything) text += show(message) + "\n";
    on_the_way_.push_back(std::move(message));
  }
  if (output.load_snapshot) {
    member.applied.clear();
    member.applied_index = output.load_snapshot->index;
    std::istringstream lines(member.snapshot);
    for (std::string line; std::getline(lines, line);) member.applied.push_back(line);
  }
  for (const raft::Committed& one : output.committed) {
    member.applied_index = one.entry.index;
    if (one.entry.kind == raft::EntryKind::normal) member.applied.push_back(*one.entry.bytes);
  }
  if (output.compact_through) {
    std::erase_if(member.disk.entries,
                  [&](const raft::Entry& entry) { return entry.index <= *output.compact_through; });
  }
  for (const raft::ReadChunk& wanted : output.read_chunks) {
    raft::ChunkRead chunk{wanted.to, wanted.at.index, wanted.offset, nullptr, 0, false};
    if (member.disk.snapshot == wanted.at && wanted.offset <= member.snapshot.size()) {
      chunk.bytes =
          std::make_shared<const std::string>(member.snapshot.substr(wanted.offset, kChunkBytes));
      chunk.last = wanted.offset + chunk.bytes->size() == member.snapshot.size();
    }
    text += step(id, chunk, detail);
  }
  if (!output.store_chunk) return text;
  const raft::StoreChunk& chunk = *output.store_chunk;
  if (member.arriving != chunk.at.index) member.arrived.clear();
  member.arriving = chunk.at.index;
  const bool next = chunk.offset == member.arrived.size();
  if (next) member.arrived += *chunk.bytes;
  return text + step(id,
                     raft::ChunkStored{chunk.at.index, member.arrived.size(), next && chunk.last},
                     detail);
}

std::string RaftGroup::persisted(uint64_t id, Detail detail) {
  Member& member = members_.at(id);
  if (!member.asked) return "error: nothing was to be persisted\n";
  const raft::Persist done = *std::exchange(member.asked, std::nullopt);
  if (done.install) {
    member.disk.snapshot = *done.install;
    member.snapshot = member.arrived;
    member.disk.entries.clear();
  }
  if (done.truncate_from) {
    std::erase_if(member.disk.entries,
                  [&](const raft::Entry& entry) { return entry.index >= *done.truncate_from; });
  }
  member.disk.entries.insert(member.disk.entries.end(), done.entries.begin(), done.entries.end());
  member.disk.hard_state = done.hard_state;
  return step(id, done.done(), detail);
}

std::string RaftGroup::campaign(uint64_t id) {
  std::string text;
  for (uint64_t i = 0; i <= raft::kElectionTicksMax; ++i) {
    now_ = now_.next();
    text += step(id, raft::TimePassed{}, Detail::everything);
    if (members_.at(id).raft->role() == raft::RoleName::candidate) break;
  }
  return text;
}

std::string RaftGroup::deliver(const std::string& pair, Detail detail) {
  std::string text;
  // What is sent meanwhile lies behind and waits for the next command.
  for (size_t left = on_the_way_.size(); left > 0; --left) {
    raft::Message message = std::move(on_the_way_.front());
    on_the_way_.pop_front();
    if (!fits(message, pair)) {
      on_the_way_.push_back(std::move(message));
      continue;
    }
    const uint64_t to = message.to.value;
    if (cuts_.contains({message.from.value, to}) || !members_.at(to).raft) continue;
    text += step(to, std::move(message), detail);
  }
  return text;
}

std::string RaftGroup::drop(const std::string& pair) {
  std::erase_if(on_the_way_, [&](const raft::Message& message) { return fits(message, pair); });
  return {};
}

std::string RaftGroup::settle() {
  std::string text;
  for (bool moved = true; moved;) {
    moved = !on_the_way_.empty();
    text += deliver("", Detail::news);
    for (auto& [id, member] : members_) {
      if (!member.raft || !member.asked) continue;
      text += persisted(id, Detail::news);
      moved = true;
    }
  }
  return text;
}

std::string RaftGroup::ticks(uint64_t count) {
  std::string text;
  for (; count > 0; --count) {
    now_ = now_.next();
    for (auto& [id, member] : members_) {
      if (member.raft) text += step(id, raft::TimePassed{}, Detail::news);
    }
    text += settle();
  }
  return text;
}

std::string RaftGroup::state() const {
  std::ostringstream text;
  for (const auto& [id, member] : members_) {
    text << id << ": ";
    if (!member.raft) {
      text << "down\n";
      continue;
    }
    const raft::Raft& raft = *member.raft;
    text << name(raft.role()) << " term=" << raft.term().value << " leader=" << raft.leader().value
         << " commit=" << raft.commit().value << " last=" << raft.last_index().value
         << " snapshot=" << raft.snapshot_index().value << " " << show(raft.configuration())
         << "\n";
  }
  return text.str();
}

}  // namespace skep::script
