// What `swarm update`, `swarm ca` and `swarm unlock-key` change of the cluster's secrets, made
// ready as rows.
//
// Keys, certificates and tokens can't be made by the deciding rooms, which draw nothing: they are
// made here, from the cluster as it is now, and handed to planner::update_cluster. That checks that
// nothing has changed meanwhile, so the two may be far apart (a follower may ask, the leader
// decide).
//
// Any thread; some milliseconds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "core/planner/requests.hpp"
#include "daemon/manager/control.hpp"

namespace skep::manager {

// A new root is asked for by another number in spec.force_rotate, or by one that is given. Errors
// (invalid): the given root is none, or has no key.
Result<planner::TrustChange> prepare_trust_change(const model::Cluster& cluster,
                                                  const model::ClusterSpec& spec,
                                                  const TokenRotation& rotate, model::WallTime now);

}  // namespace skep::manager
