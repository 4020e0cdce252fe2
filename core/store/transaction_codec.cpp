// Transaction to bytes and back; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/transaction_codec.hpp"

#include <limits>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "core/model/codec/transaction.pb.h"

namespace skep::store {
namespace {

constexpr codec::EnumTable<Kind, proto::RowKind, 7> kKinds = {{
    {Kind::cluster, proto::ROW_KIND_CLUSTER},
    {Kind::node, proto::ROW_KIND_NODE},
    {Kind::service, proto::ROW_KIND_SERVICE},
    {Kind::task, proto::ROW_KIND_TASK},
    {Kind::network, proto::ROW_KIND_NETWORK},
    {Kind::spec, proto::ROW_KIND_SPEC},
    {Kind::config, proto::ROW_KIND_CONFIG},
}};

constexpr codec::EnumTable<ErrorKind, proto::StoredErrorKind, 15> kErrorKinds = {{
    {ErrorKind::invalid, proto::STORED_ERROR_INVALID},
    {ErrorKind::unauthenticated, proto::STORED_ERROR_UNAUTHENTICATED},
    {ErrorKind::denied, proto::STORED_ERROR_DENIED},
    {ErrorKind::not_found, proto::STORED_ERROR_NOT_FOUND},
    {ErrorKind::conflict, proto::STORED_ERROR_CONFLICT},
    {ErrorKind::precondition, proto::STORED_ERROR_PRECONDITION},
    {ErrorKind::too_large, proto::STORED_ERROR_TOO_LARGE},
    {ErrorKind::exhausted, proto::STORED_ERROR_EXHAUSTED},
    {ErrorKind::unimplemented, proto::STORED_ERROR_UNIMPLEMENTED},
    {ErrorKind::unavailable, proto::STORED_ERROR_UNAVAILABLE},
    {ErrorKind::unknown_outcome, proto::STORED_ERROR_UNKNOWN_OUTCOME},
    {ErrorKind::deadline, proto::STORED_ERROR_DEADLINE},
    {ErrorKind::cancelled, proto::STORED_ERROR_CANCELLED},
    {ErrorKind::internal, proto::STORED_ERROR_INTERNAL},
    {ErrorKind::plugin_lost, proto::STORED_ERROR_PLUGIN_LOST},
}};

// One overload per alternative, so that a new kind of change fails to compile here.
struct Encoder {
  proto::Change* to;

