// Ours, not Docker's: the drivers of this node.
//
//   GET  /skep/v1/plugins                    {"plugins": [PLUGIN..], "lb": {"used": NAME | null,
//                                            "passed_over": [{"name", "reason"}..]}}
//   GET  /skep/v1/plugins/{name}             PLUGIN with more, see below
//   POST /skep/v1/plugins/{name}/reload      file and configuration as they are now -> PLUGIN; 409
//   when
//                                            that needs a restart of skepd
//   POST /skep/v1/plugins/{name}/log-level   {"level": "debug"|"info"|"warning"|"error"} -> PLUGIN
//
// PLUGIN: name, id, version, path, interfaces, isolation ("process"|"in-process"), pid (null: none
// of its own), state ("serving"|"restarting"|"unhealthy"|"ended"), reason, probe {"state",
// "reason"}, restarts, recent_losses, breaker ("open"|"closed"), log_level. More: config_schema,
// options_schema (objects or null), config (secrets hidden; null: its schema is not known yet),
// operations [{"interface", "operation", "ended", "in_flight", "errors": {KIND: N}, "p50_ns",
// "p99_ns"}..] as the host counts them, metrics [{"name", "kind": "counter"|"gauge", "value"}..] of
// the driver's own.
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <nlohmann/json.hpp>

#include "daemon/api/context.hpp"
#include "daemon/drivers/config_view.hpp"
#include "daemon/drivers/driver_set.hpp"
#include "daemon/drivers/plugin.hpp"
#include "daemon/drivers/plugin_log.hpp"

