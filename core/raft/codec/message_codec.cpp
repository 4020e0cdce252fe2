// One pair of functions per body; a new alternative of MessageBody fails to compile here.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/codec/message_codec.hpp"

#include <limits>

#include "core/model/codec/common.hpp"
#include "core/raft/codec/message.pb.h"

namespace skep::raft {
namespace {

constexpr codec::EnumTable<EntryKind, proto::RaftEntryKind, 3> kKinds = {{
    {EntryKind::normal, proto::RAFT_ENTRY_NORMAL},
    {EntryKind::noop, proto::RAFT_ENTRY_NOOP},
    {EntryKind::configuration, proto::RAFT_ENTRY_CONFIGURATION},
}};

struct Encoder {
  proto::RaftMessage* to;

  void operator()(const VoteRequest& from) {
    proto::RaftVoteRequest* out = to->mutable_vote_request();
    out->set_pre_vote(from.pre_vote);
    out->set_transfer(from.transfer);
    out->set_last_index(from.last_index.value);
    out->set_last_term(from.last_term.value);
  }
  void operator()(const VoteReply& from) {
    to->mutable_vote_reply()->set_pre_vote(from.pre_vote);
    to->mutable_vote_reply()->set_granted(from.granted);
  }
  void operator()(const AppendRequest& from) {
    proto::RaftAppendRequest* out = to->mutable_append_request();
    out->set_previous_index(from.previous_index.value);
    out->set_previous_term(from.previous_term.value);
    Index expected = from.previous_index;
    for (const Entry& entry : from.entries) {
      expected = expected.next();
      SKEP_ASSERT(entry.index == expected, "entries of a message follow each other");
      proto::RaftEntry* added = out->add_entries();
      added->set_term(entry.term.value);
      added->set_kind(codec::encode_enum(kKinds, entry.kind));
      added->set_content(*entry.bytes);
    }
    out->set_commit(from.commit.value);
    out->set_round(from.round);
    out->set_news(from.news);
  }
  void operator()(const AppendReply& from) {
    proto::RaftAppendReply* out = to->mutable_append_reply();
    out->set_rejected(from.rejected);
    out->set_match(from.match.value);
    out->set_previous_index(from.previous_index.value);
    out->set_conflict_index(from.conflict_index.value);
    out->set_conflict_term(from.conflict_term.value);
    out->set_round(from.round);
  }
  void operator()(const SnapshotChunk& from) {
    proto::RaftSnapshotChunk* out = to->mutable_snapshot_chunk();
    out->set_index(from.at.index.value);
    out->set_term(from.at.term.value);
    out->set_configuration(encode(from.at.configuration));
    out->set_offset(from.offset);
    out->set_content(*from.bytes);
    out->set_checksum(from.checksum);
    out->set_last(from.last);
  }
  void operator()(const SnapshotReply& from) {
    proto::RaftSnapshotReply* out = to->mutable_snapshot_reply();
    out->set_index(from.index.value);
    out->set_received(from.received);
    out->set_installed(from.installed);
    out->set_rejected(from.rejected);
  }
  void operator()(const TimeoutNow&) { to->mutable_timeout_now(); }
  void operator()(const ReadIndexRequest& from) {
    to->mutable_read_index_request()->set_read(from.read.value);
  }
  void operator()(const ReadIndexReply& from) {
    proto::RaftReadIndexReply* out = to->mutable_read_index_reply();
    out->set_read(from.read.value);
    out->set_answered(from.index.has_value());
    if (from.index) out->set_index(from.index->value);
  }
};

tl::unexpected<Error> wrong(const std::string& what) {
  return fail(ErrorKind::invalid, "raft message: " + what);
}

Result<AppendRequest> decode_append(const proto::RaftAppendRequest& from, Term term) {
  AppendRequest to{{from.previous_index()}, {from.previous_term()}, {},
                   {from.commit()},         from.round(),           from.news()};
  const size_t count = static_cast<size_t>(from.entries_size());
  if (count > kAppendEntriesMax) return wrong(std::to_string(count) + " entries are too many");
  if (to.previous_index.value > std::numeric_limits<uint64_t>::max() - count) {
    return wrong("an index is out of range");
  }
  Term last = to.previous_term;
  Index index = to.previous_index;
  for (const proto::RaftEntry& entry : from.entries()) {
    Entry out{{entry.term()}, index = index.next(), EntryKind::normal, nullptr};
    if (!out.term || out.term < last || out.term > term) return wrong("an entry's term is wrong");
    last = out.term;
    SKEP_TRY_ASSIGN(out.kind, codec::decode_enum(kKinds, entry.kind(), "raft message: entry"));
    if (entry.content().size() > kEntryBytesMax) return wrong("an entry is too large");
    if (out.kind == EntryKind::configuration) SKEP_TRY(decode_configuration(entry.content()));
    out.bytes = std::make_shared<const std::string>(entry.content());
    to.entries.push_back(std::move(out));
  }
  return to;
}

Result<SnapshotChunk> decode_chunk(const proto::RaftSnapshotChunk& from, Term term) {
  SnapshotChunk to;
  SKEP_TRY_ASSIGN(Configuration configuration, decode_first_configuration(from.configuration()));
  to.at = {{from.index()}, {from.term()}, std::move(configuration)};
  if (!to.at.index || !to.at.term || to.at.term > term) return wrong("a snapshot of no entry");
  if (from.content().size() > kSnapshotChunkBytes) return wrong("a piece is too large");
  to.offset = from.offset();
  to.bytes = std::make_shared<const std::string>(from.content());
  to.checksum = from.checksum();
  to.last = from.last();
  return to;
}

Result<MessageBody> decode_body(const proto::RaftMessage& from) {
  switch (from.body_case()) {
    case proto::RaftMessage::kVoteRequest: {
      const proto::RaftVoteRequest& in = from.vote_request();
      return VoteRequest{in.pre_vote(), in.transfer(), {in.last_index()}, {in.last_term()}};
    }
    case proto::RaftMessage::kVoteReply:
      return VoteReply{from.vote_reply().pre_vote(), from.vote_reply().granted()};
    case proto::RaftMessage::kAppendRequest:
      return decode_append(from.append_request(), {from.term()});
    case proto::RaftMessage::kAppendReply: {
      const proto::RaftAppendReply& in = from.append_reply();
      return AppendReply{in.rejected(),         {in.match()},         {in.previous_index()},
                         {in.conflict_index()}, {in.conflict_term()}, in.round()};
    }
    case proto::RaftMessage::kSnapshotChunk:
      return decode_chunk(from.snapshot_chunk(), {from.term()});
    case proto::RaftMessage::kSnapshotReply: {
      const proto::RaftSnapshotReply& in = from.snapshot_reply();
      return SnapshotReply{{in.index()}, in.received(), in.installed(), in.rejected()};
    }
    case proto::RaftMessage::kTimeoutNow:
      return TimeoutNow{};
    case proto::RaftMessage::kReadIndexRequest:
      return ReadIndexRequest{{from.read_index_request().read()}};
    case proto::RaftMessage::kReadIndexReply: {
      ReadIndexReply to{{from.read_index_reply().read()}, std::nullopt};
      if (from.read_index_reply().answered()) to.index = Index{from.read_index_reply().index()};
      return to;
    }
    case proto::RaftMessage::BODY_NOT_SET:
      return wrong("this version does not know what it says");
  }
  return wrong("its kind is out of range");
}

}  // namespace

std::string encode(const Message& message) {
  proto::RaftMessage to;
  to.set_cluster(codec::encode_id(message.cluster));
  to.set_generation(message.generation.value);
  to.set_incarnation(message.incarnation.value);
  to.set_from(message.from.value);
  to.set_to(message.to.value);
  to.set_term(message.term.value);
  std::visit(Encoder{&to}, message.body);
  return to.SerializeAsString();
}

Result<Message> decode_message(std::string_view bytes) {
  proto::RaftMessage from;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !from.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return wrong(std::to_string(bytes.size()) + " bytes that are cut short or not a message");
  }
  Message to;
  SKEP_TRY_ASSIGN(to.cluster,
                  codec::decode_id<model::ClusterId>(from.cluster(), "raft message: cluster"));
  to.generation = {from.generation()};
  to.incarnation = {from.incarnation()};
  to.from = {from.from()};
  to.to = {from.to()};
  to.term = {from.term()};
  if (!to.from || !to.to) return wrong("it has no sender or no receiver");
  SKEP_TRY_ASSIGN(to.body, decode_body(from));
  return to;
}

}  // namespace skep::raft
