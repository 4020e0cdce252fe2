// This node's containers: list, look, read logs, stop, kill, wait, remove. Making and starting them
// by hand isn't built: skep's containers are tasks.
//
// `wait` sends its headers before there is an answer, since clients wait for those before they go
// on.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "daemon/api/container_view.hpp"
#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/time_text.hpp"
#include "daemon/api/filters.hpp"
#include "daemon/api/framing.hpp"
#include "daemon/api/time_query.hpp"

namespace skep::api {
namespace {

using Row = std::shared_ptr<const agent::Container>;

bool same_image(const agent::Container& container, const std::string& wanted) {
  const std::string& image = container.image;
  return image == wanted || container.image_id == wanted ||
         container.image_id.starts_with("sha256:" + wanted) ||
         image.substr(0, image.find('@')) == wanted ||
         (image.starts_with(wanted + ":") && wanted.find(':') == std::string::npos);
}

bool flag(const std::string& text) {
  return text == "true" || text == "1";
}

// `named`: by the filter of names, made once for all.
bool listed(const Filters& filters, const std::function<bool(std::string_view)>& named,
            const agent::Container& container) {
  const bool is_task = container.labels.contains("com.docker.swarm.task.id");
  return filters.allows_prefix("id", container.id) &&
         // With and without the slash that Docker shows.
         (named("/" + container.name) || named(container.name)) &&
         filters.allows_label("label", container.labels) &&
         filters.allows_equal("status", container_state(container)) &&
         filters.allows("ancestor",
                        [&](const std::string& wanted) { return same_image(container, wanted); }) &&
         filters.allows("is-task", [&](const std::string& w) { return flag(w) == is_task; }) &&
         filters.allows("exited",
                        [&](const std::string& wanted) {
                          return container.state == agent::ContainerState::exited &&
                                 std::to_string(container.exit_code) == wanted;
                        }) &&
         filters.allows("network",
                        [&](const std::string& wanted) {
                          return std::any_of(container.networks.begin(), container.networks.end(),
                                             [&](const agent::ContainerNetwork& network) {
                                               return network.name == wanted ||
                                                      network.network_id == wanted;
                                             });
                        }) &&
         filters.allows("volume",
                        [&](const std::string& wanted) {
                          return std::any_of(container.mounts.begin(), container.mounts.end(),
                                             [&](const agent::ContainerMount& mount) {
                                               return mount.name == wanted ||
                                                      mount.target == wanted;
                                             });
                        }) &&
         // Health checks and published ports don't exist yet.
         filters.allows_equal("health", "none") && !filters.has("publish") &&
         !filters.has("expose");
}

// before=X and since=X: created earlier or later than container X.
Status keep_by_age(const Context& context, const Filters& filters, std::vector<Row>& rows) {
  for (const std::string& reference : filters.values("before")) {
    SKEP_TRY_ASSIGN(const Row other, context.containers.find(reference));
    std::erase_if(rows, [&](const Row& row) { return row->created_at >= other->created_at; });
  }
  for (const std::string& reference : filters.values("since")) {
    SKEP_TRY_ASSIGN(const Row other, context.containers.find(reference));
    std::erase_if(rows, [&](const Row& row) { return row->created_at <= other->created_at; });
  }
  return {};
}

asio::awaitable<Result<Response>> list(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const Filters filters,
                     Filters::parse(request, {"ancestor", "before", "exited", "expose", "health",
                                              "id", "is-task", "isolation", "label", "name",
                                              "network", "publish", "since", "status", "volume"}));
  SKEP_CO_TRY_ASSIGN(const std::optional<uint64_t> limit, request.query_number("limit"));
  const bool all = request.query_flag("all") || filters.has("status") || filters.has("exited") ||
                   (limit && *limit > 0);
  const std::function<bool(std::string_view)> named = filters.pattern("name");
  std::vector<Row> rows = context.containers.list();
  std::erase_if(rows, [&](const Row& row) {
    return (!all && row->state != agent::ContainerState::running &&
            row->state != agent::ContainerState::paused) ||
           !listed(filters, named, *row);
  });
  SKEP_CO_TRY(keep_by_age(context, filters, rows));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a->created_at > b->created_at; });
  if (limit && *limit > 0 && rows.size() > *limit) rows.resize(*limit);
  co_return Response::json(containers_to_json(rows, context.options.now()));
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const Row container, context.containers.find(request.parameter("id")));
  co_return Response::json(container_to_json(*container));
}

Result<agent::LogQuery> parse_log_query(const Context& context, const Request& request) {
  agent::LogQuery query;
  query.out = request.query_flag("stdout");
  query.err = request.query_flag("stderr");
  if (!query.out && !query.err) {
    return fail(ErrorKind::invalid,
                "Bad parameters: you must choose at least one stream (stdout, stderr)");
  }
  query.follow = request.query_flag("follow");
  const std::string_view tail = request.query_value("tail");
  // A tail that is no number means all, as in the original.
  uint64_t lines = 0;
  const auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), lines);
  if (error == std::errc() && end == tail.data() + tail.size()) query.tail = lines;
  const model::WallTime now = context.options.now();
  SKEP_TRY_ASSIGN(query.since, time_query(request, "since", now));
  SKEP_TRY_ASSIGN(query.until, time_query(request, "until", now));
  return query;
}

