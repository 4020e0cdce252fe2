// The cluster itself: init, join, leave, look, rotate tokens and the unlock key, unlock.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/validate.hpp"
#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/docker_json.hpp"
#include "daemon/api/lookup.hpp"

namespace skep::api {
namespace {

constexpr std::string_view kNotManager = "This node is not a swarm manager. ";

asio::awaitable<Result<Response>> init(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const docker_json::SwarmInit body,
                     docker_json::parse_swarm_init(request.body));
  SKEP_CO_TRY(model::validate_cluster_spec(body.spec));
  manager::InitRequest wanted;
  wanted.listen_address = body.listen_address;
  wanted.advertise_address = body.advertise_address;
  wanted.availability = body.availability;
  wanted.spec = body.spec;
  wanted.spec.auto_lock_managers |= body.auto_lock_managers;
  wanted.address_pools = body.address_pools;
  wanted.subnet_size = body.subnet_size;
  wanted.data_path_port = body.data_path_port;
  wanted.force_new_cluster = body.force_new_cluster;
  SKEP_CO_TRY_ASSIGN(const model::NodeId node, co_await context.control.init(std::move(wanted)));
  co_return Response::json(docker_json::text_to_json(node.str()));
}

asio::awaitable<Result<Response>> join(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const docker_json::SwarmJoin body,
                     docker_json::parse_swarm_join(request.body));
  if (body.remote_addresses.empty()) {
    co_return fail(ErrorKind::invalid, "RemoteAddrs: the address of a manager is needed");
  }
  if (body.token.empty()) co_return fail(ErrorKind::invalid, "JoinToken: invalid join token");
  manager::JoinRequest wanted;
  wanted.listen_address = body.listen_address;
  wanted.advertise_address = body.advertise_address;
  wanted.remote_addresses = body.remote_addresses;
  wanted.token = body.token;
  wanted.availability = body.availability;
  SKEP_CO_TRY(co_await context.control.join(std::move(wanted)));
  co_return Response::empty(200);
}

asio::awaitable<Result<Response>> leave(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY(co_await context.control.leave(request.query_flag("force")));
  co_return Response::empty(200);
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request&, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  docker_json::SwarmView view;
  view.cluster = *store->cluster();
  view.trust = trust_view(context);
  co_return Response::json(docker_json::swarm_to_json(view));
}

asio::awaitable<Result<Response>> update(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  SKEP_CO_TRY_ASSIGN(const uint64_t version, need_version(request));
  SKEP_CO_TRY_ASSIGN(const model::ClusterSpec spec, docker_json::parse_cluster_spec(request.body));
  SKEP_CO_TRY(model::validate_cluster_spec(spec));
  if (spec.default_log_driver != store->cluster()->spec.default_log_driver) {
    co_return fail(ErrorKind::unimplemented,
                   "not implemented yet: changing TaskDefaults.LogDriver");
  }
  manager::TokenRotation rotate;
  rotate.worker = request.query_flag("rotateWorkerToken");
  rotate.manager = request.query_flag("rotateManagerToken");
  rotate.unlock_key = request.query_flag("rotateManagerUnlockKey");
  SKEP_CO_TRY_ASSIGN(docker_json::SigningRoot root, docker_json::parse_signing_root(request.body));
  rotate.signing_certificate_pem = std::move(root.certificate_pem);
  rotate.signing_key_pem = std::move(root.key_pem);
  SKEP_CO_TRY(co_await context.control.update_cluster(version, spec, rotate));
  co_return Response::empty(200);
}

asio::awaitable<Result<Response>> unlock_key(Context& context, const Request&, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const store::View* store, need_store(context));
  co_return Response::json(docker_json::unlock_key_to_json(store->cluster()->unlock_key));
}

asio::awaitable<Result<Response>> unlock(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(std::string key, docker_json::parse_unlock_key(request.body));
  SKEP_CO_TRY(co_await context.control.unlock(std::move(key)));
  co_return Response::empty(200);
}

}  // namespace

Result<const store::View*> need_store(const Context& context) {
  const store::View* store = context.control.store();
  if (store && store->cluster()) return store;
  std::string text(kNotManager);
  const manager::Membership membership = context.control.membership();
  if (membership.log_lost) return fail(ErrorKind::unavailable, membership.error);
  if (membership.state == manager::LocalState::locked) {
    text = manager::kLockedSentence;
  } else if (membership.state == manager::LocalState::inactive) {
    text +=
        "Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try "
        "again.";
  } else if (membership.is_manager) {
    text =
        "The swarm does not have a leader. It's possible that too few managers are online. "
        "Make sure more than half of the managers are online.";
  } else {
    text +=
        "Worker nodes can't be used to view or modify cluster state. Please run this command on a "
        "manager node or promote the current node to a manager.";
  }
  return fail(ErrorKind::precondition, std::move(text));
}

Result<uint64_t> need_version(const Request& request) {
  SKEP_TRY_ASSIGN(const std::optional<uint64_t> version, request.query_number("version"));
  if (!version) return fail(ErrorKind::invalid, "query version: the object's version is needed");
  return *version;
}

std::span<const Route> swarm_routes() {
  static const Route routes[] = {
      {"POST", "/swarm/init", &init},     {"POST", "/swarm/join", &join},
      {"POST", "/swarm/leave", &leave},   {"GET", "/swarm", &inspect},
      {"POST", "/swarm/update", &update}, {"GET", "/swarm/unlockkey", &unlock_key},
      {"POST", "/swarm/unlock", &unlock},
  };
  return routes;
}

}  // namespace skep::api
