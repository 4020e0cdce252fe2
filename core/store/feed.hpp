// The last transactions that were applied, for whoever works from what changed.
//
// A watcher remembers the version it has seen and asks for what came after it. The feed keeps a
// bounded number of transactions: a watcher who was away for too long is told to read the whole
// state instead, and goes on from the version of that. So nobody who watches can make the manager
// hold more than it wants to, and nobody misses a change without being told.
//
// Rows in here are shared with the store; what a feed really costs is the rows that were replaced.
// Belongs to one Store and lives on its thread; what it hands out may be kept anywhere.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/store/changes.hpp"

namespace skep::store {

// Some minutes of a busy cluster, and at most a few percent of a big one's memory.
inline constexpr size_t kFeedTransactionsMax = 4096;
inline constexpr size_t kFeedBytesMax = 32 << 20;

class Feed {
 public:
  struct Bounds {
    size_t transactions = kFeedTransactionsMax;
    size_t bytes = kFeedBytesMax;
  };
  Feed() = default;
  explicit Feed(Bounds bounds) : bounds_(bounds) {}

  // `applied` is newer than all before. The newest is kept whatever its size.
  const Applied& add(Applied applied);
  // The state is now that of `version`, and how it came to be is not known here.
  void restart(uint64_t version);

  using Transactions = std::vector<std::shared_ptr<const Applied>>;
  // What was applied after `version`, oldest first, at most `limit` of them. nullopt: some of it is
  // forgotten, so read the full state (whose version is the store's applied_index()) and go on from
  // there.
  std::optional<Transactions> since(uint64_t version, size_t limit = kFeedTransactionsMax) const;

  size_t bytes() const { return bytes_; }

 private:
  struct Kept {
    std::shared_ptr<const Applied> applied;
    size_t bytes = 0;
  };

  Bounds bounds_;
  std::deque<Kept> kept_;
  size_t bytes_ = 0;
  uint64_t forgotten_through_ = 0;
};

}  // namespace skep::store
