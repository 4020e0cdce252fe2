// Safety, checked incrementally; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/invariants.hpp"

#include <algorithm>

namespace skep::sim {
namespace {

std::string at(raft::Index index) {
  return "entry " + std::to_string(index.value);
}
std::string who(raft::RaftId id) {
  return "member " + std::to_string(id.value);
}
std::string in(raft::Term term) {
  return "term " + std::to_string(term.value);
}

uint64_t chained(uint64_t before, const raft::Entry& entry) {
  return mix(mix(mix(before, entry.term.value), static_cast<uint64_t>(entry.kind)), *entry.bytes);
}

}  // namespace

Checker::Checker(bool store) : machine_(store ? make_store_registers() : make_registers()) {
  truth_.resize(1);
  commit_terms_.resize(1);
  chains_.resize(1);
}

void Checker::fail(std::string what) {
  if (!failure_) failure_ = std::move(what);
}

Checker::Member& Checker::member(raft::RaftId id) {
  if (members_.size() <= id.value) members_.resize(id.value + 1);
  return members_[id.value];
}

const raft::Configuration* Checker::configuration_of(raft::RaftId id) const {
  if (members_.size() <= id.value || members_[id.value].configurations.empty()) return nullptr;
  return &members_[id.value].configurations.back().second;
}

void Checker::forget(raft::RaftId id) {
  // What it had acknowledged still counts for what was committed by it, so only its end is marked.
  member(id).known = false;
}

// --- disks -----------------------------------------------------------------------------------

void Checker::started(const Contents& found) {
  if (disowned_.contains(found.member)) return;
  Member& of = member(found.member);
  const Member before = std::move(of);
  of = {};
  of.known = true;
  const raft::Restored& restored = found.restored;
  of.asked = of.durable = restored.hard_state;
  install(of, restored.snapshot);
  if (!restored.entries.empty()) {
    of.log.resize(std::min<size_t>(of.log.size(), restored.entries.front().index.value));
    for (const raft::Entry& entry : restored.entries) {
      if (entry.index.value != of.log.size()) return fail(who(found.member) + ": gap on its disk");
      append(of, found.member, entry);
    }
  }
  of.durable_last = of.log.size() - 1;
  of.handed_out = restored.snapshot.index;
  if (!before.known) return;
  if (of.durable.term < before.durable.term) fail(who(found.member) + ": its disk lost a term");
  if (of.durable.term == before.durable.term && before.durable.vote &&
      of.durable.vote != before.durable.vote) {
    fail(who(found.member) + ": its disk lost a vote");
  }
  if (of.durable_last < before.durable_last) fail(who(found.member) + ": its disk lost entries");
}

void Checker::install(Member& to, const raft::SnapshotPointer& at_end) {
  if (at_end.index.value >= truth_.size() || truth_[at_end.index.value].term != at_end.term) {
    fail("a snapshot at " + at(at_end.index) + " of " + in(at_end.term) + " is not what committed");
    return;
  }
  to.log.clear();
  for (uint64_t i = 0; i <= at_end.index.value; ++i) {
    to.log.push_back({truth_[i].term, truth_[i].chain});
  }
  to.configurations = {{at_end.index, at_end.configuration}};
}

void Checker::asked(raft::RaftId id, const raft::Persist& batch, const raft::Raft& raft) {
  if (disowned_.contains(id)) return;
  Member& of = member(id);
  if (batch.hard_state.term < of.asked.term) fail(who(id) + " writes an older term (7)");
  if (batch.hard_state.term == of.asked.term && of.asked.vote &&
      batch.hard_state.vote != of.asked.vote) {
    fail(who(id) + " changes its vote in " + in(of.asked.term) + " (2)");
  }
  if (batch.install) {
    if (!batch.entries.empty() || batch.truncate_from) fail(who(id) + ": an install with entries");
    if (batch.install->index < of.handed_out) fail(who(id) + ": an install that goes back (7)");
    install(of, *batch.install);
    of.durable_last = std::min(of.durable_last, batch.install->index.value);
  }
  if (failure_) return;
  if (batch.truncate_from) {
    check_truncation(of, id, *batch.truncate_from);
    if (failure_) return;
    of.log.resize(std::min<size_t>(of.log.size(), batch.truncate_from->value));
    of.durable_last = std::min(of.durable_last, of.log.size() - 1);
    while (of.configurations.back().first >= *batch.truncate_from) of.configurations.pop_back();
  }
  for (const raft::Entry& entry : batch.entries) {
    if (entry.index.value != of.log.size())
      return fail(who(id) + " writes a gap before " + at(entry.index) + " (6)");
    append(of, id, entry);
    if (failure_) return;
  }
  of.asked = batch.hard_state;
  if (batch.hard_state.commit.value >= of.log.size()) {
    fail(who(id) + " writes a commit index above its log (6)");
  }
  // The log in memory goes when the installation is durable; until then it is the old one.
  if (!batch.install) check_configuration(of, raft);
}

void Checker::durable(raft::RaftId id, const raft::Persist& batch) {
  if (disowned_.contains(id)) return;
  Member& of = member(id);
  of.durable = batch.hard_state;
  of.durable_last = of.log.size() - 1;
}

void Checker::append(Member& to, raft::RaftId id, const raft::Entry& entry) {
  const uint64_t chain = chained(to.log.back().chain, entry);
  const uint64_t index = to.log.size();
  if (chains_.size() <= index) chains_.resize(index + 1);
  const auto [found, is_new] = chains_[index].emplace(entry.term, chain);
  if (!is_new && found->second != chain) {
    fail(who(id) + ": " + at(entry.index) + " of " + in(entry.term) +
         " is not the one that another log has there, or not what is below it (3)");
  }
  to.log.push_back({entry.term, chain});
  if (entry.kind != raft::EntryKind::configuration) return;
  Result<raft::Configuration> configuration = raft::decode_configuration(*entry.bytes);
  if (!configuration) return fail(who(id) + ": a configuration that can't be read");
  if (to.configurations.back().first < entry.index) {
    check_configurations(to.configurations.back().second, *configuration);
    to.configurations.emplace_back(entry.index, std::move(*configuration));
  }
}

// (9) Only where the disk has been asked for all that is in memory can the two be compared.
void Checker::check_configuration(const Member& of, const raft::Raft& raft) {
  if (of.log.size() - 1 != raft.last_index().value) return;
  if (of.configurations.back().second != raft.configuration()) {
    fail(who(raft.self()) + " follows another configuration than the last one in its log (9)");
  }
}

// (10) No quorum of one misses a quorum of the other.
void Checker::check_configurations(const raft::Configuration& before,
                                   const raft::Configuration& after) {
  std::vector<raft::RaftId> everyone = before.members();
  for (const raft::RaftId id : after.members()) everyone.push_back(id);
  std::sort(everyone.begin(), everyone.end());
  everyone.erase(std::unique(everyone.begin(), everyone.end()), everyone.end());
  if (before.voters.empty() || everyone.size() > 12) return;
  for (uint64_t set = 0; set < uint64_t{1} << everyone.size(); ++set) {
    const auto is_in = [&](raft::RaftId id) {
      const auto place = std::lower_bound(everyone.begin(), everyone.end(), id);
      return (set >> (place - everyone.begin()) & 1) != 0;
    };
    if (is_quorum(before, is_in) && is_quorum(after, [&](raft::RaftId id) { return !is_in(id); })) {
      return fail("two configurations follow each other whose quorums need not meet (10)");
    }
  }
}

void Checker::check_truncation(const Member& of, raft::RaftId id, raft::Index from) {
  if (from <= of.handed_out) fail(who(id) + " truncates what it has applied (7)");
  if (from.value < of.log.size() && from.value < truth_.size() &&
      of.log[from.value].chain == truth_[from.value].chain) {
    fail(who(id) + " truncates the committed " + at(from));
  }
}

// --- messages --------------------------------------------------------------------------------

void Checker::sent(const raft::Message& message) {
  if (disowned_.contains(message.from)) return;
  const Member& from = member(message.from);
  if (const auto* vote = std::get_if<raft::VoteReply>(&message.body)) {
    if (!vote->granted || vote->pre_vote) return;
    const auto [place, is_new] = votes_.emplace(std::pair(message.from, message.term), message.to);
    if (!is_new && place->second != message.to) {
      fail(who(message.from) + " votes twice in " + in(message.term) + " (2)");
    }
    if (from.durable.term != message.term || from.durable.vote != message.to) {
      fail(who(message.from) + " sends a vote that is not durable (8)");
    }
  } else if (const auto* reply = std::get_if<raft::AppendReply>(&message.body)) {
    if (reply->rejected) return;
    if (reply->match.value > from.durable_last) {
      fail(who(message.from) + " acknowledges " + at(reply->match) + " before it is durable (8)");
    }
    if (from.durable.term < message.term) {
      fail(who(message.from) + " acknowledges in a term that is not durable (8)");
    }
  } else if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
    check_sent(from, message, *append);
  } else if (const auto* stored = std::get_if<raft::SnapshotReply>(&message.body)) {
    if (stored->installed && stored->index.value > from.durable_last) {
      fail(who(message.from) + " tells of a snapshot that is not durable (8)");
    }
  }
}

