// The documents of skep.base/1 that begin a life.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/first_steps.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "sdk/schema/json_schema.hpp"
#include "skep/abi.h"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;
using json = nlohmann::json;

std::string to_text(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

Status make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  }
  if (error) return fail(ErrorKind::internal, path + ": " + error.message());
  return {};
}

Result<json> config_object(const PluginConfig& config) {
  json document = json::parse(config.config, nullptr, false);
  if (!document.is_object()) {
    return fail(ErrorKind::invalid, "config_rejected: the configuration of plugin " + config.name +
                                        " is not a JSON object; mend it");
  }
  return document;
}

Result<std::string> restore_request(const RestorePlan::Object& object) {
  json request = json::parse(object.more, nullptr, false);
  if (!request.is_object()) request = json::object();
  request["id"] = object.id;
  request["handle"] = json::parse(object.handle, nullptr, false);
  if (request["handle"].is_discarded()) {
    return fail(ErrorKind::invalid, "the stored handle of " + object.id + " is no JSON");
  }
  return to_text(request);
}

}  // namespace

Result<host::CheckedFile> open_file(const PluginConfig& config) {
  using LoadBy = host::CheckedFile::LoadBy;
  return host::CheckedFile::open(config.path, config.sha256,
                                 config.debug ? LoadBy::path : LoadBy::descriptor);
}

namespace {

using std::chrono::steady_clock;

// Whether a call with the usual deadline, made then, ended with it. A driver may give the same
// error of its own accord, when it waited in vain for something else; that is an answer.
bool ran_out(const Error& error, steady_clock::time_point begun) {
  return error.kind == ErrorKind::deadline &&
         steady_clock::now() - begun >= std::chrono::milliseconds(call_deadline_ms_default);
}

bool is_lost(const Error& error, steady_clock::time_point begun) {
  return error.kind == ErrorKind::plugin_lost || ran_out(error, begun);
}

}  // namespace

bool is_loss(const Error& error) {
  return error.kind == ErrorKind::plugin_lost || error.kind == ErrorKind::deadline ||
         error.kind == ErrorKind::cancelled;
}

Status check_config(const PluginConfig& config, const std::string& schema) {
  SKEP_TRY_ASSIGN(const json document, config_object(config));
  if (schema.empty()) return {};
  const Result<schema::JsonSchema> compiled = schema::JsonSchema::compile_text(schema);
  Status fits = compiled ? compiled->check(document) : Status(fail(compiled.error()));
  if (fits) return {};
  if (!compiled || fits.error().kind != ErrorKind::invalid) {
    return fail(ErrorKind::internal,
                fmt::format("init_failed: {} carries a config_schema that can't be used ({}); its "
                            "author mends it",
                            config.path, fits.error().message));
  }
  return fail(ErrorKind::invalid,
              fmt::format("config_rejected: {}; mend [plugins.{}.config] in skepd.toml",
                          fits.error().message, config.name));
}

asio::awaitable<Status> configure_driver(CalleePtr callee, CallTablePtr table, PluginConfig config,
                                         PluginPlace place, std::string schema) {
  SKEP_CO_TRY(check_config(config, schema));
  const std::string run_dir = place.run_dir + "/plugins/" + config.name;
  const std::string data_dir = place.data_dir + "/plugins/" + config.name;
  SKEP_CO_TRY(make_folder(run_dir));
  SKEP_CO_TRY(make_folder(data_dir));
  SKEP_CO_TRY_ASSIGN(json own, config_object(config));
  // plugin_dir: where programs that a driver brings along lie beside it.
  const std::string plugin_dir = std::filesystem::path(config.path).parent_path();
  json request = json::object();
  request["config"] = std::move(own);
  request["run_dir"] = run_dir;
  request["data_dir"] = data_dir;
  request["node"] = place.node;
  request["plugin_dir"] = plugin_dir;
  std::string document = to_text(request);
  const host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, configure);
  const auto begun = steady_clock::now();
  const Result<std::string> reply =
      co_await make_call(std::move(callee), std::move(table), operation, std::string(),
                         std::move(document), CallOptions());
  if (reply) co_return Status();
  if (reply.error().kind == ErrorKind::unimplemented) {
    co_return fail(ErrorKind::invalid, fmt::format("init_failed: {} has no {}; install it again",
                                                   config.path, SKEP_BASE_1));
  }
  if (ran_out(reply.error(), begun)) {
    co_return fail(
        ErrorKind::deadline,
        fmt::format("init_timed_out: {} did not take its configuration within {} s; look "
                    "for its lines in the log",
                    config.path, call_deadline_ms_default / 1000));
  }
  co_return fail(reply.error());
}

asio::awaitable<Status> reconfigure_driver(CalleePtr callee, CallTablePtr table,
                                           PluginConfig config, std::string schema) {
  SKEP_CO_TRY(check_config(config, schema));
  SKEP_CO_TRY_ASSIGN(json own, config_object(config));
  json request = json::object();
  request["config"] = std::move(own);
  std::string document = to_text(request);
  const host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, reconfigure);
  SKEP_CO_TRY(co_await make_call(std::move(callee), std::move(table), operation, std::string(),
                                 std::move(document), CallOptions()));
  co_return Status();
}

asio::awaitable<Status> restore_objects(CalleePtr callee, CallTablePtr table, RestorePlan plan) {
  const host::Operation& restore = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, restore);
  const host::Operation& done = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, restore_done);
  for (const RestorePlan::Object& object : plan.objects) {
    Result<std::string> request = restore_request(object);
    Status outcome;
    const auto begun = steady_clock::now();
    if (request) {
      const Result<std::string> reply =
          co_await make_call(callee, table, restore, object.id, std::move(*request), CallOptions());
      if (!reply) outcome = fail(reply.error());
    } else {
      outcome = fail(request.error());
    }
    if (!outcome && is_lost(outcome.error(), begun)) co_return outcome;
    if (plan.told) plan.told(object.id, outcome);
  }
  if (!plan.ids) co_return Status();
  json named = json::object();
  named["ids"] = *plan.ids;
  std::string document = to_text(named);
  const auto begun = steady_clock::now();
  const Result<std::string> ended =
      co_await make_call(callee, table, done, std::string(), std::move(document), CallOptions());
  if (ended || ended.error().kind == ErrorKind::unimplemented) co_return Status();
  if (is_lost(ended.error(), begun)) co_return fail(ended.error());
  table->log.line(0, SKEP_LOG_WARNING, "did not end its restore: " + ended.error().message);
  co_return Status();
}

}  // namespace skep::drivers
