// Which nodes are alive: each holds a lease that its beats renew.
//
// A lease is lost by silence alone. A refused or reset connection is no proof of death (the daemon
// may be restarting under its containers), so nothing here is told of connections. A new leader
// knows nothing of past beats and grants every live node one full lease (architecture.md, "Time").
// The same holds for a leader that was itself held up (a paused machine, a disk that stood still):
// beats that arrived meanwhile were not read, so their silence proves nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <vector>

#include "core/model/ids.hpp"

namespace skep::dispatcher {

// A point on the monotonic clock that the daemon hands in.
using Instant = std::chrono::nanoseconds;

// A lease is this many beats: two may be lost on the way.
inline constexpr int kBeatsPerLease = 3;

class Leases {
 public:
  explicit Leases(std::chrono::nanoseconds beat) { set_beat(beat); }

  // The beat changes for leases granted from now on.
  void set_beat(std::chrono::nanoseconds beat) {
    beat_ = beat;
    lease_ = beat * kBeatsPerLease;
  }

  // A sign of life: the lease runs anew from `now`, or for `keep` when that is longer (a daemon
  // that says it will be away for an upgrade).
  void renew(model::NodeId node, Instant now, std::chrono::nanoseconds keep = {});
  void forget(model::NodeId node) { expires_.erase(node); }
  bool holds(model::NodeId node) const { return expires_.count(node) != 0; }

  // The nodes whose lease has run out; they are forgotten. In id order. Called more than a beat
  // after next_expiry(), it is the caller who was away: none has expired and all get a full lease.
  std::vector<model::NodeId> expire(Instant now);

  // When expire() could next return something.
  std::optional<Instant> next_expiry() const;

 private:
  std::chrono::nanoseconds beat_{};
  std::chrono::nanoseconds lease_{};
  std::map<model::NodeId, Instant> expires_;
};

}  // namespace skep::dispatcher
