// What became of the rows: the change feed's vocabulary.
//
// Whoever works from what changed (planner, dispatcher, event stream) is told each row before and
// after. A null `before` is a creation, a null `after` an erasure.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <variant>
#include <vector>

#include "core/store/view.hpp"

namespace skep::store {

template <class T>
struct Replaced {
  Row<T> before;
  Row<T> after;
};

using RowChange =
    std::variant<Replaced<model::Cluster>, Replaced<model::Node>, Replaced<model::Service>,
                 Replaced<model::Task>, Replaced<model::Network>, Replaced<model::Config>>;

// One applied transaction.
struct Applied {
  uint64_t version = 0;  // the raft index
  model::WallTime time;
  std::vector<RowChange> changes;
};

}  // namespace skep::store
