// Everything the cluster knows at one index, as a value.
//
// A State is what a snapshot holds and what every manager that applied the same entries has equal,
// byte for byte. Copying one takes a moment however big it is (core/store/table.hpp), so the thread
// that applies hands a copy to the thread that writes it down. Indexes are not in it: they follow
// from the rows, and the Store makes them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/store/table.hpp"
#include "core/store/view.hpp"

namespace skep::store {

// Requests are remembered this long after their answer, by the time of the entries, and no more of
// them than this, the oldest forgotten first. A client that repeats itself does so within seconds.
inline constexpr model::Nanoseconds kAnswersKept = std::chrono::minutes(10);
inline constexpr size_t kAnswersMax = 65'536;

struct State {
  Row<model::Cluster> cluster;
  Table<model::NodeId, Row<model::Node>> nodes;
  Table<model::ServiceId, Row<model::Service>> services;
  Table<model::TaskId, Row<model::Task>> tasks;
  Table<model::NetworkId, Row<model::Network>> networks;
  Table<model::ConfigId, Row<model::Config>> configs;
  Table<model::SpecKey, Row<model::ServiceSpec>> specs;
  // In order of answering. The numbers are this manager's own and are not kept in snapshots.
  Table<uint64_t, Row<AnsweredRequest>> answered;
};

}  // namespace skep::store
