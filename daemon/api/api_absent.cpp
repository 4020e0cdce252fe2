// Docker's endpoints that skep doesn't have (yet): each says so in a sentence.
//
// `docker inspect NAME` probes plugins, secrets and configs by name one after the other
// and goes on only after a proper 404, so those aren't 501. Lists of what can't exist are empty.
// What isn't here at all is not Docker's, and gets "page not found".
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/context.hpp"

namespace skep::api {
namespace {

using Answer = asio::awaitable<Result<Response>>;

Answer empty_list(Context&, const Request&, Exchange&) {
  co_return Response::json("[]");
}

Answer no_such_plugin(Context&, const Request& request, Exchange&) {
  co_return fail(ErrorKind::not_found, "plugin \"" + request.parameter("name") + "\" not found");
}

// Secrets and configs belong to the cluster: elsewhere the answer is that of every such endpoint.
Answer empty_cluster_list(Context& context, const Request&, Exchange&) {
  SKEP_CO_TRY(need_store(context));
  co_return Response::json("[]");
}

Answer no_such_secret(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY(need_store(context));
  co_return fail(ErrorKind::not_found, "secret " + request.parameter("name") + " not found");
}

Answer no_such_config(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY(need_store(context));
  co_return fail(ErrorKind::not_found, "config " + request.parameter("name") + " not found");
}

Answer not_yet(Context&, const Request& request, Exchange&) {
  co_return fail(ErrorKind::unimplemented,
                 "not implemented yet: " + request.method + " " + request.path);
}

// Only a cluster volume can be changed after it was made.
Answer no_cluster_volumes(Context&, const Request&, Exchange&) {
  co_return fail(ErrorKind::unimplemented, "not implemented yet: cluster volumes (volume update)");
}

}  // namespace

std::span<const Route> absent_routes() {
  static const Route routes[] = {
      {"GET", "/plugins", &empty_list},
      {"GET", "/plugins/{name...}/json", &no_such_plugin},
      {"GET", "/secrets", &empty_cluster_list},
      {"GET", "/secrets/{name}", &no_such_secret},
      {"GET", "/configs", &empty_cluster_list},
      {"GET", "/configs/{name}", &no_such_config},
      {"PUT", "/volumes/{name}", &no_cluster_volumes},
      {"POST", "/secrets/create", &not_yet},
      {"POST", "/secrets/{name}/update", &not_yet},
      {"DELETE", "/secrets/{name}", &not_yet},
      {"POST", "/configs/create", &not_yet},
      {"POST", "/configs/{name}/update", &not_yet},
      {"DELETE", "/configs/{name}", &not_yet},
      {"POST", "/networks/create", &not_yet},
      {"POST", "/networks/prune", &not_yet},
      {"POST", "/networks/{id}/connect", &not_yet},
      {"POST", "/networks/{id}/disconnect", &not_yet},
      {"GET", "/services/{id}/logs", &not_yet},
      {"GET", "/tasks/{id}/logs", &not_yet},
      {"GET", "/system/df", &not_yet},
      {"POST", "/containers/create", &not_yet},
      {"POST", "/containers/prune", &not_yet},
      {"POST", "/containers/{id}/start", &not_yet},
      {"POST", "/containers/{id}/restart", &not_yet},
      {"POST", "/containers/{id}/attach", &not_yet},
      {"GET", "/containers/{id}/attach/ws", &not_yet},
      {"POST", "/containers/{id}/pause", &not_yet},
      {"POST", "/containers/{id}/unpause", &not_yet},
      {"POST", "/containers/{id}/rename", &not_yet},
      {"POST", "/containers/{id}/resize", &not_yet},
      {"POST", "/containers/{id}/update", &not_yet},
      {"GET", "/containers/{id}/top", &not_yet},
      {"GET", "/containers/{id}/stats", &not_yet},
      {"GET", "/containers/{id}/changes", &not_yet},
      {"GET", "/containers/{id}/export", &not_yet},
      {"GET", "/containers/{id}/archive", &not_yet},
      {"PUT", "/containers/{id}/archive", &not_yet},
      {"POST", "/containers/{id}/checkpoints", &not_yet},
      {"GET", "/containers/{id}/checkpoints", &not_yet},
      {"POST", "/build", &not_yet},
      {"POST", "/build/prune", &not_yet},
      {"POST", "/build/cancel", &not_yet},
      {"POST", "/commit", &not_yet},
      {"POST", "/session", &not_yet},
      {"POST", "/grpc", &not_yet},
      {"POST", "/images/load", &not_yet},
      {"POST", "/images/prune", &not_yet},
      {"GET", "/images/get", &not_yet},
      {"GET", "/images/search", &not_yet},
      {"GET", "/images/{name...}/history", &not_yet},
      {"GET", "/images/{name...}/get", &not_yet},
      {"POST", "/images/{name...}/tag", &not_yet},
      {"POST", "/images/{name...}/push", &not_yet},
      {"GET", "/plugins/privileges", &not_yet},
      {"POST", "/plugins/{name...}", &not_yet},
      {"DELETE", "/plugins/{name...}", &not_yet},
  };
  return routes;
}

}  // namespace skep::api
