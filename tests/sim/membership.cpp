// Who shall be a member; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/membership.hpp"

#include <algorithm>

#include "tests/sim/invariants.hpp"
#include "tests/sim/world.hpp"

namespace skep::sim {
namespace {

// An answer that does not come by then is lost with the leader that owed it.
constexpr uint64_t kAnswerWithinUs = 20 * kSecond;
constexpr uint64_t kVotersMin = 1;

void add(std::vector<raft::RaftId>& to, raft::RaftId id) {
  to.insert(std::lower_bound(to.begin(), to.end(), id), id);
}
void take(std::vector<raft::RaftId>& from, raft::RaftId id) {
  std::erase(from, id);
}

}  // namespace

void Membership::found() {
  raft::SnapshotPointer first;
  for (uint64_t i = 1; i <= world_.profile().voters; ++i) {
    first.configuration.voters.push_back({i});
    first.configuration.disks.push_back({{i}, next_incarnation()});
  }
  last_member_ = world_.profile().voters;
  for (const raft::RaftId id : first.configuration.voters) {
    const int host = static_cast<int>(id.value) - 1;
    world_.network().moved(id, host);
    world_.host(host).found(id, first.configuration.disk_of(id), first);
  }
}

std::optional<int> Membership::leader() const {
  const std::optional<int> host = world_.likely_leader();
  if (!host || !world_.host(*host).raft().leader_is_ready()) return std::nullopt;
  return host;
}

bool Membership::is_well(raft::RaftId member) const {
  const Host& host = world_.host(world_.network().host_of(member));
  return host.member() == member && host.is_well();
}

bool Membership::is_safe(const raft::Configuration& configuration) const {
  return is_quorum(configuration, [&](raft::RaftId id) { return is_well(id); });
}

bool Membership::may_lose(raft::RaftId member) const {
  if (pending_) return false;
  // Any configuration that stands in any log may come into force again.
  for (uint64_t id = 1; id <= last_member_; ++id) {
    const raft::Configuration* one = world_.checker().configuration_of({id});
    if (one == nullptr || one->voters.empty()) continue;
    const auto is_left = [&](raft::RaftId other) { return other != member && is_well(other); };
    if (one->voters.size() < 3 || !is_quorum(*one, is_left)) return false;
  }
  return true;
}

bool Membership::is_known_by_disk(raft::RaftId member) const {
  for (uint64_t id = 1; id <= last_member_; ++id) {
    const raft::Configuration* one = world_.checker().configuration_of({id});
    if (one != nullptr && one->contains(member) && !one->disk_of(member)) return false;
  }
  return true;
}

// A member that never came in, or that left without our hearing of it, still holds its host.
void Membership::reclaim() {
  const std::optional<int> host = leader();
  if (!host) return;
  const raft::Configuration now = world_.host(*host).raft().configuration();
  for (const raft::RaftId id : now.members()) {
    const Host& of = world_.host(world_.network().host_of(id));
    if (of.member() != id || !of.running() || of.raft().configuration() != now) return;
  }
  for (int i = 0; i < world_.hosts(); ++i) {
    Host& idle = world_.host(i);
    if (!idle.blank() && !now.contains(idle.member())) return idle.wipe();
  }
}

raft::RaftId Membership::join() {
  for (int i = 0; i < world_.hosts(); ++i) {
    Host& host = world_.host(i);
    if (!host.blank()) continue;
    const raft::RaftId id{++last_member_};
    world_.network().moved(id, i);
    host.found(id, next_incarnation(), {});
    return id;
  }
  reclaim();
  return {};
}

std::optional<raft::Configuration> Membership::next(const raft::Configuration& now) {
  Random& random = world_.random();
  raft::Configuration to{now.voters, now.learners, {}, {}};
  const auto any = [&](const std::vector<raft::RaftId>& of) { return of[random.below(of.size())]; };
  // Damaged members go first: they are of no use to anybody.
  for (const raft::RaftId id : now.members()) {
    if (is_well(id) || random.below(2) == 0) continue;
    take(to.voters, id);
    take(to.learners, id);
    return to;
  }
  switch (random.below(6)) {
    case 0:
    case 1: {
      const raft::RaftId id = join();
      if (!id) return std::nullopt;
      add(to.learners, id);
      return to;
    }
    case 2: {
      if (to.learners.empty()) return std::nullopt;
      const raft::RaftId id = any(to.learners);
      take(to.learners, id);
      add(to.voters, id);
      return to;
    }
    case 3: {
      const raft::RaftId id = any(to.voters);
      take(to.voters, id);
      add(to.learners, id);
      return to;
    }
    case 4: {
      const raft::RaftId id = any(now.members());
      take(to.voters, id);
      take(to.learners, id);
      return to;
    }
    default: {
      // Every learner for as many voters.
      for (const raft::RaftId id : now.learners) {
        if (to.voters.size() > 1) take(to.voters, any(to.voters));
        take(to.learners, id);
        add(to.voters, id);
      }
      return to;
    }
  }
}

void Membership::change() {
  if (pending_ && world_.now_us() - pending_->since_us < kAnswerWithinUs) return;
  pending_.reset();
  const std::optional<int> host = leader();
  if (!host) return;
  const raft::Configuration now = world_.host(*host).raft().configuration();
  const std::optional<raft::Configuration> to = next(now);
  if (!to || *to == now || to->voters.size() < kVotersMin || !is_safe(*to)) return;
  pending_ = Pending{raft::ProposalId{world_.next_id()}, world_.now_us(), {}};
  for (const raft::RaftId id : now.members()) {
    if (!to->contains(id)) pending_->removed.push_back(id);
  }
  world_.note(What::membership, *host,
              {pending_->id.value, to->voters.size(), to->learners.size(), 0}, "asked");
  world_.host(*host).change_configuration(pending_->id, *to);
}

void Membership::transfer() {
  const std::optional<int> host = world_.likely_leader();
  if (!host) return;
  const std::vector<raft::RaftId> voters = world_.host(*host).raft().configuration().voters;
  raft::RaftId to;
  if (world_.random().below(2) == 0 && !voters.empty()) {
    to = voters[world_.random().below(voters.size())];
  }
  world_.note(What::membership, *host, {to.value}, "hand over");
  world_.host(*host).transfer(to);
}

void Membership::changed(raft::ProposalId id, const raft::Entry& entry) {
  world_.note(What::membership, -1, {id.value}, "changed");
  const Result<raft::Configuration> now = raft::decode_configuration(*entry.bytes);
  if (entry.kind != raft::EntryKind::configuration || !now || now->is_joint()) {
    return world_.checker().fail("a change of members is answered with another entry");
  }
  if (!pending_ || pending_->id != id) return;
  // Some go at once, some linger as members that nobody told.
  for (const raft::RaftId gone : pending_->removed) {
    if (now->contains(gone)) {
      world_.checker().fail("a member that was removed is still there");
      continue;
    }
    world_.after(world_.random().below(10 * kSecond),
                 RetireDue{world_.network().host_of(gone), gone});
  }
  pending_.reset();
}

void Membership::dropped(raft::ProposalId id, const Error& why) {
  world_.note(What::membership, -1, {id.value}, why.message);
  if (pending_ && pending_->id == id) pending_.reset();
}

void Membership::retire(int host, raft::RaftId member) {
  if (world_.host(host).member() == member) world_.host(host).wipe();
}

}  // namespace skep::sim
