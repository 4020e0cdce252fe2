// What one raft entry says: rows as they will be, nothing to decide.
//
// The leader's planner works everything out and proposes the whole difference as one Transaction; apply
// on every manager only puts the rows in place and stamps the raft index as their version. A row in a
// Transaction therefore carries no valid version of its own. The wall time is the leader's: the state
// machine has no clock, and every replica must stamp the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/model/objects.hpp"

namespace skep::store {

// A service's spec as a row of its own; see objects.hpp.
struct SpecRow {
  model::SpecKey key;
  std::shared_ptr<const model::ServiceSpec> spec;
};

template <class T>
struct Upsert {
  std::shared_ptr<const T> row;  // never null
};

enum class RowKind : uint8_t { cluster, node, service, task, network, spec };

struct Erase {
  RowKind kind = RowKind::task;
  model::IdBits id;           // of the row; of the service for a spec
  uint64_t spec_version = 0;  // specs only
};

using Change = std::variant<Upsert<model::Cluster>, Upsert<model::Node>, Upsert<model::Service>,
                            Upsert<model::Task>, Upsert<model::Network>, SpecRow, Erase>;

struct Transaction {
  model::WallTime time;    // the leader's, at the proposal
  std::string request_id;  // of the client call that caused it; empty for the planner's own
  std::vector<Change> changes;
};

}  // namespace skep::store
