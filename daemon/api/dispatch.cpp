// Prefix, query, route, handler, error: a request's way in order.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/dispatch.hpp"

#include <charconv>
#include <exception>

#include "daemon/api/docker_json/docker_json.hpp"

namespace skep::api {
namespace {

struct Version {
  unsigned major = 0;
  unsigned minor = 0;
  auto operator<=>(const Version&) const = default;
};

// "1.47" exactly; nullopt for anything else.
std::optional<Version> parse_version(std::string_view text) {
  Version version;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  if (minor.ec != std::errc() || minor.ptr != end) return std::nullopt;
  return version;
}

// Takes "/v1.47" off the front of `path`, and notes it.
Status take_version_prefix(std::string_view& path, Request& request) {
  if (!path.starts_with("/v")) return {};
  const std::string_view first = path.substr(2, path.find('/', 1) - 2);
  const std::optional<Version> asked = parse_version(first);
  if (!asked) return {};  // "/volumes"
  if (*asked > parse_version(kApiVersion)) {
    return fail(ErrorKind::invalid, "client version " + std::string(first) +
                                        " is too new. Maximum supported API version is " +
                                        kApiVersion);
  }
  if (*asked < parse_version(kMinApiVersion)) {
    return fail(ErrorKind::invalid, "client version " + std::string(first) +
                                        " is too old. Minimum supported API version is " +
                                        kMinApiVersion + ", please upgrade your client");
  }
  path.remove_prefix(2 + first.size());
  request.minor_version = asked->minor;
  return {};
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    if (path.front() == '/') {
      path.remove_prefix(1);
      continue;
    }
    const size_t slash = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  return segments;
}

Status parse_query(std::string_view text, Request& request) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const size_t equal = std::min(pair.find('='), pair.size());
    std::optional<std::string> key = unescape(pair.substr(0, equal), true);
    std::optional<std::string> value =
        unescape(pair.substr(std::min(equal + 1, pair.size())), true);
    if (!key || !value) return fail(ErrorKind::invalid, "the query is badly escaped");
    request.query.emplace_back(std::move(*key), std::move(*value));
  }
  return {};
}

bool is_parameter(std::string_view segment) {
  return segment.starts_with('{');
}
bool is_greedy(std::string_view segment) {
  return segment.ends_with("...}");
}

// Fills `parameters` when the segments fit the pattern.
bool fits(const std::vector<std::string_view>& pattern, const std::vector<std::string>& segments,
          std::map<std::string, std::string>& parameters) {
  parameters.clear();
  if (segments.size() < pattern.size()) return false;
  size_t at = 0;
  for (const std::string_view wanted : pattern) {
    if (!is_parameter(wanted)) {
      if (at == segments.size() || segments[at++] != wanted) return false;
      continue;
    }
    const bool greedy = is_greedy(wanted);
    const std::string name(wanted.substr(1, wanted.size() - (greedy ? 5 : 2)));
    const size_t take = greedy ? segments.size() - pattern.size() + 1 : 1;
    std::string value;
    for (size_t i = 0; i < take; ++i) value += (i ? "/" : "") + segments[at++];
    parameters[name] = std::move(value);
  }
  return at == segments.size();
}

// What is told of the cluster, and what is looked up for a change of it, must be what any manager
// acknowledged before. Creating looks nothing up here: the leader alone knows whether a name is
// free. Entering and leaving a swarm need no leader.
bool looks_at_cluster(const Route& route) {
  if (route.method == "POST" && route.pattern.ends_with("/create")) return false;
  for (const std::string_view prefix : {"/nodes", "/services", "/tasks"}) {
    if (route.pattern.starts_with(prefix)) return true;
  }
  return route.pattern == "/swarm" || route.pattern == "/swarm/update" ||
         route.pattern == "/swarm/unlockkey";
}

}  // namespace

Response error_response(const Error& error) {
  return Response::json(docker_json::error_to_json(error.message), info(error.kind).http_status);
}

Dispatcher::Dispatcher() {
  for (const std::span<const Route> routes :
       {system_routes(), swarm_routes(), node_routes(), service_routes(), task_routes(),
        container_routes(), exec_routes(), image_routes(), event_routes(), network_routes(),
        volume_routes(), snapshot_routes(), plugin_routes(), absent_routes()}) {
    for (const Route& route : routes) patterns_.push_back({split(route.pattern), route});
  }
}

const Dispatcher::Pattern* Dispatcher::match(const std::string& method,
                                             const std::vector<std::string>& segments,
                                             Request& request) const {
  for (const Pattern& pattern : patterns_) {
    if (pattern.route.method != method) continue;
    if (fits(pattern.segments, segments, request.parameters)) return &pattern;
  }
  return nullptr;
}

asio::awaitable<Response> Dispatcher::answer(Context& context, Request request,
                                             std::string_view target, Exchange& exchange) const {
  const size_t question = std::min(target.find('?'), target.size());
  std::string_view path = target.substr(0, question);
  const std::string_view query = target.substr(std::min(question + 1, target.size()));
  if (const Status version = take_version_prefix(path, request); !version) {
    co_return error_response(version.error());
  }
  if (const Status parsed = parse_query(query, request); !parsed) {
    co_return error_response(parsed.error());
  }
  request.path = std::string(path);
  std::vector<std::string> segments;
  for (const std::string_view segment : split(path)) {
    std::optional<std::string> plain = unescape(segment, false);
    if (!plain) {
      co_return error_response(Error{ErrorKind::invalid, "the path is badly escaped"});
    }
    segments.push_back(std::move(*plain));
  }
  // HEAD is GET without a body; the connection leaves the body out. Docker has it in two places
  // only, and a stream has no answer without a body.
  const bool bodiless = request.method == "HEAD" && !segments.empty() &&
                        (segments.back() == "_ping" || segments.back() == "archive");
  const Pattern* pattern = match(bodiless ? "GET" : request.method, segments, request);
  if (!pattern) co_return error_response(Error{ErrorKind::not_found, "page not found"});
  try {
    if (looks_at_cluster(pattern->route)) {
      const Status fresh = co_await context.control.fresh();
      if (!fresh) co_return error_response(fresh.error());
    }
    Result<Response> response = co_await pattern->route.handler(context, request, exchange);
    if (!response) co_return error_response(response.error());
    co_return std::move(*response);
  } catch (const std::exception& failure) {
    // The top of what a request runs: a library threw where nobody expected it.
    co_return error_response(Error{ErrorKind::internal, failure.what()});
  }
}

}  // namespace skep::api
