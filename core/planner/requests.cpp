// Requests, each checked in full before the first row is put.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/requests.hpp"

#include <algorithm>
#include <array>

#include "core/identity/renewal.hpp"
#include "core/identity/rotation.hpp"
#include "core/model/validate.hpp"
#include "core/store/transaction_codec.hpp"

namespace skep::planner {
namespace {

using model::NodeRole;
using model::NodeState;
using model::TaskState;

// For services that nobody named.
constexpr std::array<std::string_view, 16> kAdjectives = {
    "amber", "brisk", "calm", "daring", "eager",  "fabled", "gentle",  "humming",
    "ivory", "jolly", "keen", "lively", "mellow", "nimble", "patient", "quiet"};
constexpr std::array<std::string_view, 16> kNouns = {
    "apiary", "bramble", "clover", "drone",  "elder",  "forager", "garden", "heather",
    "hive",   "jasmine", "linden", "meadow", "nectar", "orchard", "pollen", "swarm"};

std::string made_up_name(const store::Draft& draft, model::IdSource& ids) {
  for (;;) {
    const model::IdBits bits = ids.next();
    std::string name(kAdjectives[bits.low % kAdjectives.size()]);
    name += "_";
    name += kNouns[(bits.low >> 8) % kNouns.size()];
    if (!draft.service_by_name(name)) return name;
    name += "_" + model::id_text(bits).substr(15);
    if (!draft.service_by_name(name)) return name;
  }
}

tl::unexpected<Error> out_of_sequence() {
  return fail(ErrorKind::conflict, "update out of sequence");
}

Status fits_an_entry(store::Change change, std::string_view what) {
  const size_t size = store::encode({{}, {std::move(change)}, {}}).size();
  if (size <= kRowBytesMax) return {};
  return fail(ErrorKind::too_large, std::string(what) + " of " + std::to_string(size) +
                                        " bytes is over the limit of " +
                                        std::to_string(kRowBytesMax));
}

Status spec_fits(const model::ServiceSpec& spec) {
  return fits_an_entry(store::SpecRow{{}, std::make_shared<const model::ServiceSpec>(spec)},
                       "a service spec");
}

// Not inside a character: what is cut must still be text.
std::string cut(std::string text) {
  if (text.size() <= kReportTextMax) return text;
  size_t end = kReportTextMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text;
}

Status trust_fits(const model::NodeTrust& trust) {
  const size_t size =
      trust.roots_pem.size() + trust.issuer.subject_der.size() + trust.issuer.public_key_der.size();
  if (size <= kTrustBytesMax) return {};
  return fail(ErrorKind::too_large, "what a node says of its trust is over 64 KiB");
}

tl::unexpected<Error> no_node(model::NodeId id) {
  return fail(ErrorKind::not_found, "node " + id.str() + " not found");
}

bool wants_managers_beside(const store::Draft& draft, model::NodeId id) {
  bool found = false;
  draft.each_node([&](const store::Row<model::Node>& seen) {
    if (found || seen->id == id) return;
    // A draft shows a row of the base as well as its own of the same node: the latter counts.
    const store::Row<model::Node> node = draft.node(seen->id);
    found = node && node->spec.role == NodeRole::manager;
  });
  return found;
}

Status may_be_worker(const store::Draft& draft, const model::Node& node) {
  if (node.spec.role == NodeRole::worker || wants_managers_beside(draft, node.id)) return {};
  return fail(ErrorKind::invalid, "attempting to demote the last manager of the swarm");
}

}  // namespace

void found_cluster(store::Draft& draft, model::Cluster cluster, model::Node first_manager,
                   model::NetworkId ingress_id) {
  model::Network ingress;
  ingress.id = ingress_id;
  ingress.name = "ingress";
  ingress.driver = "overlay";
  ingress.ingress = true;
  // The first /24 of the first pool (swarm-semantics §13); the allocator takes over with overlays.
  const std::string& pool = cluster.address_pools.front();
  const std::string base = pool.substr(0, pool.find('/'));
  ingress.subnet = base + "/" + std::to_string(cluster.subnet_size);
  ingress.gateway = base.substr(0, base.rfind('.')) + ".1";
  draft.put(std::move(cluster));
  draft.put(std::move(first_manager));
  draft.put(std::move(ingress));
}

Result<model::ServiceId> create_service(store::Draft& draft, model::ServiceSpec spec,
                                        model::IdSource& ids) {
  if (spec.name.empty()) spec.name = made_up_name(draft, ids);
  SKEP_TRY(model::validate_service_spec(spec));
  SKEP_TRY(spec_fits(spec));
  if (draft.service_by_name(spec.name)) {
    return fail(ErrorKind::conflict,
                "name conflicts with an existing object: service " + spec.name + " already exists");
  }
  model::Service service;
  service.id = model::ServiceId{ids.next()};
  service.name = spec.name;
  service.spec_version = 1;
  draft.put_spec({service.id, service.spec_version}, std::move(spec));
  draft.put(service);
  return service.id;
}

Status update_service(store::Draft& draft, model::ServiceId id, uint64_t version,
                      model::ServiceSpec spec) {
  const store::Row<model::Service> service = draft.service(id);
  if (!service) return fail(ErrorKind::not_found, "service " + id.str() + " not found");
  if (service->meta.version != version || draft.touched(id)) return out_of_sequence();
  SKEP_TRY(model::validate_service_spec(spec));
  SKEP_TRY(spec_fits(spec));
  if (store::Row<model::ServiceSpec> present = draft.spec_of(*service);
      spec.name != present->name) {
    return fail(ErrorKind::unimplemented, "renaming services is not supported");
  }
  model::Service updated = *service;
  updated.previous_spec_version = service->spec_version;
  updated.spec_version = service->spec_version + 1;
  draft.put_spec({id, updated.spec_version}, std::move(spec));
  draft.put(updated);
  return {};
}

Status remove_service(store::Draft& draft, model::ServiceId id) {
  if (!draft.service(id)) return fail(ErrorKind::not_found, "service " + id.str() + " not found");
  draft.erase(id);
  return {};
}

Status update_node(store::Draft& draft, model::NodeId id, uint64_t version, model::NodeSpec spec) {
  const store::Row<model::Node> node = draft.node(id);
  if (!node) return no_node(id);
  if (node->meta.version != version || draft.touched(id)) return out_of_sequence();
  SKEP_TRY(model::validate_node_spec(spec));
  const NodeRole wanted = spec.role;
  if (wanted == NodeRole::worker) SKEP_TRY(may_be_worker(draft, *node));
  model::Node updated = *node;
  updated.spec = std::move(spec);
  // A manager's certificate comes before its place in the group; losing both goes the other way.
  if (wanted == NodeRole::manager) updated.role = NodeRole::manager;
  SKEP_TRY(fits_an_entry(store::upsert(updated), "a node"));
  draft.put(updated);
  return {};
}

Status demote_node(store::Draft& draft, model::NodeId id) {
  const store::Row<model::Node> node = draft.node(id);
  if (!node) return no_node(id);
  SKEP_TRY(may_be_worker(draft, *node));
  model::Node updated = *node;
  updated.spec.role = NodeRole::worker;
  draft.put(std::move(updated));
  return {};
}

Status remove_node(store::Draft& draft, model::NodeId id, bool force, model::WallTime now) {
  const store::Row<model::Node> node = draft.node(id);
  if (!node) return no_node(id);
  if (node->role == NodeRole::manager || node->manager) {
    return fail(ErrorKind::invalid,
                "node " + id.str() +
                    " is a cluster manager and is a member of the raft cluster. "
                    "It must be demoted to worker before removal");
  }
  if (node->status.state == NodeState::ready && !force) {
    return fail(ErrorKind::invalid, "node " + id.str() + " is not down and can't be removed");
  }
  const store::Row<model::Cluster> cluster = draft.cluster();
  SKEP_ASSERT(cluster != nullptr, "a cluster with nodes has its cluster object");
  model::Cluster updated = *cluster;
  std::erase_if(updated.blocked_nodes, [&](const auto& blocked) {
    return blocked.until + identity::kBackdate < now;  // a clock that is behind would accept it yet
  });
  updated.blocked_nodes.push_back({id, node->certificate_expires_at});
  draft.put(updated);
  draft.erase(id);
  return {};
}

Status update_cluster(store::Draft& draft, uint64_t version, model::ClusterSpec spec,
                      const TrustChange& change) {
  const store::Row<model::Cluster> cluster = draft.cluster();
  if (!cluster) return fail(ErrorKind::not_found, "there is no cluster");
  if (cluster->meta.version != version || draft.touched_cluster()) return out_of_sequence();
  SKEP_TRY(model::validate_cluster_spec(spec));
  model::Cluster updated = *cluster;
  updated.spec = std::move(spec);
  if (change.worker_token) updated.worker_token = *change.worker_token;
  if (change.manager_token) updated.manager_token = *change.manager_token;
  if (!updated.spec.auto_lock_managers) {
    updated.unlock_key.clear();
  } else if (change.unlock_key) {
    updated.unlock_key = *change.unlock_key;
  }
  if (updated.spec.auto_lock_managers && updated.unlock_key.empty()) {
    return fail(ErrorKind::invalid, "managers can't be locked without an unlock key");
  }
  if (change.rotation) {
    SKEP_TRY(identity::begin_rotation(updated, *change.rotation, change.cross_signed_by));
  }
  SKEP_TRY(fits_an_entry(store::upsert(updated), "the cluster's settings"));
  draft.put(updated);
  return {};
}

void admit_node(store::Draft& draft, model::NodeId id, NodeRole role,
                model::NodeAvailability availability, model::WallTime certificate_expires_at,
                model::Issuer issuer) {
  model::Node node;
  node.id = id;
  node.role = role;
  node.spec.role = role;
  node.spec.availability = availability;
  node.certificate_expires_at = certificate_expires_at;
  node.trust.issuer = std::move(issuer);
  draft.put(node);
}

Status node_ready(store::Draft& draft, model::NodeId id, const model::NodeDescription& description,
                  std::string address, const model::NodeTrust& trust) {
  const store::Row<model::Node> node = draft.node(id);
  if (!node) return no_node(id);
  SKEP_TRY(trust_fits(trust));
  model::Node updated = *node;
  updated.description = description;
  updated.status = {NodeState::ready, description.trouble, std::move(address)};
  if (!trust.roots_pem.empty()) updated.trust = trust;
  SKEP_TRY(fits_an_entry(store::upsert(updated), "a node's description"));
  draft.put(updated);
  return {};
}

Status node_trusts(store::Draft& draft, model::NodeId id, const model::NodeTrust& trust) {
  const store::Row<model::Node> node = draft.node(id);
  if (!node) return no_node(id);
  SKEP_TRY(trust_fits(trust));
  model::Node updated = *node;
  updated.trust = trust;
  draft.put(updated);
  return {};
}

Status node_renewed(store::Draft& draft, model::NodeId id, model::WallTime certificate_expires_at) {
  const store::Row<model::Node> node = draft.node(id);
  if (!node) return no_node(id);
  model::Node updated = *node;
  // The certificate before it may be the one that lives longer, when the time set was cut down.
  updated.certificate_expires_at = std::max(node->certificate_expires_at, certificate_expires_at);
  draft.put(updated);
  return {};
}

void node_down(store::Draft& draft, model::NodeId id, std::string message) {
  const store::Row<model::Node> node = draft.node(id);
  if (!node || node->status.state == NodeState::down) return;
  model::Node updated = *node;
  updated.status.state = NodeState::down;
  updated.status.message = std::move(message);
  draft.put(updated);
}

void report_status(store::Draft& draft, model::NodeId node,
                   const std::vector<StatusReport>& reports, model::WallTime now) {
  for (const StatusReport& report : reports) {
    const store::Row<model::Task> task = draft.task(report.task);
    if (!task || task->node != node || report.status.state < task->status.state) continue;
    if (report.status.state < TaskState::assigned || report.status.state > TaskState::rejected) {
      continue;
    }
    model::TaskStatus status = report.status;
    status.message = cut(std::move(status.message));
    status.error = cut(std::move(status.error));
    if (status.container)
      status.container->container_id.resize(
          std::min(status.container->container_id.size(), kReportTextMax));
    status.applied_at = task->status.applied_at;
    if (status == task->status) continue;
    status.applied_at = now;
    model::Task updated = *task;
    updated.status = std::move(status);
    draft.put(updated);
  }
}

}  // namespace skep::planner