void Checker::check_sent(const Member& from, const raft::Message& message,
                         const raft::AppendRequest& append) {
  if (from.durable.term < message.term) {
    fail(who(message.from) + " leads in a term that is not durable (8)");
  }
  size_t bytes = 0;
  raft::Index expected = append.previous_index;
  for (const raft::Entry& entry : append.entries) {
    expected = expected.next();
    bytes += entry.bytes->size();
    if (entry.index != expected) return fail(who(message.from) + " sends a gap (6)");
    if (entry.term > message.term) fail(who(message.from) + " sends an entry of a later term");
  }
  if (append.entries.size() > raft::kAppendEntriesMax ||
      (append.entries.size() > 1 && bytes > raft::kAppendBytesMax)) {
    fail(who(message.from) + " sends a message over the bounds (14)");
  }
}

// --- steps -----------------------------------------------------------------------------------

void Checker::stepped(const raft::Raft& raft, const raft::Output& out) {
  if (disowned_.contains(raft.self())) {
    if (raft.is_leader()) fail(who(raft.self()) + " leads with another disk than it is known by");
    return;
  }
  Member& of = member(raft.self());
  if (raft.term() < of.term) fail(who(raft.self()) + ": its term goes back (7)");
  if (raft.commit() < of.commit) fail(who(raft.self()) + ": its commit index goes back (7)");
  if (raft.commit() > raft.last_index()) fail(who(raft.self()) + ": committed above its log (6)");
  if (raft.snapshot_index() > raft.commit()) fail(who(raft.self()) + ": snapshot above commit (6)");
  for (const raft::RoleChange& change : out.role_changes) {
    if (change.role != raft::RoleName::leader) continue;
    const auto [place, is_new] = leaders_.emplace(change.term, raft.self());
    if (!is_new && place->second != raft.self()) {
      fail(who(raft.self()) + " and " + who(place->second) + " lead in " + in(change.term) +
           " (1)");
    }
  }
  const bool new_leader =
      raft.is_leader() && (of.role != raft::RoleName::leader || of.term != raft.term());
  of.term = raft.term();
  of.commit = raft.commit();
  of.role = raft.role();
  if (new_leader) check_new_leader(raft);
  if (raft.commit() > read_floor()) check_commit(raft);
  if (out.load_snapshot) {
    of.handed_out = out.load_snapshot->index;
    check_configuration(of, raft);
  }
  for (const raft::Committed& one : out.committed) check_handed_out(of, raft, one.entry);
}

