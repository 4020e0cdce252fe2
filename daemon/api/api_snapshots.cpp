// Ours, not Docker's: the cluster's state as a file, and a cluster from such a file.
//
//   POST /skep/v1/snapshot/save      {"passphrase": "..."} or {"plain": true}; answers the file
//   POST /skep/v1/snapshot/restore   one line of JSON, then the file; answers {"node": ID}:
//        {"passphrase": "...", "listen_addr": "0.0.0.0:2377", "advertise_addr": "10.0.0.1"}
//
// The file is made before the first byte of it is sent, so that what goes wrong is an answer like
// any other. It ends in bytes by which the asker sees that it is whole
// (daemon/storage/archive.hpp).
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "daemon/api/context.hpp"

namespace skep::api {
namespace {

using Json = nlohmann::json;

constexpr size_t kPieceBytes = 256 << 10;

Result<Json> parse_object(std::string_view text) {
  Json json = text.empty() ? Json::object() : Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(ErrorKind::invalid, "the body is not a JSON object");
  return json;
}

Result<std::optional<std::string>> text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::optional<std::string>();
  if (!found->is_string()) {
    return fail(ErrorKind::invalid,
                std::string(key) + ": expected a text, got " + found->type_name());
  }
  return std::optional(found->get<std::string>());
}

Result<std::optional<std::string>> passphrase_of(const Json& json) {
  SKEP_TRY_ASSIGN(std::optional<std::string> passphrase, text_of(json, "passphrase"));
  if (passphrase && passphrase->empty()) {
    return fail(ErrorKind::invalid, "passphrase: an empty one protects nothing");
  }
  return passphrase;
}

asio::awaitable<Result<Response>> save(Context& context, const Request& request,
                                       Exchange& exchange) {
  SKEP_CO_TRY_ASSIGN(const Json body, parse_object(request.body));
  SKEP_CO_TRY_ASSIGN(std::optional<std::string> passphrase, passphrase_of(body));
  const auto plain = body.find("plain");
  const bool is_plain = plain != body.end() && *plain == true;
  if (passphrase.has_value() == is_plain) {
    co_return fail(ErrorKind::invalid,
                   "a snapshot holds the key of the cluster's root: give either a passphrase, or "
                   "\"plain\": true");
  }
  SKEP_CO_TRY_ASSIGN(const storage::NamelessFile file,
                     co_await context.control.save_snapshot(std::move(passphrase)));
  if (!co_await exchange.begin_stream(200, "application/octet-stream")) {
    co_return Response::sent();
  }
  for (uint64_t offset = 0; offset < file.size(); offset += kPieceBytes) {
    Result<std::string> piece = file.read(offset, kPieceBytes);
    // The asker finds the file without its end.
    if (!piece || !co_await exchange.write(std::move(*piece))) break;
  }
  co_return Response::sent();
}

asio::awaitable<Result<Response>> restore(Context& context, const Request& request, Exchange&) {
  const size_t end = std::min(request.body.find('\n'), request.body.size());
  SKEP_CO_TRY_ASSIGN(const Json body, parse_object(std::string_view(request.body).substr(0, end)));
  manager::RestoreRequest wanted;
  SKEP_CO_TRY_ASSIGN(wanted.passphrase, passphrase_of(body));
  SKEP_CO_TRY_ASSIGN(const std::optional<std::string> listen, text_of(body, "listen_addr"));
  SKEP_CO_TRY_ASSIGN(const std::optional<std::string> advertise, text_of(body, "advertise_addr"));
  wanted.listen_address = listen.value_or("");
  wanted.advertise_address = advertise.value_or("");
  wanted.file = std::make_shared<const std::string>(
      std::string_view(request.body).substr(std::min(end + 1, request.body.size())));
  SKEP_CO_TRY_ASSIGN(const model::NodeId node,
                     co_await context.control.restore_snapshot(std::move(wanted)));
  co_return Response::json(Json({{"node", node.str()}}).dump());
}

}  // namespace

std::span<const Route> snapshot_routes() {
  static const Route routes[] = {{"POST", "/skep/v1/snapshot/save", &save},
                                 {"POST", "/skep/v1/snapshot/restore", &restore}};
  return routes;
}

}  // namespace skep::api
