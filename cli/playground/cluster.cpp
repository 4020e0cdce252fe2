// swarm init, swarm join, and waiting for "ready", over the nodes' Engine API sockets.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/cluster.hpp"

#include <nlohmann/json.hpp>

#include "cli/engine_client.hpp"
#include "cli/playground/process.hpp"

namespace skep::cli::playground {
namespace {

using nlohmann::json;
using namespace nlohmann::literals;  // _json_pointer

constexpr milliseconds kReadyLimit{60'000};
constexpr milliseconds kJoinLimit{30'000};

// Calls and reads the answer as JSON; an empty answer is null.
Result<json> ask(const Node& node, Method method, const std::string& path, const json& body,
                 milliseconds limit) {
  SKEP_TRY_ASSIGN(const EngineClient client, EngineClient::open(node.api_socket().string()));
  RequestOptions options;
  options.timeout = limit;
  const std::string text = body.is_null() ? "" : body.dump();
  const Result<Response> answer = client.call(method, path, text, options);
  if (!answer) return fail(answer.error().within(node.name + ": " + path));
  if (answer->body.empty()) return json();
  json value = json::parse(answer->body, nullptr, false);
  if (value.is_discarded()) {
    return fail(ErrorKind::internal, node.name + ": " + path + " did not answer with JSON");
  }
  return value;
}

// A text at a JSON pointer, or "" when anything on the way is missing.
std::string text_at(const json& value, const char* pointer) {
  const json::json_pointer path(pointer);
  return value.contains(path) && value[path].is_string() ? value[path].get<std::string>() : "";
}

Result<std::string> local_state(const Node& node) {
  SKEP_TRY_ASSIGN(const json answer, ask(node, Method::get, "/info", json(), milliseconds(5'000)));
  return text_at(answer, "/Swarm/LocalNodeState");
}

int count_ready(const json& nodes) {
  int ready = 0;
  for (const json& node : nodes) ready += text_at(node, "/Status/State") == "ready" ? 1 : 0;
  return ready;
}

}  // namespace

Status form_cluster(const Layout& layout) {
  const std::vector<Node> nodes = layout.nodes();
  const Node& manager = nodes.front();
  const std::string listen = "0.0.0.0:" + std::to_string(kClusterPort);
  SKEP_TRY_ASSIGN(const std::string state, local_state(manager));
  if (state != "active") {
    const json body = {
        {"ListenAddr", listen}, {"AdvertiseAddr", manager.address}, {"Spec", json::object()}};
    SKEP_TRY(ask(manager, Method::post, "/swarm/init", body, kJoinLimit));
    std::printf("%s: the cluster is formed\n", manager.name.c_str());
  }
  SKEP_TRY_ASSIGN(const json swarm, ask(manager, Method::get, "/swarm", json(), kJoinLimit));
  const std::string token = text_at(swarm, "/JoinTokens/Worker");
  for (size_t i = 1; i < nodes.size(); ++i) {
    SKEP_TRY_ASSIGN(const std::string other, local_state(nodes[i]));
    if (other == "active" || other == "pending") continue;
    const std::string remote = manager.address + ":" + std::to_string(kClusterPort);
    const json body = {{"ListenAddr", listen},
                       {"AdvertiseAddr", nodes[i].address},
                       {"RemoteAddrs", json::array({remote})},
                       {"JoinToken", token}};
    SKEP_TRY(ask(nodes[i], Method::post, "/swarm/join", body, kJoinLimit));
    std::printf("%s: has joined\n", nodes[i].name.c_str());
  }
  int ready = 0;
  const int wanted = static_cast<int>(nodes.size());
  const bool all = wait_until(kReadyLimit, [&] {
    const Result<json> listed = ask(manager, Method::get, "/nodes", json(), milliseconds(5'000));
    ready = listed ? count_ready(*listed) : 0;
    return ready >= wanted;
  });
  if (all) return {};
  show_log_tail(manager.log("skepd"));
  return fail(ErrorKind::deadline, "only " + std::to_string(ready) + " of " +
                                       std::to_string(wanted) + " nodes became ready");
}

std::string cluster_state(const Node& node) {
  const Result<json> answer = ask(node, Method::get, "/info", json(), milliseconds(2'000));
  if (!answer) return "-";
  const std::string state = text_at(*answer, "/Swarm/LocalNodeState");
  if (state != "active") return state.empty() ? "inactive" : state;
  const bool manages = answer->contains("/Swarm/ControlAvailable"_json_pointer) &&
                       (*answer)["/Swarm/ControlAvailable"_json_pointer] == json(true);
  return manages ? "manager" : "worker";
}

}  // namespace skep::cli::playground
