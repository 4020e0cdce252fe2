// The group's messages: what goes in comes out, and what a hostile manager sends is an error.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/raft/codec/message.pb.h"
#include "core/raft/codec/message_codec.hpp"

using namespace skep;
using namespace skep::raft;

namespace {

std::shared_ptr<const std::string> bytes(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

Configuration members() {
  return {{RaftId{1}, RaftId{3}}, {RaftId{4}}, {RaftId{1}, RaftId{2}}};
}

Message message(MessageBody body) {
  return {model::ClusterId{{7, 9}}, Generation{2}, Incarnation{5}, RaftId{1}, RaftId{3}, Term{8},
          std::move(body)};
}

AppendRequest append() {
  AppendRequest out{{10}, {6}, {}, {9}, 77};
  out.entries.push_back({{6}, {11}, EntryKind::normal, bytes(std::string("a\0b", 3))});
  out.entries.push_back({{8}, {12}, EntryKind::noop, bytes("")});
  out.entries.push_back({{8}, {13}, EntryKind::configuration, bytes(encode(members()))});
  return out;
}

std::vector<MessageBody> bodies() {
  return {VoteRequest{true, false, {4}, {3}},
          VoteRequest{false, true, {4}, {3}},
          VoteReply{true, true},
          append(),
          AppendRequest{{10}, {6}, {}, {9}, 78, true},
          AppendReply{false, {13}, {0}, {0}, {0}, 77},
          AppendReply{true, {0}, {10}, {7}, {5}, 78},
          SnapshotChunk{{{20}, {6}, members()}, 4096, bytes("piece"), 0xdeadbeef, true},
          SnapshotReply{{20}, 4101, true, false},
          SnapshotReply{{20}, 0, false, true},
          TimeoutNow{},
          ReadIndexRequest{{31}},
          ReadIndexReply{{31}, Index{0}},
          ReadIndexReply{{31}, std::nullopt}};
}

// The bytes of `from` after `change` was done to them as a protobuf.
template <class Change>
std::string changed(MessageBody from, Change change) {
  proto::RaftMessage wire;
  REQUIRE(wire.ParseFromString(encode(message(std::move(from)))));
  change(wire);
  return wire.SerializeAsString();
}

void refused(const std::string& sent, const std::string& why) {
  const Result<Message> read = decode_message(sent);
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == ErrorKind::invalid);
  CHECK_THAT(read.error().message, Catch::Contains(why));
}

}  // namespace

TEST_CASE("every message of the group comes out as it went in") {
  for (const MessageBody& body : bodies()) {
    const std::string sent = encode(message(body));
    const Result<Message> read = decode_message(sent);
    REQUIRE(read);
    CHECK(read->body.index() == body.index());
    CHECK(encode(*read) == sent);
  }
}

TEST_CASE("entries keep their places, kinds and bytes") {
  const Result<Message> read = decode_message(encode(message(append())));
  REQUIRE(read);
  CHECK(read->cluster == model::ClusterId{{7, 9}});
  CHECK(read->generation == Generation{2});
  CHECK(read->incarnation == Incarnation{5});
  CHECK(read->from == RaftId{1});
  CHECK(read->to == RaftId{3});
  CHECK(read->term == Term{8});
  const AppendRequest& body = std::get<AppendRequest>(read->body);
  REQUIRE(body.entries.size() == 3);
  CHECK(body.entries[0].index == Index{11});
  CHECK(*body.entries[0].bytes == std::string("a\0b", 3));
  CHECK(body.entries[1].kind == EntryKind::noop);
  CHECK(body.entries[2].index == Index{13});
  CHECK(body.round == 77);
}

// Such a leader's snapshot once could be sent and not be read. Guard: decode_first_configuration.
TEST_CASE("a snapshot from below the entry that made its sender a member names nobody") {
  SnapshotChunk chunk{{{4}, {3}, {}}, 0, std::make_shared<const std::string>("x"), 1, true};
  const Result<Message> read = decode_message(encode(message(chunk)));
  REQUIRE(read);
  CHECK(std::get<SnapshotChunk>(read->body).at == chunk.at);
  chunk.at.configuration = Configuration{{{1}, {2}}, {}, {}, {{{1}, {71}}}};
  const Result<Message> named = decode_message(encode(message(chunk)));
  REQUIRE(named);
  CHECK(std::get<SnapshotChunk>(named->body).at == chunk.at);
}

TEST_CASE("an unanswered read is told from one answered with zero") {
  const Result<Message> none = decode_message(encode(message(ReadIndexReply{{31}, std::nullopt})));
  const Result<Message> zero = decode_message(encode(message(ReadIndexReply{{31}, Index{0}})));
  REQUIRE((none && zero));
  CHECK_FALSE(std::get<ReadIndexReply>(none->body).index);
  CHECK(std::get<ReadIndexReply>(zero->body).index == Index{0});
}

TEST_CASE("a message that breaks a bound is refused and says which") {
  refused("no protobuf at all", "not a message");
  refused(changed(TimeoutNow{}, [](auto& wire) { wire.clear_timeout_now(); }), "does not know");
  refused(changed(TimeoutNow{}, [](auto& wire) { wire.set_from(0); }), "no sender");
  refused(changed(TimeoutNow{}, [](auto& wire) { wire.set_cluster("short"); }), "cluster");
  const auto entry = [](auto& wire) { return wire.mutable_append_request()->mutable_entries(0); };
  refused(changed(append(), [&](auto& wire) { entry(wire)->set_term(0); }), "term is wrong");
  refused(changed(append(), [&](auto& wire) { entry(wire)->set_term(5); }), "term is wrong");
  refused(changed(append(), [&](auto& wire) { entry(wire)->set_term(9); }), "term is wrong");
  refused(
      changed(append(),
              [&](auto& wire) { entry(wire)->set_content(std::string(kEntryBytesMax + 1, 'x')); }),
      "too large");
  refused(changed(append(),
                  [](auto& wire) {
                    for (size_t i = 0; i < kAppendEntriesMax; ++i) {
                      wire.mutable_append_request()->add_entries()->set_term(8);
                    }
                  }),
          "too many");
  refused(changed(append(),
                  [](auto& wire) {
                    wire.mutable_append_request()->set_previous_index(UINT64_MAX - 1);
                  }),
          "out of range");
  refused(changed(append(),
                  [](auto& wire) {
                    wire.mutable_append_request()->mutable_entries(2)->set_content("?");
                  }),
          "configuration");
  const MessageBody chunk = bodies()[7];
  refused(changed(chunk, [](auto& wire) { wire.mutable_snapshot_chunk()->set_index(0); }),
          "no entry");
  refused(changed(chunk,
                  [](auto& wire) {
                    wire.mutable_snapshot_chunk()->set_content(
                        std::string(kSnapshotChunkBytes + 1, 'x'));
                  }),
          "too large");
}

TEST_CASE("a message that is cut short anywhere is an error or another message, never a crash") {
  for (const MessageBody& body : bodies()) {
    const std::string whole = encode(message(body));
    for (size_t length = 0; length < whole.size(); ++length) {
      const Result<Message> read = decode_message(whole.substr(0, length));
      if (read) CHECK(encode(*read).size() <= whole.size());
    }
  }
}