namespace skep::api {
namespace {

using Json = nlohmann::json;
using drivers::DriverState;
using drivers::ProbeState;
using drivers::RunState;

const char* word(RunState state) {
  switch (state) {
    case RunState::serving:
      return "serving";
    case RunState::restarting:
      return "restarting";
    case RunState::unhealthy:
      return "unhealthy";
    case RunState::ended:
      return "ended";
  }
  return "ended";
}

const char* word(ProbeState state) {
  switch (state) {
    case ProbeState::unknown:
      return "unknown";
    case ProbeState::ready:
      return "ready";
    case ProbeState::not_ready:
      return "not_ready";
    case ProbeState::broken:
      return "broken";
  }
  return "unknown";
}

Json summary(const DriverState& state, const drivers::Plugin& plugin) {
  Json json = Json::object();
  json["name"] = state.name;
  json["id"] = state.id;
  json["version"] = state.version;
  json["path"] = plugin.config().path;
  json["interfaces"] = state.interfaces;
  json["isolation"] = state.isolation == drivers::Isolation::process ? "process" : "in-process";
  json["pid"] = state.run.pid == 0 ? Json() : Json(state.run.pid);
  json["state"] = word(state.run.state);
  json["reason"] = state.run.reason;
  json["probe"] = Json({{"state", word(state.probe)}, {"reason", state.reason}});
  json["restarts"] = state.run.restarts;
  json["recent_losses"] = state.run.recent_losses;
  json["breaker"] = state.unhealthy() ? "open" : "closed";
  json["log_level"] = drivers::log_level_word(plugin.log_level());
  return json;
}

Json operations(const drivers::Plugin& plugin) {
  Json all = Json::array();
  for (const auto& [name, metrics] : plugin.metrics().operations()) {
    Json one = Json::object();
    const size_t space = name.find(' ');
    one["interface"] = name.substr(0, space);
    one["operation"] = name.substr(space + 1);
    one["ended"] = metrics.ended;
    one["in_flight"] = metrics.in_flight;
    Json errors = Json::object();
    for (const auto& [kind, count] : metrics.errors) errors[std::string(info(kind).name)] = count;
    one["errors"] = std::move(errors);
    one["p50_ns"] = std::chrono::nanoseconds(metrics.latency.quantile(0.5)).count();
    one["p99_ns"] = std::chrono::nanoseconds(metrics.latency.quantile(0.99)).count();
    all.push_back(std::move(one));
  }
  return all;
}

Json figures(const drivers::Plugin& plugin) {
  Json all = Json::array();
  for (const auto& [name, figure] : plugin.driver_metrics().values()) {
    all.push_back(Json(
        {{"name", name}, {"kind", figure.gauge ? "gauge" : "counter"}, {"value", figure.value}}));
  }
  return all;
}

// A driver's own text; null when it carries none, or one that is no JSON.
Json document(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json() : json;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Json> described(Context& context, std::string_view name) {
  for (const DriverState& state : context.drivers.states()) {
    if (state.name != name) continue;
    SKEP_TRY_ASSIGN(const drivers::Plugin* plugin, context.drivers.plugin(name));
    return summary(state, *plugin);
  }
  return fail(ErrorKind::not_found, "No such plugin: " + std::string(name));
}

asio::awaitable<Result<Response>> list(Context& context, const Request&, Exchange&) {
  Json plugins = Json::array();
  for (const DriverState& state : context.drivers.states()) {
    SKEP_CO_TRY_ASSIGN(Json plugin, described(context, state.name));
    plugins.push_back(std::move(plugin));
  }
  const drivers::LbChoice& choice = context.drivers.lb_choice();
  Json passed_over = Json::array();
  for (const auto& [name, reason] : choice.passed_over) {
    passed_over.push_back(Json({{"name", name}, {"reason", reason}}));
  }
  Json answer = Json::object();
  answer["plugins"] = std::move(plugins);
  answer["lb"] = Json({{"used", choice.name.empty() ? Json() : Json(choice.name)},
                       {"passed_over", std::move(passed_over)}});
  co_return Response::json(text_of(answer));
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  const std::string name = request.parameter("name");
  SKEP_CO_TRY_ASSIGN(Json json, described(context, name));
  SKEP_CO_TRY_ASSIGN(const drivers::Plugin* plugin, context.drivers.plugin(name));
  const drivers::DriverFacts facts = plugin->facts();
  json["config_schema"] = document(facts.config_schema);
  json["options_schema"] = document(facts.options_schema);
  json["config"] = document(drivers::shown_config(plugin->config().config, facts));
  json["operations"] = operations(*plugin);
  json["metrics"] = figures(*plugin);
  co_return Response::json(text_of(json));
}

asio::awaitable<Result<Response>> reload(Context& context, const Request& request, Exchange&) {
  const std::string name = request.parameter("name");
  SKEP_CO_TRY(described(context, name));
  SKEP_CO_TRY(co_await context.drivers.reload(name));
  SKEP_CO_TRY_ASSIGN(const Json json, described(context, name));
  co_return Response::json(text_of(json));
}

asio::awaitable<Result<Response>> set_log_level(Context& context, const Request& request,
                                                Exchange&) {
  const std::string name = request.parameter("name");
  SKEP_CO_TRY(described(context, name));
  const Json body = Json::parse(request.body, nullptr, false);
  if (!body.is_object() || !body.contains("level") || !body.at("level").is_string()) {
    co_return fail(ErrorKind::invalid, "the body must be {\"level\": LEVEL}");
  }
  SKEP_CO_TRY_ASSIGN(const int32_t level,
                     drivers::log_level_of(body.at("level").get<std::string>()));
  SKEP_CO_TRY_ASSIGN(drivers::Plugin * plugin, context.drivers.plugin(name));
  plugin->set_log_level(level);
  SKEP_CO_TRY_ASSIGN(const Json json, described(context, name));
  co_return Response::json(text_of(json));
}

}  // namespace

std::span<const Route> plugin_routes() {
  static const Route routes[] = {{"GET", "/skep/v1/plugins", &list},
                                 {"GET", "/skep/v1/plugins/{name}", &inspect},
                                 {"POST", "/skep/v1/plugins/{name}/reload", &reload},
                                 {"POST", "/skep/v1/plugins/{name}/log-level", &set_log_level}};
  return routes;
}

}  // namespace skep::api
