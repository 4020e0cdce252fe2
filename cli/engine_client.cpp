// The libcurl side of EngineClient: one easy handle for each request, made and freed here.
//
// The surprise is in which failures are told apart. "Nobody listens" must read differently from
// "may not connect", and a connection that breaks after a POST was sent leaves the caller not
// knowing whether it was carried out, which is an ErrorKind of its own. Answers that are kept in
// memory are bounded: a daemon, or whatever listens there instead, must not be able to fill the
// client.
// SPDX-License-Identifier: Apache-2.0
#include "cli/engine_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

namespace skep::cli {
namespace {

constexpr size_t kSocketPathBytesMax = 107;  // sockaddr_un::sun_path less its final zero
constexpr size_t kKeptBodyBytesMax =
    256 * 1024 * 1024;  // `ls` of the biggest cluster is below this
constexpr size_t kHeadersMax = 256;
constexpr long kConnectTimeoutMs = 5'000;  // one LAN round trip with a few lost packets

using EasyHandle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

// What the two callbacks share while one request runs.
struct Exchange {
  CURL* handle = nullptr;
  Response response;
  const ChunkSink* sink = nullptr;
  bool stopped_by_sink = false;
  bool too_large = false;
};

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

size_t on_header(char* data, size_t size, size_t count, void* context) {
  Exchange& exchange = *static_cast<Exchange*>(context);
  const std::string_view line(data, size * count);
  // A new status line (after "100 Continue") starts the headers of the real answer.
  if (line.starts_with("HTTP/")) exchange.response.headers.clear();
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos && exchange.response.headers.size() < kHeadersMax) {
    exchange.response.headers.push_back({std::string(trimmed(line.substr(0, colon))),
                                         std::string(trimmed(line.substr(colon + 1)))});
  }
  return line.size();
}

size_t on_body(char* data, size_t size, size_t count, void* context) {
  Exchange& exchange = *static_cast<Exchange*>(context);
  const std::string_view chunk(data, size * count);
  long status = 0;
  curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
  if (exchange.sink != nullptr && status >= 200 && status < 300) {
    if ((*exchange.sink)(chunk)) return chunk.size();
    exchange.stopped_by_sink = true;
    return 0;
  }
  if (exchange.response.body.size() + chunk.size() > kKeptBodyBytesMax) {
    exchange.too_large = true;
    return 0;
  }
  exchange.response.body.append(chunk);
  return chunk.size();
}

const char* name_of(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::del:
      return "DELETE";
  }
  return "GET";
}

HeaderList header_list(std::string_view body, const RequestOptions& options) {
  curl_slist* list = nullptr;
  bool has_type = false;
  for (const Header& header : options.headers) {
    has_type = has_type || same_name(header.name, "Content-Type");
    list = curl_slist_append(list, (header.name + ": " + header.value).c_str());
  }
  if (!body.empty() && !has_type) {
    list = curl_slist_append(list, "Content-Type: application/json");
  }
  // Without this curl waits up to a second for "100 Continue" before a body over 1 MB.
  list = curl_slist_append(list, "Expect:");
  return HeaderList(list, &curl_slist_free_all);
}

void set_method(CURL* handle, Method method, std::string_view body) {
  if (method == Method::head) {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    return;
  }
  if (method == Method::post || method == Method::put || !body.empty()) {
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
  }
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, name_of(method));
}

