// A command in a running container: create, start with its streams, resize, look.
//
// Start takes the connection over. Output and input run side by side; the client's half-close is
// end of input for the process and no more. The exit code is known before the connection closes,
// because that is when clients ask for it.
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "daemon/api/context.hpp"
#include "daemon/api/framing.hpp"

namespace skep::api {
namespace {

using Json = nlohmann::json;

Result<Json> parse_body(const Request& request) {
  if (request.body.empty()) return Json(Json::object());
  Json json = Json::parse(request.body, nullptr, false);
  if (!json.is_object()) return fail(ErrorKind::invalid, "the body is not a JSON object");
  return json;
}

template <class V>
Status read(const Json& json, const char* key, bool (Json::*is_type)() const noexcept, V& out) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return {};
  if (!((*found).*is_type)()) {
    return fail(ErrorKind::invalid, std::string(key) + ": wrong type, got " + found->type_name());
  }
  out = found->get<V>();
  return {};
}

Status read_texts(const Json& json, const char* key, std::vector<std::string>& out) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return {};
  if (!found->is_array()) return fail(ErrorKind::invalid, std::string(key) + ": expected a list");
  for (const Json& entry : *found) {
    if (!entry.is_string()) {
      return fail(ErrorKind::invalid, std::string(key) + ": expected a list of strings");
    }
    out.push_back(entry.get<std::string>());
  }
  return {};
}

// ConsoleSize is [rows, columns].
void read_console_size(const Json& json, uint16_t& rows, uint16_t& columns) {
  const auto size = json.find("ConsoleSize");
  if (size == json.end() || !size->is_array() || size->size() != 2) return;
  if (!(*size)[0].is_number_unsigned() || !(*size)[1].is_number_unsigned()) return;
  rows = static_cast<uint16_t>((*size)[0].get<uint64_t>());
  columns = static_cast<uint16_t>((*size)[1].get<uint64_t>());
}

Result<agent::ExecConfig> parse_config(const Request& request) {
  SKEP_TRY_ASSIGN(const Json json, parse_body(request));
  agent::ExecConfig config;
  config.attach_stdout = config.attach_stderr = false;
  SKEP_TRY(read_texts(json, "Cmd", config.argv));
  SKEP_TRY(read_texts(json, "Env", config.env));
  SKEP_TRY(read(json, "User", &Json::is_string, config.user));
  SKEP_TRY(read(json, "WorkingDir", &Json::is_string, config.working_dir));
  SKEP_TRY(read(json, "Tty", &Json::is_boolean, config.tty));
  SKEP_TRY(read(json, "AttachStdin", &Json::is_boolean, config.attach_stdin));
  SKEP_TRY(read(json, "AttachStdout", &Json::is_boolean, config.attach_stdout));
  SKEP_TRY(read(json, "AttachStderr", &Json::is_boolean, config.attach_stderr));
  SKEP_TRY(read(json, "Privileged", &Json::is_boolean, config.privileged));
  SKEP_TRY(read(json, "DetachKeys", &Json::is_string, config.detach_keys));
  read_console_size(json, config.rows, config.columns);
  if (config.argv.empty() || config.argv.front().empty()) {
    return fail(ErrorKind::invalid, "No exec command specified");
  }
  return config;
}

asio::awaitable<Result<Response>> create(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const auto container, context.containers.find(request.parameter("id")));
  SKEP_CO_TRY_ASSIGN(agent::ExecConfig config, parse_config(request));
  if (container->state != agent::ContainerState::running) {
    co_return fail(ErrorKind::conflict, "container " + container->id + " is not running");
  }
  config.container_id = container->id;
  SKEP_CO_TRY_ASSIGN(const std::string id, context.containers.exec_create(std::move(config)));
  co_return Response::json(Json{{"Id", id}}.dump(), 201);
}

asio::awaitable<void> send_output(agent::ExecStreams& streams, bool tty, Exchange& exchange) {
  while (auto chunk = co_await streams.read()) {
    std::string bytes = tty ? std::move(chunk->bytes) : framed(chunk->is_stderr, chunk->bytes);
    if (!co_await exchange.write_raw(std::move(bytes))) co_return;
  }
}

