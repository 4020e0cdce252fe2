// Leases by node id; a few thousand at most, so a scan is cheaper than a heap to keep right.
// SPDX-License-Identifier: Apache-2.0
#include "core/dispatcher/leases.hpp"

#include <algorithm>

namespace skep::dispatcher {

void Leases::renew(model::NodeId node, Instant now, std::chrono::nanoseconds keep) {
  const Instant until = now + std::max(lease_, keep);
  Instant& expiry = expires_[node];
  // A beat that was on its way must not shorten what an `away` has granted.
  expiry = std::max(expiry, until);
}

std::vector<model::NodeId> Leases::expire(Instant now) {
  const std::optional<Instant> due = next_expiry();
  if (due && now > *due + beat_) {
    for (auto& [node, expiry] : expires_) expiry = std::max(expiry, now + lease_);
    return {};
  }
  std::vector<model::NodeId> gone;
  for (auto it = expires_.begin(); it != expires_.end();) {
    if (it->second > now) {
      ++it;
      continue;
    }
    gone.push_back(it->first);
    it = expires_.erase(it);
  }
  return gone;
}

std::optional<Instant> Leases::next_expiry() const {
  std::optional<Instant> next;
  for (const auto& [node, expiry] : expires_) {
    if (!next || expiry < *next) next = expiry;
  }
  return next;
}

}  // namespace skep::dispatcher
