// Requests with JSON on both sides, and the filters' encoding.
// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace skep::cli {
namespace {

constexpr const char* kDefaultHost = "unix:///run/skep/skep.sock";
constexpr std::chrono::milliseconds kNoLimit{0};

Error refusal(const Error& error) {
  return {error.kind, "Error response from daemon: " + error.message};
}

}  // namespace

Result<Daemon> Daemon::open(const std::optional<std::string>& host) {
  std::string address = host.value_or("");
  for (const char* variable : {"SKEP_HOST", "DOCKER_HOST"}) {
    const char* value = std::getenv(variable);
    if (address.empty() && value != nullptr) address = value;
  }
  if (address.empty()) address = kDefaultHost;
  SKEP_TRY_ASSIGN(EngineClient client, EngineClient::open(address));
  return Daemon(std::move(client));
}

Result<Json> Daemon::exchange(Method method, std::string_view path, std::string_view body,
                              const RequestOptions& options) const {
  SKEP_TRY_ASSIGN(const Response response, client_.request(method, path, body, options));
  if (const Status status = success_of(response); !status) return fail(refusal(status.error()));
  if (response.body.empty()) return Json();
  Json parsed = Json::parse(response.body, nullptr, false);
  if (parsed.is_discarded()) {
    return fail(ErrorKind::internal, "the daemon's answer to " + std::string(path) +
                                         " is not JSON: " + response.body.substr(0, 200));
  }
  return parsed;
}

Result<Json> Daemon::get(std::string_view path) const {
  return exchange(Method::get, path, {}, {});
}

Result<Json> Daemon::post(std::string_view path) const {
  return exchange(Method::post, path, {}, {});
}

Result<Json> Daemon::post(std::string_view path, const Json& body) const {
  return exchange(Method::post, path, compact(body), {});
}

Result<Json> Daemon::del(std::string_view path) const {
  return exchange(Method::del, path, {}, {});
}

Result<Json> Daemon::post_patiently(std::string_view path) const {
  RequestOptions options;
  options.timeout = kNoLimit;
  return exchange(Method::post, path, {}, options);
}

Status Daemon::stream_lines(Method method, std::string_view path,
                            const std::function<bool(std::string_view line)>& line) const {
  constexpr size_t kLineBytesMax = 16 * 1024 * 1024;  // more is not a line of JSON
  RequestOptions options;
  options.timeout = kNoLimit;
  std::string pending;
  const ChunkSink sink = [&](std::string_view chunk) {
    pending.append(chunk);
    size_t start = 0;
    for (size_t end; (end = pending.find('\n', start)) != std::string::npos; start = end + 1) {
      std::string_view one = std::string_view(pending).substr(start, end - start);
      if (one.ends_with('\r')) one.remove_suffix(1);
      if (!one.empty() && !line(one)) return false;
    }
    pending.erase(0, start);
    return pending.size() <= kLineBytesMax;
  };
  SKEP_TRY_ASSIGN(const Response response, client_.stream(method, path, {}, options, sink));
  if (const Status status = success_of(response); !status) return fail(refusal(status.error()));
  if (!pending.empty()) line(pending);
  return {};
}

Status Daemon::stream(std::string_view path, const ChunkSink& sink) const {
  RequestOptions options;
  options.timeout = kNoLimit;
  SKEP_TRY_ASSIGN(const Response response, client_.stream(Method::get, path, {}, options, sink));
  if (const Status status = success_of(response); !status) return fail(refusal(status.error()));
  return {};
}

Status Daemon::download(std::string_view path, const Json& body, const ChunkSink& sink) const {
  RequestOptions options;
  options.timeout = kNoLimit;
  SKEP_TRY_ASSIGN(const Response response,
                  client_.stream(Method::post, path, compact(body), options, sink));
  if (const Status status = success_of(response); !status) return fail(refusal(status.error()));
  return {};
}

Result<Json> Daemon::upload(std::string_view path, std::string_view bytes) const {
  RequestOptions options;
  options.timeout = kNoLimit;
  options.headers.push_back({"Content-Type", "application/octet-stream"});
  return exchange(Method::post, path, bytes, options);
}

Result<std::string> filters_value(const std::vector<std::string>& filters) {
  Json document = Json::object();
  for (const std::string& filter : filters) {
    const size_t equals = filter.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorKind::invalid, "invalid argument \"" + filter +
                                          "\" for \"-f, --filter\" flag: bad format of filter "
                                          "(expected name=value)");
    }
    document[filter.substr(0, equals)][filter.substr(equals + 1)] = true;
  }
  return url_escape(compact(document));
}

std::string filters_value(std::string_view key, const std::vector<std::string>& values) {
  Json document = Json::object();
  for (const std::string& value : values) document[std::string(key)][value] = true;
  return url_escape(compact(document));
}

}  // namespace skep::cli