asio::awaitable<void> take_input(agent::ExecStreams& streams, Exchange& exchange) {
  while (auto bytes = co_await exchange.read_raw()) {
    const Status written = co_await streams.write(std::move(*bytes));
    if (!written) co_return;  // the process has closed its input, or ended
  }
  co_await streams.close_input();
}

// Input nobody asked for is read and dropped, so that the client never blocks on sending it.
asio::awaitable<void> discard_input(Exchange& exchange) {
  while (co_await exchange.read_raw()) {
  }
}

asio::awaitable<Result<Response>> start(Context& context, const Request& request,
                                        Exchange& exchange) {
  const std::string id = request.parameter("id");
  SKEP_CO_TRY_ASSIGN(const Json body, parse_body(request));
  SKEP_CO_TRY_ASSIGN(const agent::ExecState state, context.containers.exec_inspect(id));
  if (state.started) co_return fail(ErrorKind::conflict, "exec " + id + " has already run");
  bool detach = false;
  SKEP_CO_TRY(read(body, "Detach", &Json::is_boolean, detach));
  uint16_t rows = 0;
  uint16_t columns = 0;
  read_console_size(body, rows, columns);
  if (rows != 0 && columns != 0) {
    SKEP_CO_TRY(co_await context.containers.exec_resize(id, rows, columns));
  }
  SKEP_CO_TRY_ASSIGN(const std::unique_ptr<agent::ExecStreams> streams,
                     co_await context.containers.exec_start(id));
  if (detach) co_return Response::empty(200);  // leaving the streams detaches the process
  const bool tty = state.config.tty;
  if (!co_await exchange.hijack(tty ? kRawStream : kMultiplexed)) co_return Response::sent();
  asio::awaitable<void> input =
      state.config.attach_stdin ? take_input(*streams, exchange) : discard_input(exchange);
  co_await exchange.until_first_ends(send_output(*streams, tty, exchange), std::move(input));
  co_return Response::sent();
}

asio::awaitable<Result<Response>> resize(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const std::optional<uint64_t> rows, request.query_number("h"));
  SKEP_CO_TRY_ASSIGN(const std::optional<uint64_t> columns, request.query_number("w"));
  if (!rows || !columns || *rows > UINT16_MAX || *columns > UINT16_MAX) {
    co_return fail(ErrorKind::invalid, "query h and w: the new height and width are needed");
  }
  SKEP_CO_TRY(co_await context.containers.exec_resize(
      request.parameter("id"), static_cast<uint16_t>(*rows), static_cast<uint16_t>(*columns)));
  co_return Response::empty(200);
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  const std::string& id = request.parameter("id");
  SKEP_CO_TRY_ASSIGN(const agent::ExecState state, context.containers.exec_inspect(id));
  const agent::ExecConfig& config = state.config;
  Json process = {
      {"tty", config.tty},
      {"entrypoint", config.argv.front()},
      {"arguments", std::vector<std::string>(config.argv.begin() + 1, config.argv.end())},
      {"privileged", config.privileged}};
  if (!config.user.empty()) process["user"] = config.user;
  Json json = {{"ID", id},
               {"ContainerID", config.container_id},
               {"Running", state.running},
               {"ExitCode", state.exit_code ? Json(*state.exit_code) : Json(nullptr)},
               {"Pid", state.pid},
               {"ProcessConfig", std::move(process)},
               {"OpenStdin", config.attach_stdin},
               {"OpenStdout", config.attach_stdout},
               {"OpenStderr", config.attach_stderr},
               {"CanRemove", false},
               {"DetachKeys", config.detach_keys}};
  co_return Response::json(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

std::span<const Route> exec_routes() {
  static const Route routes[] = {
      {"POST", "/containers/{id}/exec", &create},
      {"POST", "/exec/{id}/start", &start},
      {"POST", "/exec/{id}/resize", &resize},
      {"GET", "/exec/{id}/json", &inspect},
  };
  return routes;
}

}  // namespace skep::api
