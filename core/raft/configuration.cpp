// Members and their history; see the header. The bytes are: version 3, then voters, learners and
// outgoing voters, each as a count and that many ids, then the disks, a count and that many pairs
// of id and incarnation; each number 8 bytes, least significant first. Version 2 had no disks and
// version 1 no outgoing voters; both are still read.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/configuration.hpp"

#include <algorithm>

namespace skep::raft {
namespace {

constexpr uint64_t kVersion = 3;
constexpr uint64_t kVersionWithoutDisks = 2;
constexpr uint64_t kVersionWithoutOutgoing = 1;

void put(uint64_t number, std::string* to) {
  for (int shift = 0; shift < 64; shift += 8) to->push_back(static_cast<char>(number >> shift));
}

Result<uint64_t> take(std::string_view* from) {
  if (from->size() < 8) return fail(ErrorKind::invalid, "raft configuration: cut short");
  uint64_t number = 0;
  for (size_t i = 8; i-- > 0;) number = (number << 8) | static_cast<unsigned char>((*from)[i]);
  from->remove_prefix(8);
  return number;
}

Result<uint64_t> take_count(std::string_view* from) {
  SKEP_TRY_ASSIGN(const uint64_t count, take(from));
  if (count <= kMembersMax) return count;
  return fail(ErrorKind::invalid,
              "raft configuration: " + std::to_string(count) + " members are too many");
}

Result<std::vector<RaftId>> take_members(std::string_view* from) {
  SKEP_TRY_ASSIGN(const uint64_t count, take_count(from));
  std::vector<RaftId> members;
  for (uint64_t i = 0; i < count; ++i) {
    SKEP_TRY_ASSIGN(const uint64_t id, take(from));
    members.push_back({id});
  }
  return members;
}

Result<std::vector<MemberDisk>> take_disks(std::string_view* from) {
  SKEP_TRY_ASSIGN(const uint64_t count, take_count(from));
  std::vector<MemberDisk> disks;
  for (uint64_t i = 0; i < count; ++i) {
    SKEP_TRY_ASSIGN(const uint64_t id, take(from));
    SKEP_TRY_ASSIGN(const uint64_t incarnation, take(from));
    disks.push_back({{id}, {incarnation}});
  }
  return disks;
}

bool holds(const std::vector<RaftId>& members, RaftId id) {
  return std::binary_search(members.begin(), members.end(), id);
}

Result<Configuration> parse(std::string_view bytes) {
  SKEP_TRY_ASSIGN(const uint64_t version, take(&bytes));
  if (version > kVersion || version < kVersionWithoutOutgoing) {
    return fail(ErrorKind::unimplemented,
                "raft configuration: version " + std::to_string(version) + " is not known here");
  }
  Configuration configuration;
  SKEP_TRY_ASSIGN(configuration.voters, take_members(&bytes));
  SKEP_TRY_ASSIGN(configuration.learners, take_members(&bytes));
  if (version >= kVersionWithoutDisks) {
    SKEP_TRY_ASSIGN(configuration.outgoing, take_members(&bytes));
  }
  if (version >= kVersion) {
    SKEP_TRY_ASSIGN(configuration.disks, take_disks(&bytes));
  }
  if (!bytes.empty()) return fail(ErrorKind::invalid, "raft configuration: bytes left over");
  return configuration;
}

bool in_rising_order(const std::vector<RaftId>& members) {
  for (size_t i = 0; i < members.size(); ++i) {
    if (!members[i] || (i > 0 && members[i] <= members[i - 1])) return false;
  }
  return true;
}

}  // namespace

bool Configuration::is_voter(RaftId id) const {
  return holds(voters, id) || holds(outgoing, id);
}

bool Configuration::is_learner(RaftId id) const {
  return holds(learners, id);
}

std::vector<RaftId> Configuration::members() const {
  std::vector<RaftId> all = voters;
  all.insert(all.end(), learners.begin(), learners.end());
  all.insert(all.end(), outgoing.begin(), outgoing.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Incarnation Configuration::disk_of(RaftId id) const {
  for (const MemberDisk& disk : disks) {
    if (disk.member == id) return disk.incarnation;
  }
  return {};
}

Status check(const Configuration& configuration) {
  for (const auto* half :
       {&configuration.voters, &configuration.learners, &configuration.outgoing}) {
    if (half->size() > kMembersMax) {
      return fail(ErrorKind::invalid,
                  "raft configuration: " + std::to_string(half->size()) + " members are too many");
    }
    if (!in_rising_order(*half)) {
      return fail(ErrorKind::invalid, "raft configuration: members are not in rising order");
    }
  }
  if (configuration.voters.empty()) return fail(ErrorKind::invalid, "raft configuration: no voter");
  for (const RaftId learner : configuration.learners) {
    if (holds(configuration.voters, learner)) {
      return fail(ErrorKind::invalid, "raft configuration: a learner is also a voter");
    }
  }
  RaftId last;
  for (const MemberDisk& disk : configuration.disks) {
    if (disk.member <= last || !disk.incarnation || !configuration.contains(disk.member)) {
      return fail(ErrorKind::invalid, "raft configuration: a disk that is no member's");
    }
    last = disk.member;
  }
  return {};
}

std::string encode(const Configuration& configuration) {
  std::string bytes;
  put(kVersion, &bytes);
  for (const std::vector<RaftId>* members :
       {&configuration.voters, &configuration.learners, &configuration.outgoing}) {
    put(members->size(), &bytes);
    for (const RaftId id : *members) put(id.value, &bytes);
  }
  put(configuration.disks.size(), &bytes);
  for (const MemberDisk& disk : configuration.disks) {
    put(disk.member.value, &bytes);
    put(disk.incarnation.value, &bytes);
  }
  return bytes;
}

Result<Configuration> decode_configuration(std::string_view bytes) {
  SKEP_TRY_ASSIGN(Configuration configuration, parse(bytes));
  SKEP_TRY(check(configuration));
  return configuration;
}

Result<Configuration> decode_first_configuration(std::string_view bytes) {
  SKEP_TRY_ASSIGN(Configuration configuration, parse(bytes));
  if (configuration == Configuration{}) return configuration;
  SKEP_TRY(check(configuration));
  return configuration;
}

ConfigurationHistory::ConfigurationHistory(Index snapshot, Configuration configuration)
    : steps_{{snapshot, std::move(configuration)}} {}

const Configuration& ConfigurationHistory::at(Index index) const {
  SKEP_ASSERT(index >= steps_.front().first, "no configuration is known below the snapshot");
  size_t step = steps_.size() - 1;
  while (steps_[step].first > index) --step;
  return steps_[step].second;
}

bool ConfigurationHistory::is_voter_since(Index index, RaftId id) const {
  if (at(index).is_voter(id)) return true;
  return std::any_of(steps_.begin(), steps_.end(), [&](const auto& step) {
    return step.first > index && step.second.is_voter(id);
  });
}

Incarnation ConfigurationHistory::disk_of(RaftId id) const {
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    if (const Incarnation known = step->second.disk_of(id)) return known;
  }
  return {};
}

void ConfigurationHistory::append(Index index, Configuration configuration) {
  SKEP_ASSERT(index > steps_.back().first, "configurations are appended in order");
  steps_.emplace_back(index, std::move(configuration));
}

void ConfigurationHistory::truncate_from(Index first) {
  SKEP_ASSERT(first > steps_.front().first, "what a snapshot covers is never truncated");
  while (steps_.back().first >= first) steps_.pop_back();
}

void ConfigurationHistory::rebase(Index index) {
  size_t step = steps_.size() - 1;
  while (step > 0 && steps_[step].first > index) --step;
  steps_.erase(steps_.begin(), steps_.begin() + static_cast<std::ptrdiff_t>(step));
  if (steps_.front().first < index) steps_.front().first = index;
}

}  // namespace skep::raft
