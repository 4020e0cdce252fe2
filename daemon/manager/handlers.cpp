// The node RPC, method by method: decode, ask the queue, answer.
//
// Who may call what was decided by the access table before a handler runs; what is checked here is
// that a node speaks for itself: its identity is the certificate's, and its session is the one it
// was given.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/identity/rotation.hpp"
#include "core/identity/token.hpp"
#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "core/planner/requests.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/manager/session.hpp"
#include "daemon/transport/node_rpc.pb.h"

namespace skep::manager {
namespace {

using identity::Method;

// Joiners who were given a certificate and did not fetch it yet.
constexpr size_t kIssuedMax = 1024;
// How long a node may ask to be counted as alive without beats.
constexpr std::chrono::minutes kAwayMax{10};
// Of a rotation's renewals: so much for each node, and no more than that in all.
constexpr std::chrono::milliseconds kRenewalSpread{10};
constexpr std::chrono::milliseconds kRenewalSpreadMax{120'000};

template <class Message>
Result<Message> parse(const std::string& payload) {
  Message message;
  if (!message.ParseFromString(payload)) {
    return fail(ErrorKind::invalid, "the request can't be decoded");
  }
  return message;
}

model::NodeAvailability availability_of(proto::NodeAvailability wanted) {
  switch (wanted) {
    case proto::NODE_AVAILABILITY_PAUSE:
      return model::NodeAvailability::pause;
    case proto::NODE_AVAILABILITY_DRAIN:
      return model::NodeAvailability::drain;
    default:
      return model::NodeAvailability::active;
  }
}

tl::unexpected<Error> no_manager() {
  return fail(ErrorKind::cancelled, "this manager is stopping");
}

asio::awaitable<Result<std::string>> stopped() {
  co_return no_manager();
}

asio::awaitable<Status> stopped_stream() {
  co_return no_manager();
}

}  // namespace

// A call may begin, or come back from a wait, in the turn after the manager was destroyed.
void Manager::register_handlers() {
  using transport::Caller;
  using Reply = asio::awaitable<Result<std::string>>;
  const auto handle = [this](Method method, std::function<Reply(Caller, std::string)> body) {
    server_->handle(
        method, [alive = std::weak_ptr(alive_), body](Caller caller, std::string payload) {
          return alive.expired() ? stopped() : body(std::move(caller), std::move(payload));
        });
  };
  handle(Method::get_root, [this](Caller, std::string) { return get_root(); });
  handle(Method::issue_certificate,
         [this](Caller, std::string payload) { return issue_certificate(std::move(payload)); });
  handle(Method::certificate_status,
         [this](Caller, std::string payload) { return certificate_status(std::move(payload)); });
  handle(Method::renew_certificate, [this](Caller caller, std::string payload) {
    return renew_certificate(std::move(caller), std::move(payload));
  });
  handle(Method::heartbeat, [this](Caller caller, std::string payload) {
    return heartbeat(std::move(caller), std::move(payload));
  });
  handle(Method::status, [this](Caller caller, std::string payload) {
    return status(std::move(caller), std::move(payload));
  });
  handle(Method::away, [this](Caller caller, std::string payload) {
    return away(std::move(caller), std::move(payload));
  });
  handle(Method::leave, [this](Caller caller, std::string) { return leave(std::move(caller)); });
  handle(Method::managers, [this](Caller, std::string) { return managers(); });
  register_streams();
  register_group_handlers();
}

void Manager::register_streams() {
  using transport::Caller;
  using transport::ItemSink;
  server_->handle_stream(Method::session, [this, alive = std::weak_ptr(alive_)](
                                              Caller caller, std::string payload, ItemSink& sink) {
    if (alive.expired()) return stopped_stream();
    return session(std::move(caller), std::move(payload), sink);
  });
  server_->handle_stream(
      Method::assignments,
      [this, alive = std::weak_ptr(alive_)](Caller caller, std::string payload, ItemSink& sink) {
        if (alive.expired()) return stopped_stream();
        return assignments(std::move(caller), std::move(payload), sink);
      });
}

asio::awaitable<Result<std::string>> Manager::get_root() {
  // The present root alone, even while another one is to take its place: it is what tokens name.
  const store::Row<model::Cluster> cluster = queue_->store().cluster();
  if (!cluster) co_return fail(ErrorKind::unavailable, "the cluster is not there yet");
  rpc::GetRootReply reply;
  reply.set_root_pem(cluster->ca_certificate_pem);
  co_return reply.SerializeAsString();
}

Result<std::string> Manager::sign(std::string_view csr, model::NodeId node, model::NodeRole role) {
  const store::Row<model::Cluster> cluster = queue_->store().cluster();
  if (!cluster) return fail(ErrorKind::unavailable, "the cluster is not there yet");
  const identity::SigningRoot signer = identity::signing_root(*cluster);
  const transport::KeyAndCertificate root{signer.key_pem, signer.certificate_pem};
  const transport::CertificateOrder order{node, cluster->id, role, cluster->spec.node_cert_expiry};
  SKEP_TRY_ASSIGN(std::string certificate,
                  transport::sign_request(root, csr, order, base::wall_now()));
  return certificate + signer.chain_pem;
}

asio::awaitable<Result<std::string>> Manager::issue_certificate(std::string payload) {
  SKEP_CO_TRY_ASSIGN(const auto request, parse<rpc::IssueCertificateRequest>(payload));
  const std::weak_ptr<int> alive = alive_;
  // A token that was rotated elsewhere must not pass here.
  SKEP_CO_TRY(co_await fresh());
  if (alive.expired()) co_return no_manager();
  const store::Row<model::Cluster> cluster = queue_->store().cluster();
  if (!cluster) co_return fail(ErrorKind::unavailable, "the cluster is not there yet");
  const std::optional<model::NodeRole> role =
      identity::role_of_token(request.token(), cluster->worker_token, cluster->manager_token);
  if (!role) {
    co_return fail(ErrorKind::invalid,
                   "invalid join token: it is neither the worker's nor the manager's token of "
                   "this cluster, or it was rotated");
  }
  const model::NodeId node{ids_.next()};
  SKEP_CO_TRY_ASSIGN(std::string certificate, sign(request.csr_pem(), node, *role));
  SKEP_CO_TRY_ASSIGN(const transport::PeerIdentity fresh, transport::identity_of(certificate));
  SKEP_CO_TRY_ASSIGN(const model::Issuer issuer,
                     transport::issuer_info(identity::wanted_root(*cluster)));
  AdmitNode admit{node, *role, availability_of(request.availability()), fresh.expires_at, issuer};
  SKEP_CO_TRY(co_await write(std::move(admit)));
  if (alive.expired()) co_return no_manager();
  issued_[node] = std::move(certificate);
  issued_order_.push_back(node);
  if (issued_order_.size() > kIssuedMax) {
    issued_.erase(issued_order_.front());
    issued_order_.pop_front();
  }
  rpc::IssueCertificateReply reply;
  reply.set_node(codec::id_bytes(node.bits));
  co_return reply.SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::certificate_status(std::string payload) {
  SKEP_CO_TRY_ASSIGN(const auto request, parse<rpc::CertificateStatusRequest>(payload));
  SKEP_CO_TRY_ASSIGN(const auto node, codec::decode_id<model::NodeId>(request.node(), "node"));
  rpc::CertificateStatusReply reply;
  // A certificate is no secret: it is worth nothing without the key, which never left the joiner.
  const auto it = issued_.find(node);
  if (it == issued_.end()) {
    reply.set_refused("no certificate was asked for under this node id");
  } else {
    reply.set_certificate_pem(it->second);
  }
  co_return reply.SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::renew_certificate(transport::Caller caller,
                                                                std::string payload) {
  SKEP_CO_TRY_ASSIGN(const auto request, parse<rpc::RenewCertificateRequest>(payload));
  const store::Row<model::Node> node = queue_->store().node(caller.identity->node);
  if (!node) co_return fail(ErrorKind::unauthenticated, "this node was removed from the cluster");
  SKEP_CO_TRY_ASSIGN(std::string certificate, sign(request.csr_pem(), node->id, node->role));
  SKEP_CO_TRY_ASSIGN(const transport::PeerIdentity fresh, transport::identity_of(certificate));
  const std::weak_ptr<int> alive = alive_;
  // A node that is removed later is blocked for as long as this certificate would have been good.
  Queue::Request note = [fresh](store::Draft& draft) {
    return planner::node_renewed(draft, fresh.node, fresh.expires_at);
  };
  SKEP_CO_TRY(co_await queue_->submit(std::move(note)));
  if (alive.expired()) co_return no_manager();
  const store::Row<model::Cluster> cluster = queue_->store().cluster();
  if (!cluster) co_return fail(ErrorKind::unavailable, "the cluster is not there yet");
  rpc::RenewCertificateReply reply;
  reply.set_certificate_pem(std::move(certificate));
  reply.set_root_pem(identity::trusted_roots(*cluster));
  co_return reply.SerializeAsString();
}

Result<std::shared_ptr<Manager::Session>> Manager::session_of(const transport::Caller& caller,
                                                              const std::string& session) {
  const auto it = sessions_.find(caller.identity->node);
  if (it == sessions_.end() || it->second->id != session) {
    return fail(ErrorKind::precondition, "this session has ended; open a new one");
  }
  return it->second;
}

// All nodes hear of a new root at once; their renewals are spread, or the handshakes and signatures
// would hold up everything else.
void Manager::tell_trust(Session& session, rpc::SessionItem* item) const {
  const store::Row<model::Cluster> cluster = queue_->store().cluster();
  if (!cluster) return;
  const std::string roots = identity::trusted_roots(*cluster);
  const std::string& wanted = identity::wanted_root(*cluster);
  if (session.told_roots == roots && session.told_wanted == wanted) return;
  const Result<model::Issuer> issuer = transport::issuer_info(wanted);
  if (!issuer) {
    base::log_error("manager", "the cluster's root can't be read: " + issuer.error().message);
    return;
  }
  item->set_roots_pem(roots);
  codec::encode(*issuer, item->mutable_wanted_issuer());
  const std::chrono::milliseconds within = kRenewalSpread * sessions_.size();
  item->set_renew_within_ms(static_cast<uint32_t>(std::min(within, kRenewalSpreadMax).count()));
  session.told_roots = roots;
  session.told_wanted = wanted;
}

std::string Manager::session_item(Session& session, bool first) const {
  rpc::SessionItem item;
  item.set_session(session.id);
  item.set_generation(generation().value);
  if (const store::Row<model::Node> node = queue_->store().node(session.node)) {
    codec::encode(*node, item.mutable_node());
  }
  const store::Row<model::Cluster> cluster = queue_->store().cluster();
  if (first && cluster) {
    const auto beat =
        std::chrono::duration_cast<std::chrono::milliseconds>(cluster->spec.heartbeat_period);
    item.set_heartbeat_ms(static_cast<uint32_t>(beat.count()));
  }
  if (session.managers_dirty) add_managers(&item, session.node);
  tell_trust(session, &item);
  return item.SerializeAsString();
}

// All managers, the leader first. A manager's own node is told how to reach it without a network.
void Manager::add_managers(rpc::SessionItem* item, model::NodeId node) const {
  item->set_has_managers(true);
  const model::NodeId leads = leader();
  const auto add = [&](const store::Row<model::Node>& row) {
    const bool own = row->id == node && row->id == options_.credentials.identity.node;
    rpc::Manager* out = item->add_managers();
    out->set_node(codec::id_bytes(row->id.bits));
    out->set_address(own ? options_.own_address : row->manager->address);
  };
  const store::Row<model::Node> first = leads ? queue_->store().node(leads) : nullptr;
  if (first && first->manager) add(first);
  queue_->store().each_node([&](const store::Row<model::Node>& row) {
    if (row->manager && row->id != leads) add(row);
  });
}

std::string Manager::elsewhere_item(model::NodeId node) const {
  rpc::SessionItem item;
  item.set_elsewhere(true);
  item.set_generation(generation().value);
  if (leader()) add_managers(&item, node);
  return item.SerializeAsString();
}

asio::awaitable<Status> Manager::session(transport::Caller caller, std::string payload,
                                         transport::ItemSink& sink) {
  SKEP_CO_TRY_ASSIGN(const auto request, parse<rpc::SessionRequest>(payload));
  SKEP_CO_TRY_ASSIGN(const model::NodeDescription description,
                     codec::decode(request.description()));
  const model::NodeTrust trust = codec::decode(request.trust());
  if (!queue_->leading()) {
    SKEP_CO_TRY(co_await sink.send(elsewhere_item(caller.identity->node)));
    co_return fail(ErrorKind::unavailable, "this manager does not lead");
  }
  const model::NodeId node = caller.identity->node;
  auto session = std::make_shared<Session>(loop_, node, model::id_text(ids_.next()));
  if (const auto old = sessions_.find(node); old != sessions_.end()) {
    old->second->end("a newer session of this node has begun");
  }
  sessions_[node] = session;
  leases_.forget(node);  // a long one that an `away` granted has served its purpose
  leases_.renew(node, base::mono_now());
  arm_leases();
  // The manager's own node dials over loopback; it is known by the address it advertises.
  std::string address = caller.remote_address;
  if (node == options_.credentials.identity.node) {
    address = options_.advertise_address.substr(0, options_.advertise_address.rfind(':'));
  }
  Queue::Request report_in = [=](store::Draft& draft) {
    return planner::node_ready(draft, node, description, address, trust);
  };
  const std::weak_ptr<int> alive = alive_;
  Status known = co_await queue_->submit(std::move(report_in));
  if (alive.expired()) co_return no_manager();
  if (!known && known.error().kind == ErrorKind::not_found) {
    known = fail(ErrorKind::unauthenticated, "this node was removed from the cluster");
  }
  if (!known) {
    const auto it = sessions_.find(node);
    if (it != sessions_.end() && it->second == session) sessions_.erase(it);
    co_return known;
  }
  bool first = true;
  while (!session->ended) {
    session->row_dirty = false;
    std::string item = session_item(*session, std::exchange(first, false));
    session->managers_dirty = false;
    SKEP_CO_TRY(co_await sink.send(std::move(item)));
    while (!session->row_dirty && !session->ended && !sink.closed()) {
      boost::system::error_code rung;
      co_await session->row_bell.async_wait(asio::redirect_error(asio::use_awaitable, rung));
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return Status{};
    }
    if (sink.closed()) co_return Status{};
  }
  co_return fail(ErrorKind::precondition, *session->ended);
}

asio::awaitable<Status> Manager::assignments(transport::Caller caller, std::string payload,
                                             transport::ItemSink& sink) {
  SKEP_CO_TRY_ASSIGN(const auto request, parse<rpc::AssignmentsRequest>(payload));
  SKEP_CO_TRY_ASSIGN(const std::shared_ptr<Session> session, session_of(caller, request.session()));
  session->feed = AssignmentFeed(session->node);  // a stream opened anew begins with the full state
  while (!session->ended && !sink.closed()) {
    if (std::optional<std::string> item = session->feed.next(queue_->store())) {
      SKEP_CO_TRY(co_await sink.send(std::move(*item)));
      continue;
    }
    boost::system::error_code rung;
    co_await session->task_bell.async_wait(asio::redirect_error(asio::use_awaitable, rung));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return Status{};
  }
  if (!session->ended) co_return Status{};
  co_return fail(ErrorKind::precondition, *session->ended);
}

asio::awaitable<Result<std::string>> Manager::heartbeat(transport::Caller caller,
                                                        std::string payload) {
  SKEP_CO_TRY_ASSIGN(const auto request, parse<rpc::HeartbeatRequest>(payload));
  SKEP_CO_TRY(session_of(caller, request.session()));
  leases_.renew(caller.identity->node, base::mono_now());
  if (request.has_trust()) {
    const model::NodeId node = caller.identity->node;
    const model::NodeTrust trust = codec::decode(request.trust());
    Queue::Request note = [=](store::Draft& draft) {
      return planner::node_trusts(draft, node, trust);
    };
    const std::weak_ptr<int> alive = alive_;
    SKEP_CO_TRY(co_await queue_->submit(std::move(note)));
    if (alive.expired()) co_return no_manager();
  }
  rpc::HeartbeatReply reply;
  const store::Row<model::Cluster> cluster = queue_->store().cluster();
  const auto beat =
      std::chrono::duration_cast<std::chrono::milliseconds>(cluster->spec.heartbeat_period);
  reply.set_heartbeat_ms(static_cast<uint32_t>(beat.count()));
  co_return reply.SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::status(transport::Caller caller,
                                                     std::string payload) {
  SKEP_CO_TRY_ASSIGN(const auto request, parse<rpc::StatusRequest>(payload));
  SKEP_CO_TRY(session_of(caller, request.session()));
  std::vector<planner::StatusReport> reports;
  for (const rpc::TaskStatusUpdate& update : request.updates()) {
    const auto task = codec::decode_id<model::TaskId>(update.task(), "task");
    Result<model::TaskStatus> observed = codec::decode(update.status());
    if (task && observed) {
      reports.push_back({*task, std::move(*observed)});
      continue;
    }
    // A node that repeats what can't be read must not keep its other tasks' news from arriving.
    base::log_warning("manager",
                      "a report of node " + caller.identity->node.str() +
                          " is left out: " + (task ? observed.error() : task.error()).message);
  }
  const model::NodeId node = caller.identity->node;
  Queue::Request report = [this, node, reports = std::move(reports)](store::Draft& draft) {
    planner::report_status(draft, node, reports, queue_->now());
    return Status{};
  };
  SKEP_CO_TRY(co_await queue_->submit(std::move(report)));
  co_return rpc::StatusReply().SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::away(transport::Caller caller, std::string payload) {
  SKEP_CO_TRY_ASSIGN(const auto request, parse<rpc::AwayRequest>(payload));
  SKEP_CO_TRY(session_of(caller, request.session()));
  const std::chrono::nanoseconds asked = std::chrono::milliseconds(request.keep_ms());
  const std::chrono::nanoseconds most = kAwayMax;
  leases_.renew(caller.identity->node, base::mono_now(), std::min(asked, most));
  co_return rpc::AwayReply().SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::leave(transport::Caller caller) {
  const model::NodeId node = caller.identity->node;
  base::log_info("manager", "node " + node.str() + " leaves the cluster");
  Queue::Request down = [node](store::Draft& draft) {
    planner::node_down(draft, node, "node left the cluster");
    return Status{};
  };
  const std::weak_ptr<int> alive = alive_;
  SKEP_CO_TRY(co_await queue_->submit(std::move(down)));
  if (alive.expired()) co_return no_manager();
  leases_.forget(node);
  if (const auto it = sessions_.find(node); it != sessions_.end()) {
    it->second->end("the node left the cluster");
    sessions_.erase(it);
  }
  co_return rpc::LeaveReply().SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::managers() {
  rpc::ManagersReply reply;
  queue_->store().each_node([&](const store::Row<model::Node>& node) {
    if (!node->manager) return;
    rpc::Manager* out = reply.add_managers();
    out->set_node(codec::id_bytes(node->id.bits));
    out->set_address(node->manager->address);
  });
  co_return reply.SerializeAsString();
}

}  // namespace skep::manager
