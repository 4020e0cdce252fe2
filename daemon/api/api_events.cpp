// The event stream: what is kept, then what comes.
// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <nlohmann/json.hpp>

#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/time_text.hpp"
#include "daemon/api/filters.hpp"
#include "daemon/api/time_query.hpp"

namespace skep::api {
namespace {

std::string line_of(const Event& event) {
  using Json = nlohmann::ordered_json;
  Json json = Json::object();
  if (event.type == "container") {
    // What clients older than the actor form read.
    json["status"] = event.action;
    json["id"] = event.id;
    const auto image = event.attributes.find("image");
    json["from"] = image == event.attributes.end() ? "" : image->second;
  }
  json["Type"] = event.type;
  json["Action"] = event.action;
  json["Actor"] = Json{{"ID", event.id}, {"Attributes", Json(event.attributes)}};
  json["scope"] = event.scope;
  json["time"] = event.time.unix_ns / 1'000'000'000;
  json["timeNano"] = event.time.unix_ns;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool named(const Filters& filters, std::string_view type, const Event& event) {
  if (!filters.has(type)) return true;
  if (event.type != type) return false;
  const auto name = event.attributes.find("name");
  return filters.allows(type, [&](const std::string& wanted) {
    return event.id.starts_with(wanted) ||
           (name != event.attributes.end() && name->second == wanted);
  });
}

bool wanted(const Filters& filters, const Event& event) {
  // "exec_start: sh" is of the action exec_start.
  const std::string_view action = std::string_view(event.action).substr(0, event.action.find(':'));
  if (!filters.allows("event",
                      [&](const std::string& w) { return w == action || w == event.action; })) {
    return false;
  }
  for (const std::string_view type : {"config", "container", "daemon", "image", "network", "node",
                                      "plugin", "secret", "service", "volume"}) {
    if (!named(filters, type, event)) return false;
  }
  return filters.allows_equal("type", event.type) && filters.allows_equal("scope", event.scope) &&
         filters.allows_label("label", event.attributes);
}

struct Span {
  model::WallTime since;
  model::WallTime until;
};

asio::awaitable<void> follow(EventLog::Reader& reader, const Filters& filters, const Span& span,
                             Exchange& exchange) {
  while (std::optional<Event> event = co_await reader.next(span.until)) {
    if (!wanted(filters, *event)) continue;
    if (!co_await exchange.write(line_of(*event))) co_return;
  }
}

asio::awaitable<Result<Response>> events(Context& context, const Request& request,
                                         Exchange& exchange) {
  SKEP_CO_TRY_ASSIGN(const Filters filters,
                     Filters::parse(request, {"config", "container", "daemon", "event", "image",
                                              "label", "network", "node", "plugin", "scope",
                                              "secret", "service", "type", "volume"}));
  const model::WallTime now = context.options.now();
  Span span;
  SKEP_CO_TRY_ASSIGN(span.since, time_query(request, "since", now));
  SKEP_CO_TRY_ASSIGN(span.until, time_query(request, "until", now));
  // Reading begins before the kept events are copied, so none falls between the two.
  EventLog::Reader reader(context.events);
  const auto kept = context.events.kept();
  if (!co_await exchange.begin_stream(200, "application/json")) co_return Response::sent();
  for (const auto& event : kept) {
    const bool in_time = event->time >= span.since && (!span.until || event->time <= span.until);
    if (!span.since || !in_time || !wanted(filters, *event)) continue;
    if (!co_await exchange.write(line_of(*event))) co_return Response::sent();
  }
  co_await exchange.until_gone(follow(reader, filters, span, exchange));
  co_return Response::sent();
}

}  // namespace

std::span<const Route> event_routes() {
  static const Route routes[] = {{"GET", "/events", &events}};
  return routes;
}

}  // namespace skep::api
