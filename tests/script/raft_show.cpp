// Printing; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/script/raft_show.hpp"

#include <sstream>

namespace skep::script {

using raft::Entry;
using raft::EntryKind;

std::string_view name(raft::RoleName role) {
  switch (role) {
    case raft::RoleName::follower:
      return "follower";
    case raft::RoleName::candidate:
      return "candidate";
    case raft::RoleName::leader:
      return "leader";
  }
  return "?";
}

std::string show(const raft::Configuration& configuration) {
  const auto list = [](const std::vector<raft::RaftId>& ids) {
    std::string text;
    for (const raft::RaftId id : ids) text += (text.empty() ? "" : ",") + std::to_string(id.value);
    return text;
  };
  std::string text = "voters=" + list(configuration.voters);
  if (!configuration.learners.empty()) text += " learners=" + list(configuration.learners);
  if (configuration.is_joint()) text += " outgoing=" + list(configuration.outgoing);
  return text;
}

std::string show(const Entry& entry) {
  std::string text = std::to_string(entry.term.value) + "/" + std::to_string(entry.index.value);
  if (entry.kind == EntryKind::noop) return text + " no-op";
  if (entry.kind == EntryKind::configuration) {
    return text + " " + show(*raft::decode_configuration(*entry.bytes));
  }
  return text + " \"" + *entry.bytes + "\"";
}

std::string show(const raft::HardState& state) {
  return "term=" + std::to_string(state.term.value) + " vote=" + std::to_string(state.vote.value) +
         " commit=" + std::to_string(state.commit.value);
}

namespace {

std::string at(raft::Term term, raft::Index index) {
  return std::to_string(term.value) + "/" + std::to_string(index.value);
}

std::string text_of(const raft::VoteRequest& request) {
  std::string text = request.pre_vote ? "pre-vote-request" : "vote-request";
  if (request.transfer) text += " transfer";
  return text + " last=" + at(request.last_term, request.last_index);
}
std::string text_of(const raft::VoteReply& reply) {
  std::string text = reply.pre_vote ? "pre-vote-reply" : "vote-reply";
  return text + (reply.granted ? " granted" : " refused");
}
std::string text_of(const raft::AppendRequest& request) {
  std::string text = request.entries.empty() ? "heartbeat" : "append";
  text += " previous=" + at(request.previous_term, request.previous_index) +
          " commit=" + std::to_string(request.commit.value) +
          " round=" + std::to_string(request.round);
  for (const Entry& entry : request.entries) text += " [" + show(entry) + "]";
  return text;
}
std::string text_of(const raft::AppendReply& reply) {
  const std::string round = " round=" + std::to_string(reply.round);
  if (!reply.rejected) return "append-reply match=" + std::to_string(reply.match.value) + round;
  return "append-reply refused previous=" + std::to_string(reply.previous_index.value) +
         " conflict=" + at(reply.conflict_term, reply.conflict_index) + round;
}
std::string text_of(const raft::SnapshotChunk& chunk) {
  return "chunk snapshot=" + at(chunk.at.term, chunk.at.index) +
         " offset=" + std::to_string(chunk.offset) +
         " bytes=" + std::to_string(chunk.bytes->size()) + (chunk.last ? " last" : "");
}
std::string text_of(const raft::SnapshotReply& reply) {
  std::string text = "chunk-reply snapshot=" + std::to_string(reply.index.value);
  if (reply.installed) return text + " installed";
  if (reply.rejected) return text + " not wanted";
  return text + " received=" + std::to_string(reply.received);
}
std::string text_of(const raft::TimeoutNow&) {
  return "timeout-now";
}
std::string text_of(const raft::ReadIndexRequest&) {
  return "read-request";
}
std::string text_of(const raft::ReadIndexReply& reply) {
  return reply.index ? "read-reply at " + std::to_string(reply.index->value) : "read-reply none";
}

std::string show_persist(const raft::Output& out) {
  std::ostringstream text;
  if (out.persist) {
    text << "persist #" << out.persist->epoch.value << " " << show(out.persist->hard_state) << "\n";
    if (out.persist->install) {
      text << "  install " << at(out.persist->install->term, out.persist->install->index) << " "
           << show(out.persist->install->configuration) << "\n";
    }
    if (out.persist->truncate_from) {
      text << "  truncate from " << out.persist->truncate_from->value << "\n";
    }
    for (const Entry& entry : out.persist->entries) text << "  " << show(entry) << "\n";
  }
  return text.str();
}

std::string show_roles(const raft::Output& out) {
  std::ostringstream text;
  for (const raft::RoleChange& change : out.role_changes) {
    text << "role " << name(change.role) << " term=" << change.term.value << ": " << change.reason
         << "\n";
  }
  return text.str();
}

std::string show_answers(const raft::Output& out) {
  std::ostringstream text;
  if (out.load_snapshot) {
    text << "load snapshot " << at(out.load_snapshot->term, out.load_snapshot->index) << "\n";
  }
  for (const raft::Committed& committed : out.committed) {
    text << "apply " << show(committed.entry);
    if (committed.proposal) text << " proposal=" << committed.proposal->value;
    text << "\n";
  }
  for (const raft::Dropped& dropped : out.dropped) {
    text << "drop proposal=" << dropped.proposal.value << " " << info(dropped.why.kind).name << ": "
         << dropped.why.message << "\n";
  }
  for (const raft::ReadResult& read : out.reads) {
    text << "read " << read.read.value << " ";
    if (read.index) {
      text << "at " << read.index->value << "\n";
    } else {
      text << info(read.index.error().kind).name << ": " << read.index.error().message << "\n";
    }
  }
  if (out.compact_through) text << "compact through " << out.compact_through->value << "\n";
  for (const raft::RefusedMessage& one : out.refused) {
    text << "refuse " << one.from.value << " " << info(one.why.kind).name << ": " << one.why.message
         << "\n";
  }
  return text.str();
}

}  // namespace

std::string show(const raft::Message& message) {
  return std::to_string(message.from.value) + ">" + std::to_string(message.to.value) +
         " term=" + std::to_string(message.term.value) + " " +
         std::visit([](const auto& body) { return text_of(body); }, message.body);
}

std::string show_news(const raft::Output& out) {
  return show_roles(out) + show_answers(out);
}

std::string show(const raft::Output& out) {
  return show_roles(out) + show_persist(out) + show_answers(out);
}

}  // namespace skep::script