struct LogFormat {
  bool tty = false;
  bool timestamps = false;
};

std::string log_bytes(const agent::LogLine& line, LogFormat format) {
  std::string text;
  if (format.timestamps) text = docker_json::time_text_nine(line.time) + " ";
  text += line.text;
  return format.tty ? text : framed(line.is_stderr, text);
}

// A coroutine of its own with everything by reference from the handler's frame, which waits for it.
asio::awaitable<void> send_logs(Context& context, const std::string& id,
                                const agent::LogQuery& query, LogFormat format,
                                Exchange& exchange) {
  const auto sink = [&exchange, format](const agent::LogLine& line) -> asio::awaitable<bool> {
    return exchange.write(log_bytes(line, format));
  };
  const Status read = co_await context.containers.logs(id, query, sink);
  if (read) co_return;
  // The headers are gone: what went wrong can only be told as one more line of stderr.
  std::string frame = framed(true, "error from daemon in stream: " + read.error().message + "\n");
  co_await exchange.write(format.tty ? frame.substr(8) : std::move(frame));
}

asio::awaitable<Result<Response>> logs(Context& context, const Request& request,
                                       Exchange& exchange) {
  SKEP_CO_TRY_ASSIGN(const Row container, context.containers.find(request.parameter("id")));
  SKEP_CO_TRY_ASSIGN(const agent::LogQuery query, parse_log_query(context, request));
  LogFormat format;
  format.tty = container->spec.tty;
  format.timestamps = request.query_flag("timestamps");
  const std::string type = format.tty ? kRawStream : kMultiplexed;
  if (!co_await exchange.begin_stream(200, type)) co_return Response::sent();
  co_await exchange.until_gone(send_logs(context, container->id, query, format, exchange));
  co_return Response::sent();
}

asio::awaitable<Result<Response>> stop(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const Row container, context.containers.find(request.parameter("id")));
  // -1 asks for a stop without any kill: a day is as good, and a call that ends.
  constexpr uint64_t kGraceMax = 3600 * 24;
  std::optional<uint64_t> seconds = kGraceMax;
  if (request.query_value("t") != "-1") {
    SKEP_CO_TRY_ASSIGN(seconds, request.query_number("t"));
  }
  std::optional<model::Nanoseconds> grace;
  if (seconds) grace = std::chrono::seconds(std::min(*seconds, kGraceMax));
  SKEP_CO_TRY_ASSIGN(const bool was_running,
                     co_await context.containers.stop(
                         container->id, std::string(request.query_value("signal")), grace));
  co_return Response::empty(was_running ? 204 : 304);
}

asio::awaitable<Result<Response>> kill(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const Row container, context.containers.find(request.parameter("id")));
  std::string signal(request.query_value("signal"));
  if (signal.empty()) signal = "SIGKILL";
  SKEP_CO_TRY(co_await context.containers.kill(container->id, std::move(signal)));
  co_return Response::empty(204);
}

asio::awaitable<Result<Response>> remove(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const Row container, context.containers.find(request.parameter("id")));
  SKEP_CO_TRY(co_await context.containers.remove(container->id, request.query_flag("force")));
  co_return Response::empty(204);
}

asio::awaitable<void> send_exit(Context& context, const std::string& id,
                                agent::WaitCondition condition, Exchange& exchange) {
  const Result<int64_t> code = co_await context.containers.wait(id, condition);
  nlohmann::ordered_json json;
  json["StatusCode"] = code ? *code : -1;
  json["Error"] = nullptr;
  if (!code) json["Error"] = {{"Message", code.error().message}};
  co_await exchange.write(json.dump() + "\n");
}

asio::awaitable<Result<Response>> wait(Context& context, const Request& request,
                                       Exchange& exchange) {
  SKEP_CO_TRY_ASSIGN(const Row container, context.containers.find(request.parameter("id")));
  const std::string_view text = request.query_value("condition");
  agent::WaitCondition condition = agent::WaitCondition::not_running;
  if (text == "next-exit") {
    condition = agent::WaitCondition::next_exit;
  } else if (text == "removed") {
    condition = agent::WaitCondition::removed;
  } else if (!text.empty() && text != "not-running") {
    co_return fail(ErrorKind::invalid, "query condition: unknown value '" + std::string(text) +
                                           "', expected not-running, next-exit or removed");
  }
  if (!co_await exchange.begin_stream(200, "application/json")) co_return Response::sent();
  co_await exchange.until_gone(send_exit(context, container->id, condition, exchange));
  co_return Response::sent();
}

}  // namespace

std::span<const Route> container_routes() {
  static const Route routes[] = {
      {"GET", "/containers/json", &list},       {"GET", "/containers/{id}/json", &inspect},
      {"GET", "/containers/{id}/logs", &logs},  {"POST", "/containers/{id}/stop", &stop},
      {"POST", "/containers/{id}/kill", &kill}, {"POST", "/containers/{id}/wait", &wait},
      {"DELETE", "/containers/{id}", &remove},
  };
  return routes;
}

}  // namespace skep::api
