// The part of Control that reads and changes the cluster: thin, because the leader does the work.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/rotation.hpp"
#include "core/planner/requests.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/manager/trust.hpp"
#include "daemon/node.hpp"

namespace skep {

Status Node::need_manager() const {
  if (locked_) return fail(ErrorKind::precondition, std::string(manager::kLockedSentence));
  if (manager_) return {};
  if (log_trouble_) return fail(ErrorKind::unavailable, log_complaint());
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
  for (const agent::ManagerAddress& known : addresses_.managers) {
    if (credentials_ || locked_) out.managers.push_back({known.node, known.address});
  }
  if (locked_) {
    out.state = LocalState::locked;
    out.error = manager::kLockedSentence;
    out.node = locked_identity().node;
    out.cluster = locked_identity().cluster;
    return out;
  }
  if (!credentials_) return out;
  out.node = credentials_->identity.node;
  out.cluster = credentials_->identity.cluster;
  // While it is being taken in, a manager has nothing to show yet.
  out.is_manager = manager_ != nullptr && manager_->queue().store().cluster() != nullptr;
  out.state = LocalState::active;
  if (!trouble_.empty()) {
    out.state = LocalState::error;
  } else if (log_trouble_) {
    out.state = LocalState::error;
    out.error = log_complaint();
    out.log_lost = true;
  } else if (manager_ && !manager_->disk_complaint().empty()) {
    out.error = manager_->disk_complaint();
  } else if (!manager_ && !was_connected_) {
    out.state = LocalState::pending;
    out.error = "no manager of the swarm has answered yet";
  }
  const std::string& address = addresses_.advertise_address;
  out.node_address = manager_ ? address.substr(0, address.rfind(':')) : address;
  return out;
}

const store::View* Node::store() const {
  if (locked_ || !manager_ || !manager_->queue().store().cluster()) return nullptr;
  return &manager_->queue().store();
}

model::NodeId Node::leader() const {
  return manager_ ? manager_->leader() : model::NodeId{};
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

asio::awaitable<Status> Node::fresh() {
  if (locked_) co_return need_manager();
  if (!manager_) co_return Status{};
  co_return co_await manager_->fresh();
}

asio::awaitable<Result<std::string>> Node::ask(manager::Write write) {
  SKEP_CO_TRY(need_manager());
  co_return co_await manager_->write(std::move(write));
}

asio::awaitable<Status> Node::update_cluster(uint64_t version, model::ClusterSpec spec,
                                             manager::TokenRotation rotate) {
  SKEP_CO_TRY(need_manager());
  const store::Row<model::Cluster> present = manager_->queue().store().cluster();
  if (!present) co_return fail(ErrorKind::unavailable, "the cluster is not there yet");
  manager::UpdateCluster write{present->id, version, spec, {}};
  SKEP_CO_TRY_ASSIGN(write.trust,
                     manager::prepare_trust_change(*present, spec, rotate, base::wall_now()));
  const bool locks_anew = write.trust.unlock_key.has_value() ||
                          present->spec.auto_lock_managers != spec.auto_lock_managers;
  SKEP_CO_TRY(co_await ask(std::move(write)));
  if (locks_anew) co_await lock_stands();
  co_return Status{};
}

asio::awaitable<Status> Node::update_node(model::NodeId id, uint64_t version,
                                          model::NodeSpec spec) {
  manager::UpdateNode write{id, version, std::move(spec)};
  SKEP_CO_TRY(co_await ask(std::move(write)));
  co_return Status{};
}

asio::awaitable<Status> Node::remove_node(model::NodeId id, bool force) {
  manager::RemoveNode write{id, force};
  SKEP_CO_TRY(co_await ask(write));
  co_return Status{};
}

asio::awaitable<Result<model::ServiceId>> Node::create_service(model::ServiceSpec spec) {
  manager::CreateService write{std::move(spec)};
  SKEP_CO_TRY_ASSIGN(const std::string made, co_await ask(std::move(write)));
  const auto id = model::ServiceId::parse(made);
  if (!id) co_return fail(ErrorKind::internal, "the leader's answer is no service id");
  co_return *id;
}

asio::awaitable<Status> Node::update_service(model::ServiceId id, uint64_t version,
                                             model::ServiceSpec spec) {
  manager::UpdateService write{id, version, std::move(spec)};
  SKEP_CO_TRY(co_await ask(std::move(write)));
  co_return Status{};
}

asio::awaitable<Status> Node::remove_service(model::ServiceId id) {
  manager::RemoveService write{id};
  SKEP_CO_TRY(co_await ask(write));
  co_return Status{};
}

uint64_t Node::subscribe(std::function<void(const ClusterEvent&)> sink) {
  sinks_[++last_sink_] = std::move(sink);
  return last_sink_;
}

void Node::unsubscribe(uint64_t subscription) {
  sinks_.erase(subscription);
}

void Node::tell(const ClusterEvent& event) {
  if (quiet_) return;
  const auto sinks = sinks_;  // a sink may unsubscribe
  for (const auto& [id, sink] : sinks) sink(event);
}

}  // namespace skep