  void operator()(const Upsert<model::Cluster>& c) { codec::encode(*c.row, to->mutable_cluster()); }
  void operator()(const Upsert<model::Node>& c) { codec::encode(*c.row, to->mutable_node()); }
  void operator()(const Upsert<model::Service>& c) { codec::encode(*c.row, to->mutable_service()); }
  void operator()(const Upsert<model::Task>& c) { codec::encode(*c.row, to->mutable_task()); }
  void operator()(const Upsert<model::Network>& c) { codec::encode(*c.row, to->mutable_network()); }
  void operator()(const Upsert<model::Config>& c) { codec::encode(*c.row, to->mutable_config()); }
  void operator()(const SpecRow& row) {
    to->mutable_spec()->set_service(codec::encode_id(row.key.service));
    to->mutable_spec()->set_version(row.key.version);
    codec::encode(*row.spec, to->mutable_spec()->mutable_spec());
  }
  void operator()(const Erase& erased) {
    to->mutable_erase()->set_kind(codec::encode_enum(kKinds, erased.kind));
    to->mutable_erase()->set_id(codec::id_bytes(erased.id));
    to->mutable_erase()->set_version(erased.version);
  }
};

template <class Message>
Result<Change> decode_row(const Message& from) {
  SKEP_TRY_ASSIGN(auto row, codec::decode(from));
  return Change(upsert(std::move(row)));
}

Result<Change> decode_spec(const proto::SpecRow& from) {
  SpecRow row;
  SKEP_TRY_ASSIGN(row.key.service,
                  codec::decode_id<model::ServiceId>(from.service(), "spec: service"));
  row.key.version = from.version();
  SKEP_TRY_ASSIGN(model::ServiceSpec spec, codec::decode(from.spec()));
  row.spec = std::make_shared<const model::ServiceSpec>(std::move(spec));
  return Change(std::move(row));
}

Result<Change> decode_erase(const proto::Erase& from) {
  Erase erased;
  SKEP_TRY_ASSIGN(erased.kind, codec::decode_enum(kKinds, from.kind(), "erase: kind"));
  SKEP_TRY_ASSIGN(erased.id, codec::decode_id_bits(from.id(), "erase: id"));
  erased.version = from.version();
  return Change(erased);
}

Result<Change> decode_change(const proto::Change& from) {
  switch (from.change_case()) {
    case proto::Change::kCluster:
      return decode_row(from.cluster());
    case proto::Change::kNode:
      return decode_row(from.node());
    case proto::Change::kService:
      return decode_row(from.service());
    case proto::Change::kTask:
      return decode_row(from.task());
    case proto::Change::kNetwork:
      return decode_row(from.network());
    case proto::Change::kConfig:
      return decode_row(from.config());
    case proto::Change::kSpec:
      return decode_spec(from.spec());
    case proto::Change::kErase:
      return decode_erase(from.erase());
    case proto::Change::CHANGE_NOT_SET:
      return fail(ErrorKind::invalid, "this version does not know the kind of change");
  }
  return fail(ErrorKind::invalid, "the kind of change is out of range");
}

void encode_answer(const AnsweredRequest& from, proto::AnsweredRequest* to) {
  to->set_id(codec::encode_id(from.id));
  to->set_answered_at_unix_ns(from.at.unix_ns);
  if (from.outcome) {
    to->set_result(*from.outcome);
  } else {
    to->set_error_kind(codec::encode_enum(kErrorKinds, from.outcome.error().kind));
    to->set_error_message(from.outcome.error().message);
  }
}

Result<std::shared_ptr<const AnsweredRequest>> decode_answer(const proto::AnsweredRequest& from) {
  AnsweredRequest to;
  SKEP_TRY_ASSIGN(to.id, codec::decode_id<model::RequestId>(from.id(), "id"));
  to.at = {from.answered_at_unix_ns()};
  to.outcome = from.result();
  if (from.error_kind() != proto::STORED_ERROR_NONE) {
    SKEP_TRY_ASSIGN(const ErrorKind kind,
                    codec::decode_enum(kErrorKinds, from.error_kind(), "error kind"));
    to.outcome = fail(kind, from.error_message());
  }
  return std::make_shared<const AnsweredRequest>(std::move(to));
}

// With the tag and the length before it: both numbers of fields are below 16.
size_t field_bytes(size_t message) {
  size_t bytes = 2 + message;
  for (size_t rest = message >> 7; rest != 0; rest >>= 7) ++bytes;
  return bytes;
}

}  // namespace

size_t encoded_bytes(const Change& change) {
  proto::Change message;
  std::visit(Encoder{&message}, change);
  return field_bytes(message.ByteSizeLong());
}

size_t encoded_bytes(const AnsweredRequest& request) {
  proto::AnsweredRequest message;
  encode_answer(request, &message);
  return field_bytes(message.ByteSizeLong());
}

std::string encode(const Transaction& transaction) {
  proto::Entry entry;
  entry.set_wall_time_ns(transaction.time.unix_ns);
  for (const Change& change : transaction.changes) {
    std::visit(Encoder{entry.add_change()}, change);
  }
  for (const auto& request : transaction.answered) encode_answer(*request, entry.add_answered());
  std::string bytes;
  SKEP_ASSERT(entry.SerializeToString(&bytes), "a transaction stays below protobuf's 2 GiB");
  return bytes;
}

Result<Transaction> decode_transaction(std::string_view bytes) {
  proto::Entry entry;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !entry.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(ErrorKind::invalid, "transaction: " + std::to_string(bytes.size()) +
                                        " bytes that are cut short or not a transaction");
  }
  Transaction transaction;
  transaction.time = {entry.wall_time_ns()};
  transaction.changes.reserve(static_cast<size_t>(entry.change_size()));
  for (int i = 0; i < entry.change_size(); ++i) {
    Result<Change> change = decode_change(entry.change(i));
    if (!change) {
      return fail(change.error().within("transaction: change " + std::to_string(i + 1)));
    }
    transaction.changes.push_back(std::move(*change));
  }
  for (int i = 0; i < entry.answered_size(); ++i) {
    auto request = decode_answer(entry.answered(i));
    if (!request) {
      return fail(request.error().within("transaction: answered request " + std::to_string(i + 1)));
    }
    transaction.answered.push_back(std::move(*request));
  }
  return transaction;
}

}  // namespace skep::store
