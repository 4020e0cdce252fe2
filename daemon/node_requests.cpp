// The part of Control that reads and changes the cluster: thin, because the queue does the work.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/rotation.hpp"
#include "core/planner/requests.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/manager/trust.hpp"
#include "daemon/node.hpp"

namespace skep {

Status Node::need_manager() const {
  if (manager_) return {};
  if (credentials_) {
    return fail(ErrorKind::precondition,
                "This node is not a swarm manager. Worker nodes can't be used to view or modify "
                "cluster state. Please run this command on a manager node or promote the current "
                "node to a manager.");
  }
  return fail(
      ErrorKind::precondition,
      "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" "
      "to connect this node to swarm and try again.");
}

manager::Membership Node::membership() const {
  using manager::LocalState;
  manager::Membership out;
  out.error = trouble_;
  if (entering_) out.state = LocalState::pending;
  if (!credentials_) return out;
  out.node = credentials_->identity.node;
  out.cluster = credentials_->identity.cluster;
  out.is_manager = manager_ != nullptr;
  out.state = LocalState::active;
  if (!trouble_.empty()) {
    out.state = LocalState::error;
  } else if (!manager_ && !was_connected_) {
    out.state = LocalState::pending;
    out.error = "no manager of the swarm has answered yet";
  }
  const std::string& address = addresses_.advertise_address;
  out.node_address = manager_ ? address.substr(0, address.rfind(':')) : address;
  for (const agent::ManagerAddress& known : addresses_.managers) {
    out.managers.push_back({known.node, known.address});
  }
  return out;
}

const store::View* Node::store() const {
  if (!manager_ || !manager_->queue().store().cluster()) return nullptr;
  return &manager_->queue().store();
}

model::NodeId Node::leader() const {
  if (!manager_ || !manager_->queue().leading() || !credentials_) return {};
  return credentials_->identity.node;
}

manager::TrustInfo Node::trust() const {
  manager::TrustInfo out;
  const store::View* state = store();
  if (state == nullptr || !state->cluster()) return out;
  const model::Cluster& cluster = *state->cluster();
  out.root_certificate_pem = cluster.ca_certificate_pem;
  const auto issuer = transport::issuer_info(identity::wanted_root(cluster));
  if (issuer) {
    out.issuer_subject_der = issuer->subject_der;
    out.issuer_public_key_der = issuer->public_key_der;
  }
  return out;
}

asio::awaitable<Status> Node::ask(manager::Queue::Request request) {
  SKEP_CO_TRY(need_manager());
  co_return co_await manager_->queue().submit(std::move(request));
}

asio::awaitable<Status> Node::update_cluster(uint64_t version, model::ClusterSpec spec,
                                             manager::TokenRotation rotate) {
  SKEP_CO_TRY(need_manager());
  const store::Row<model::Cluster> present = manager_->queue().store().cluster();
  if (!present) co_return fail(ErrorKind::unavailable, "the cluster is not there yet");
  SKEP_CO_TRY_ASSIGN(const planner::TrustChange change,
                     manager::prepare_trust_change(*present, spec, rotate, base::wall_now()));
  co_return co_await ask(
      [=](store::Draft& draft) { return planner::update_cluster(draft, version, spec, change); });
}

asio::awaitable<Status> Node::update_node(model::NodeId id, uint64_t version,
                                          model::NodeSpec spec) {
  co_return co_await ask([id, version, spec = std::move(spec)](store::Draft& draft) {
    return planner::update_node(draft, id, version, spec);
  });
}

asio::awaitable<Status> Node::remove_node(model::NodeId id, bool force) {
  co_return co_await ask([id, force](store::Draft& draft) {
    return planner::remove_node(draft, id, force, base::wall_now());
  });
}

asio::awaitable<Result<model::ServiceId>> Node::create_service(model::ServiceSpec spec) {
  SKEP_CO_TRY(need_manager());
  model::ServiceId made;
  model::IdSource& ids = manager_->ids();
  SKEP_CO_TRY(co_await ask([&](store::Draft& draft) -> Status {
    SKEP_TRY_ASSIGN(made, planner::create_service(draft, spec, ids));
    return {};
  }));
  co_return made;
}

asio::awaitable<Status> Node::update_service(model::ServiceId id, uint64_t version,
                                             model::ServiceSpec spec) {
  co_return co_await ask([id, version, spec = std::move(spec)](store::Draft& draft) {
    return planner::update_service(draft, id, version, spec);
  });
}

asio::awaitable<Status> Node::remove_service(model::ServiceId id) {
  co_return co_await ask([id](store::Draft& draft) { return planner::remove_service(draft, id); });
}

uint64_t Node::subscribe(std::function<void(const ClusterEvent&)> sink) {
  sinks_[++last_sink_] = std::move(sink);
  return last_sink_;
}

void Node::unsubscribe(uint64_t subscription) {
  sinks_.erase(subscription);
}

void Node::tell(const ClusterEvent& event) {
  const auto sinks = sinks_;  // a sink may unsubscribe
  for (const auto& [id, sink] : sinks) sink(event);
}

}  // namespace skep
