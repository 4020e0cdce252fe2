// What is decided in one go and committed as one raft entry: rows as they will be.
//
// The leader decides; applying a transaction decides nothing and can't fail, so it carries the
// leader's time and every id. Order matters: a later change of the same row wins. Rows are shared
// and immutable: a draft, the entry in flight and the store hold the same pointer. Meta.version of
// the rows is stamped with the raft index by whoever applies, so what stands here is ignored.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::store {

// The tables of the store.
enum class Kind : uint8_t { cluster, node, service, task, network, spec, config };

// A service's spec of one version. Never changes under its key.
struct SpecRow {
  model::SpecKey key;
  std::shared_ptr<const model::ServiceSpec> spec;  // never null
};

// Insert or replace. `row` is never null.
template <class T>
struct Upsert {
  std::shared_ptr<const T> row;
};

// The row goes; erasing what is not there is no error.
struct Erase {
  Kind kind = Kind::task;
  model::IdBits id;      // the service's, for a spec
  uint64_t version = 0;  // of the spec; 0 for every other kind
  bool operator==(const Erase&) const = default;
};

using Change = std::variant<Upsert<model::Cluster>, Upsert<model::Node>, Upsert<model::Service>,
                            Upsert<model::Task>, Upsert<model::Network>, Upsert<model::Config>,
                            SpecRow, Erase>;

// Of what a request is answered with, so that remembering many is cheap.
inline constexpr size_t kAnswerBytesMax = 1024;

// A client's request whose outcome the cluster knows. It is answered the same when it is asked
// again, and does nothing then: what makes it safe to repeat a request whose answer was lost.
struct AnsweredRequest {
  model::RequestId id;
  // The transaction's own time; apply() sets it.
  model::WallTime at;
  // A few bytes that mean something to who asked, such as the id of the object that was made. An
  // error is kept only for a request that changed something all the same.
  Result<std::string> outcome;
  bool operator==(const AnsweredRequest&) const = default;
};

struct Transaction {
  model::WallTime time;  // the leader's when it decided
  std::vector<Change> changes;
  std::vector<std::shared_ptr<const AnsweredRequest>> answered;  // none is null
};

// upsert(task): one change from a value.
template <class T>
Upsert<T> upsert(T row) {
  return Upsert<T>{std::make_shared<const T>(std::move(row))};
}

template <class Tag>
Erase erase(Kind kind, model::Id<Tag> id) {
  return Erase{kind, id.bits, 0};
}
inline Erase erase(const model::SpecKey& key) {
  return Erase{Kind::spec, key.service.bits, key.version};
}

}  // namespace skep::store
