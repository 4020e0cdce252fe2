// What may be asked of the cluster, as changes of a draft.
//
// Each function checks the request against the draft, changes it, or returns an error and leaves it
// as it was. Nothing here decides what follows; that is the planner's. The sentences are Docker's
// where clients know them ("update out of sequence").
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/model/id_source.hpp"
#include "core/model/result.hpp"
#include "core/store/draft.hpp"

namespace skep::planner {

// A row is committed in one piece: together with what has to stand beside it, it must stay well
// below the largest raft entry (1 MiB).
inline constexpr size_t kRowBytesMax = 512 * 1024;
// Of each sentence that a node reports; what is beyond is cut off.
inline constexpr size_t kReportTextMax = 4096;

// What a node reported of one of its tasks.
struct StatusReport {
  model::TaskId task;
  model::TaskStatus status;
};

// The cluster's first transaction: the cluster itself, its first manager, the ingress network.
void found_cluster(store::Draft& draft, model::Cluster cluster, model::Node first_manager,
                   model::NetworkId ingress);

// An empty name is replaced by one made up. Conflict if the name is taken.
Result<model::ServiceId> create_service(store::Draft& draft, model::ServiceSpec spec,
                                        model::IdSource& ids);
Status update_service(store::Draft& draft, model::ServiceId id, uint64_t version,
                      model::ServiceSpec spec);
Status remove_service(store::Draft& draft, model::ServiceId id);

// The last manager stays one. Whether the others could do without this one is not known here.
Status update_node(store::Draft& draft, model::NodeId id, uint64_t version, model::NodeSpec spec);
// A manager goes for good: it is to be a worker. No-op for a worker.
Status demote_node(store::Draft& draft, model::NodeId id);
// Blocks the node's certificate until it expires, and forgets blocks that are over by `now`. A node
// that is Ready needs force; a manager is never removed this way.
Status remove_node(store::Draft& draft, model::NodeId id, bool force, model::WallTime now);

// What goes with a new spec of the cluster: keys, certificates and tokens that the caller made.
struct TrustChange {
  std::optional<std::string> worker_token;  // takes the present one's place
  std::optional<std::string> manager_token;
  std::optional<model::RootRotation> rotation;
  std::string cross_signed_by;  // the root that signed rotation->cross_signed_pem
  // What the managers are to be locked with from now on. Needed when the lock is turned on, and of
  // no meaning while it is off.
  std::optional<std::string> unlock_key;
};
Status update_cluster(store::Draft& draft, uint64_t version, model::ClusterSpec spec,
                      const TrustChange& change = {});

// Of what a node says of its trust: two roots and some room. More is refused.
inline constexpr size_t kTrustBytesMax = 64 * 1024;

// A node that got its certificate, from `issuer`. Its row says UNKNOWN until its session opens.
void admit_node(store::Draft& draft, model::NodeId id, model::NodeRole role,
                model::NodeAvailability availability, model::WallTime certificate_expires_at,
                model::Issuer issuer = {});
// Its session stands: READY, with what it says of itself. A trust without roots is one that was not
// told, and leaves the row's as it is. not_found for a removed node.
Status node_ready(store::Draft& draft, model::NodeId id, const model::NodeDescription& description,
                  std::string address, const model::NodeTrust& trust = {});
// What it trusts, or who signed its certificate, has changed.
Status node_trusts(store::Draft& draft, model::NodeId id, const model::NodeTrust& trust);
// A certificate was signed for it: should it be removed, that is how long it is blocked. A node
// that was removed meanwhile, with what it had blocked, is not_found.
Status node_renewed(store::Draft& draft, model::NodeId id, model::WallTime certificate_expires_at);
// DOWN with a sentence why; no-op for an unknown node.
void node_down(store::Draft& draft, model::NodeId id, std::string message);

// Takes what is news; ignores reports of tasks that are gone, not on this node, going backwards, or
// in a state that is not a node's to report (swarm-semantics §2, rules 1, 3 and 8).
void report_status(store::Draft& draft, model::NodeId node,
                   const std::vector<StatusReport>& reports, model::WallTime now);

}  // namespace skep::planner
