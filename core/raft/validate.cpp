// Field by field; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/validate.hpp"

namespace skep::raft {
namespace {

// No group lives long enough to count this far; beyond it sums could wrap.
constexpr uint64_t kCountMax = uint64_t{1} << 62;

Status wrong(const std::string& what) {
  return fail(ErrorKind::invalid, "a raft message that can't be: " + what);
}

Status check(const VoteRequest& request, Term term) {
  if (request.last_index.value > kCountMax) return wrong("a log of that length");
  if (request.last_term > term) return wrong("a candidate whose log is ahead of its term");
  return {};
}

Status check(const Entry& entry) {
  if (!entry.bytes) return wrong("an entry without bytes");
  if (entry.bytes->size() > kEntryBytesMax) return wrong("an entry over the limit");
  switch (entry.kind) {
    case EntryKind::normal:
      return {};
    case EntryKind::noop:
      return entry.bytes->empty() ? Status{} : wrong("a no-op with bytes");
    case EntryKind::configuration: {
      auto configuration = decode_configuration(*entry.bytes);
      if (!configuration) return fail(configuration.error().within("a raft message"));
      return {};
    }
  }
  return wrong("an entry of an unknown kind");
}

Status check(const AppendRequest& request, Term term) {
  if (request.previous_index.value > kCountMax) return wrong("a log of that length");
  if (!request.previous_index && request.previous_term) return wrong("index 0 has no term");
  if (request.round == 0) return wrong("an append without a round");
  if (request.news && !request.entries.empty()) return wrong("news that carries entries");
  if (request.entries.size() > kAppendEntriesMax) return wrong("too many entries in one append");
  Index index = request.previous_index;
  Term last = request.previous_term;
  for (const Entry& entry : request.entries) {
    SKEP_TRY(check(entry));
    index = index.next();
    if (entry.index != index) return wrong("the entries do not follow each other");
    if (entry.term < last || !entry.term) return wrong("the terms of the entries go back");
    last = entry.term;
  }
  if (last > term) return wrong("an entry of a later term than the leader's");
  return {};
}

Status check(const SnapshotChunk& chunk, Term term) {
  if (!chunk.at.index || chunk.at.index.value > kCountMax) return wrong("a snapshot of no entry");
  if (!chunk.at.term || chunk.at.term > term) return wrong("a snapshot of a later term");
  if (!chunk.bytes) return wrong("a chunk without bytes");
  if (chunk.bytes->size() > kSnapshotChunkBytes) return wrong("a chunk over the limit");
  if (chunk.offset > kCountMax) return wrong("a snapshot of that size");
  if (chunk.at.configuration == Configuration{}) return {};
  return check(chunk.at.configuration);
}

Status check(const AppendReply& reply, Term) {
  if (reply.match.value > kCountMax || reply.previous_index.value > kCountMax ||
      reply.conflict_index.value > kCountMax) {
    return wrong("a log of that length");
  }
  return {};
}

template <class Body>
Status check(const Body&, Term) {
  return {};
}

}  // namespace

Status check_shape(const Message& message) {
  if (!message.from || message.from == message.to) return wrong("it names no other sender");
  if (message.term.value > kCountMax) return wrong("a term of that height");
  return std::visit([&](const auto& body) { return check(body, message.term); }, message.body);
}

}  // namespace skep::raft