Error error_of(CURLcode code, const Exchange& exchange, Method method, const std::string& address) {
  long os_error = 0;
  curl_easy_getinfo(exchange.handle, CURLINFO_OS_ERRNO, &os_error);
  if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
    if (os_error == EACCES || os_error == EPERM) {
      return {ErrorKind::denied,
              "permission denied while connecting to the skep daemon at " + address};
    }
    return {ErrorKind::unavailable,
            "Cannot connect to the skep daemon at " + address + ". Is skepd running?"};
  }
  if (exchange.too_large) {
    return {ErrorKind::too_large, "the answer of " + address + " is larger than " +
                                      std::to_string(kKeptBodyBytesMax) + " bytes"};
  }
  const std::string reason = curl_easy_strerror(code);
  if (code == CURLE_OPERATION_TIMEDOUT) {
    curl_off_t connect_us = 0;
    curl_easy_getinfo(exchange.handle, CURLINFO_CONNECT_TIME_T, &connect_us);
    if (connect_us == 0) {
      return {ErrorKind::unavailable,
              "Cannot connect to the skep daemon at " + address + ". Is skepd running?"};
    }
    return {ErrorKind::deadline, "the skep daemon at " + address + " did not answer in time"};
  }
  const bool changes_something = method != Method::get && method != Method::head;
  return {changes_something ? ErrorKind::unknown_outcome : ErrorKind::unavailable,
          "the connection to the skep daemon at " + address + " broke: " + reason};
}

}  // namespace

std::optional<std::string_view> Response::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (same_name(header.name, name)) return header.value;
  }
  return std::nullopt;
}

Result<EngineClient> EngineClient::open(std::string_view address) {
  constexpr std::string_view kUnix = "unix://";
  constexpr std::string_view kTcp = "tcp://";
  EngineClient client;
  client.address_ = std::string(address);
  if (address.starts_with(kTcp) && address.size() > kTcp.size()) {
    std::string_view host = address.substr(kTcp.size());
    while (host.ends_with('/')) host.remove_suffix(1);
    client.base_url_ = "http://" + std::string(host);
    return client;
  }
  std::string_view path = address;
  if (path.starts_with(kUnix)) path.remove_prefix(kUnix.size());
  if (!path.starts_with('/')) {
    return fail(ErrorKind::invalid, "the daemon's address \"" + client.address_ +
                                        "\" is neither unix:///path, a path, nor tcp://host:port");
  }
  if (path.size() > kSocketPathBytesMax) {
    return fail(ErrorKind::invalid, "the socket path " + std::string(path) + " is longer than " +
                                        std::to_string(kSocketPathBytesMax) + " bytes");
  }
  client.socket_path_ = std::string(path);
  client.address_ = std::string(kUnix) + client.socket_path_;
  client.base_url_ = "http://localhost";
  return client;
}

Result<Response> EngineClient::request(Method method, std::string_view path, std::string_view body,
                                       const RequestOptions& options) const {
  return stream(method, path, body, options, ChunkSink());
}

Result<Response> EngineClient::stream(Method method, std::string_view path, std::string_view body,
                                      const RequestOptions& options, const ChunkSink& sink) const {
  const EasyHandle handle(curl_easy_init(), &curl_easy_cleanup);
  if (!handle) return fail(ErrorKind::internal, "libcurl could not be started");
  const HeaderList headers = header_list(body, options);
  const std::string url = base_url_ + std::string(path);
  Exchange exchange{.handle = handle.get()};
  if (sink) exchange.sink = &sink;

  CURL* const curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  if (!socket_path_.empty()) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path_.c_str());
  set_method(curl, method, body);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
  // The path is the caller's: "/.." must reach the daemon, not be folded away here.
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);

  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK && !exchange.stopped_by_sink) {
    return fail(error_of(code, exchange, method, address_));
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  exchange.response.status = static_cast<int>(status);
  return std::move(exchange.response);
}

Result<Response> EngineClient::call(Method method, std::string_view path, std::string_view body,
                                    const RequestOptions& options) const {
  SKEP_TRY_ASSIGN(Response response, request(method, path, body, options));
  SKEP_TRY(success_of(response));
  return response;
}

Status success_of(const Response& response) {
  if (response.status < 400) return {};
  const nlohmann::json body = nlohmann::json::parse(response.body, nullptr, false);
  std::string message;
  if (body.is_object() && body.contains("message") && body["message"].is_string()) {
    message = body["message"].get<std::string>();
  }
  if (message.empty()) message = std::string(trimmed(response.body.substr(0, 400)));
  if (message.empty()) {
    message = "the daemon answered with HTTP status " + std::to_string(response.status);
  }
  return fail(error_kind_from_http(response.status), std::move(message));
}

std::string url_escape(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace skep::cli