// (4) Whatever was committed in an earlier term is in its log.
void Checker::check_new_leader(const raft::Raft& raft) {
  leaders_.emplace(raft.term(), raft.self());
  raft::Index last = read_floor();
  while (last && commit_terms_[last.value] >= raft.term()) last = last.previous();
  if (raft.last_index() < last) {
    return fail(who(raft.self()) + " leads without the committed " + at(last) + " (4)");
  }
  // Committed, but nobody has handed it out yet: nothing to compare with.
  last = std::min(last, committed());
  const std::optional<raft::Term> term = raft.log().term_at(last);
  if (last && term && *term != truth_[last.value].term) {
    fail(who(raft.self()) + " leads with another " + at(last) + " than the committed one (4)");
  }
}

// (4, 8) A leader commits by counting: an entry of its own term that a quorum has on disk.
void Checker::check_commit(const raft::Raft& raft) {
  const raft::Index index = raft.commit();
  const std::optional<raft::Term> term = raft.log().term_at(index);
  commit_terms_.resize(index.value + 1, raft.term());
  // A follower learned of it from a leader, who knew it first and was looked at then.
  if (!raft.is_leader() || !term) return;
  if (*term != raft.term()) {
    fail(who(raft.self()) + " counts " + at(index) + " of the earlier " + in(*term) + " (4)");
  }
  const auto holds = [&](raft::RaftId id) {
    return id.value < members_.size() && members_[id.value].durable_last >= index.value &&
           members_[id.value].log[index.value].term == *term;
  };
  if (!is_quorum(raft.configuration(), holds)) {
    fail(who(raft.self()) + " commits " + at(index) + " that no quorum has on disk (8)");
  }
}

