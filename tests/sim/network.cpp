// Chance on the way; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/network.hpp"

#include "tests/sim/world.hpp"

namespace skep::sim {
namespace {

std::array<uint64_t, 3> words_of(const raft::Message& message) {
  if (const auto* b = std::get_if<raft::VoteRequest>(&message.body)) {
    return {b->pre_vote, b->last_index.value, b->last_term.value};
  }
  if (const auto* b = std::get_if<raft::VoteReply>(&message.body)) {
    return {b->pre_vote, b->granted, 0};
  }
  if (const auto* b = std::get_if<raft::AppendRequest>(&message.body)) {
    return {b->previous_index.value, b->entries.size(), b->round};
  }
  if (const auto* b = std::get_if<raft::AppendReply>(&message.body)) {
    return {b->rejected, b->rejected ? b->conflict_index.value : b->match.value, b->round};
  }
  if (const auto* b = std::get_if<raft::SnapshotChunk>(&message.body)) {
    return {b->at.index.value, b->offset, b->last};
  }
  if (const auto* b = std::get_if<raft::SnapshotReply>(&message.body)) {
    return {b->index.value, b->received, b->installed};
  }
  return {};
}

constexpr const char* kNames[] = {"vote request", "vote reply",   "append",
                                  "append reply", "chunk",        "chunk reply",
                                  "timeout now",  "read request", "read reply"};

}  // namespace

void trace(World& world, What what, int host, raft::RaftId other, const raft::Message& message) {
  const std::array<uint64_t, 3> words = words_of(message);
  world.note(what, host, {other.value, message.term.value, words[0], words[1], words[2]},
             kNames[message.body.index()]);
}

void Network::moved(raft::RaftId member, int host) {
  if (hosts_.size() <= member.value) hosts_.resize(member.value + 1, 0);
  hosts_[member.value] = host;
}

std::optional<uint64_t> Network::delay() {
  Random& random = world_.random();
  const Profile& profile = world_.profile();
  const uint64_t usual = 100 + random.below(profile.delay_max_us);
  if (healed_) return usual;
  if (random.per_mille(profile.lost)) return std::nullopt;
  if (random.per_mille(profile.slow)) return random.below(profile.slow_max_us);
  return usual;
}

void Network::send(int from, raft::Message message) {
  if (message.to.value >= hosts_.size()) {
    return world_.checker().fail("a message to a member that never was");
  }
  const int to = host_of(message.to);
  const std::optional<uint64_t> delayed = delay();
  if (!delayed || is_cut(from, to)) {
    return trace(world_, What::lose, from, message.to, message);
  }
  trace(world_, What::send, from, message.to, message);
  const Profile& profile = world_.profile();
  if (!healed_ && world_.random().per_mille(profile.doubled)) {
    if (const std::optional<uint64_t> again = delay()) world_.after(*again, Arrival{to, message});
  }
  if (!healed_ && profile.replayed != 0) {
    if (!old_.empty() && world_.random().per_mille(profile.replayed)) {
      const raft::Message& old = old_[world_.random().below(old_.size())];
      world_.after(*delayed, Arrival{host_of(old.to), old});
    }
    if (world_.random().per_mille(100)) old_.push_back(message);
    if (old_.size() > kOldMessages) old_.pop_front();
  }
  if (!healed_ && world_.random().per_mille(profile.foreign)) send_foreign(message, *delayed);
  world_.after(*delayed, Arrival{to, std::move(message)});
}

void Network::send_foreign(raft::Message message, uint64_t delay) {
  bool other_disk = false;
  switch (world_.random().below(3)) {
    case 0:
      message.cluster = {{2, 2}};
      break;
    case 1:
      message.generation = message.generation.previous();
      break;
    default:
      message.incarnation = message.incarnation.previous();
      other_disk = true;
      break;
  }
  message.term.value += world_.random().below(3);
  if (auto* vote = std::get_if<raft::VoteReply>(&message.body)) vote->granted = true;
  if (auto* reply = std::get_if<raft::AppendReply>(&message.body)) {
    reply->rejected = false;
    reply->match.value += 2;
  }
  const int to = host_of(message.to);
  world_.after(delay, Arrival{to, std::move(message), other_disk});
}

void Network::cut() {
  Random& random = world_.random();
  const int hosts = world_.hosts();
  cut_ = {};
  cut_number_ += 1;
  const bool one_way = random.below(3) == 0;
  // One host, or a random half, against the rest; or single links.
  const uint64_t kind = random.below(3);
  uint64_t side = kind == 0 ? uint64_t{1} << random.below(static_cast<uint64_t>(hosts))
                            : random.below(uint64_t{1} << hosts);
  for (int from = 0; from < hosts; ++from) {
    for (int to = 0; to < hosts; ++to) {
      const bool from_in = (side >> from & 1) != 0;
      const bool to_in = (side >> to & 1) != 0;
      if (kind == 2) {
        cut_[from][to] = from != to && random.below(4) == 0;
      } else {
        cut_[from][to] = one_way ? from_in && !to_in : from_in != to_in;
      }
    }
  }
  world_.note(What::network_fault, -1, {side}, one_way ? "one-way cut" : "cut");
  world_.after(random.between(200 * kMillisecond, 8 * kSecond), CutOver{cut_number_});
}

void Network::cut_over(uint64_t cut) {
  if (cut != cut_number_) return;
  cut_ = {};
  world_.note(What::network_fault, -1, {}, "cut over");
}

void Network::heal() {
  healed_ = true;
  cut_ = {};
}

}  // namespace skep::sim
