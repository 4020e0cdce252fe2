// A transaction survives the trip through bytes; a broken one is an error that says which change.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/model/codec/transaction.pb.h"
#include "core/store/transaction_codec.hpp"
#include "tests/unit/codec/samples.hpp"

namespace skep::store {
namespace {

Transaction full() {
  Transaction t;
  t.time = {1'700'000'000'123'456'789};
  t.answered.push_back(std::make_shared<const AnsweredRequest>(
      AnsweredRequest{{{17, 18}}, {}, std::string("r\0\xff", 3)}));
  t.answered.push_back(std::make_shared<const AnsweredRequest>(
      AnsweredRequest{{{19, 20}}, {21}, fail(ErrorKind::conflict, "it is there already")}));
  t.changes.push_back(upsert(samples::cluster()));
  t.changes.push_back(upsert(samples::node()));
  t.changes.push_back(upsert(samples::service()));
  t.changes.push_back(upsert(samples::task()));
  t.changes.push_back(upsert(samples::network()));
  t.changes.push_back(upsert(samples::config()));
  t.changes.push_back(
      SpecRow{{{{6, 7}}, 4}, std::make_shared<const model::ServiceSpec>(samples::service_spec())});
  t.changes.push_back(erase(Kind::task, samples::task().id));
  t.changes.push_back(erase(Kind::cluster, samples::cluster().id));
  t.changes.push_back(erase(model::SpecKey{{{6, 7}}, 3}));
  return t;
}

struct SameRow {
  const Change& other;
  template <class T>
  bool operator()(const Upsert<T>& mine) const {
    return *mine.row == *std::get<Upsert<T>>(other).row;
  }
  bool operator()(const SpecRow& mine) const {
    const SpecRow& theirs = std::get<SpecRow>(other);
    return mine.key == theirs.key && *mine.spec == *theirs.spec;
  }
  bool operator()(const Erase& mine) const { return mine == std::get<Erase>(other); }
};

}  // namespace

TEST_CASE("a transaction with every kind of change comes back equal and in order") {
  const Transaction before = full();
  const std::string bytes = encode(before);
  CHECK(bytes == encode(full()));  // the same value gives the same bytes
  const Result<Transaction> after = decode_transaction(bytes);
  REQUIRE(after.has_value());
  CHECK(after->time == before.time);
  REQUIRE(after->answered.size() == before.answered.size());
  for (size_t i = 0; i < before.answered.size(); ++i) {
    CHECK(*after->answered[i] == *before.answered[i]);
  }
  REQUIRE(after->changes.size() == before.changes.size());
  for (size_t i = 0; i < before.changes.size(); ++i) {
    INFO("change " << i);
    REQUIRE(after->changes[i].index() == before.changes[i].index());
    CHECK(std::visit(SameRow{after->changes[i]}, before.changes[i]));
  }
}

TEST_CASE("a truncated transaction is an error") {
  const std::string bytes = encode(full());
  int refused = 0;
  for (size_t length = 0; length < bytes.size(); ++length) {
    const Result<Transaction> cut = decode_transaction(std::string_view(bytes).substr(0, length));
    if (!cut) {
      ++refused;
      CHECK(cut.error().kind == ErrorKind::invalid);
    }
  }
  CHECK(refused > static_cast<int>(bytes.size()) * 9 / 10);
}

TEST_CASE("a change with a bad field names the change and the field") {
  proto::Entry entry;
  entry.add_change()->mutable_erase()->set_kind(proto::ROW_KIND_TASK);
  entry.mutable_change(0)->mutable_erase()->set_id(std::string(16, 'x'));
  entry.add_change()->mutable_task()->set_id("short");
  CHECK(decode_transaction(entry.SerializeAsString()).error().message ==
        "transaction: change 2: task: id: an id is 16 bytes, this is 5");
}

TEST_CASE("a kind of change this version does not know is refused") {
  proto::Entry entry;
  entry.add_change();
  CHECK(decode_transaction(entry.SerializeAsString()).error().message ==
        "transaction: change 1: this version does not know the kind of change");
  entry.mutable_change(0)->mutable_erase()->set_id(std::string(16, 'x'));
  CHECK(decode_transaction(entry.SerializeAsString()).error().message ==
        "transaction: change 1: erase: kind: unknown value 0");
}

}  // namespace skep::store