void Checker::check_handed_out(Member& by, const raft::Raft& raft, const raft::Entry& entry) {
  if (failure_) return;
  if (entry.index != by.handed_out.next()) {
    return fail(who(raft.self()) + " hands out " + at(entry.index) + " after " + at(by.handed_out) +
                " (5)");
  }
  const uint64_t chain = chained(truth_[entry.index.previous().value].chain, entry);
  if (entry.index.value == truth_.size()) extend_truth(entry, chain);
  if (truth_[entry.index.value].chain != chain) {
    fail(who(raft.self()) + " hands out another " + at(entry.index) + " (5)");
  }
  by.handed_out = entry.index;
}

void Checker::extend_truth(const raft::Entry& entry, uint64_t chain) {
  truth_.push_back({entry.term, chain, std::nullopt, std::nullopt});
  if (entry.kind != raft::EntryKind::normal) return;
  const Result<Applied> applied = machine_->apply(entry.index.value, *entry.bytes);
  if (!applied) return fail(at(entry.index) + ": " + applied.error().message);
  const Operation& operation = applied->operation;
  attempts_.insert(operation.attempt);
  if (refused_.contains(operation.attempt)) fail(at(entry.index) + " was refused before (11)");
  if (applied->effective) effects_[{operation.client, operation.sequence}] += 1;
}

// --- state -----------------------------------------------------------------------------------

void Checker::applied(raft::RaftId id, raft::Index index, const Applied* applied,
                      std::optional<uint64_t> state_hash) {
  if (disowned_.contains(id)) return;
  if (index.value >= truth_.size()) return fail(who(id) + " applies what nobody committed");
  Truth& truth = truth_[index.value];
  if (applied != nullptr) {
    const uint64_t result =
        mix(mix(mix(0, applied->effective), applied->result.value), applied->result.count);
    if (!truth.result) truth.result = result;
    if (*truth.result != result) fail(who(id) + ": another result of " + at(index) + " (5)");
  }
  if (!state_hash) return;
  if (!truth.state_hash) truth.state_hash = state_hash;
  if (truth.state_hash != state_hash) fail(who(id) + ": another state after " + at(index) + " (5)");
}

void Checker::loaded(raft::RaftId id, const raft::SnapshotPointer& pointer, uint64_t state_hash) {
  if (disowned_.contains(id)) return;
  Member& of = member(id);
  of.handed_out = pointer.index;
  applied(id, pointer.index, nullptr, state_hash);
}

void Checker::refused(uint64_t attempt) {
  refused_.insert(attempt);
  if (attempts_.contains(attempt)) fail("a write was refused after it was committed (11)");
}

void Checker::acknowledged(const Operation& operation) {
  const auto found = effects_.find({operation.client, operation.sequence});
  if (found == effects_.end() || found->second != 1) {
    fail("an acknowledged write of client " + std::to_string(operation.client) + " took effect " +
         std::to_string(found == effects_.end() ? 0 : found->second) + " times (11)");
  }
}

}  // namespace skep::sim
