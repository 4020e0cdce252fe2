// How every skep command talks to a daemon: HTTP requests to an Engine API socket.
//
// A client is only an address; each request opens its own connection, so one client may be used
// from several threads at once and there is no state to lose. What comes back is bytes: JSON is
// read by the command that asked. HTTP statuses are not errors here, because some commands want to
// look at them; `success_of` turns a refusal into the Error that the daemon meant. Proxies named by
// the environment are never used, and no redirect is followed: the daemon of this address answers,
// or nobody does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"

namespace skep::cli {

enum class Method { get, head, post, put, del };

struct Header {
  std::string name;
  std::string value;
};

struct Response {
  int status = 0;  // the HTTP status, any of them
  std::vector<Header> headers;
  std::string body;  // of a streamed success: empty, the sink has had it

  // The first header of this name (case does not matter), if it was sent.
  std::optional<std::string_view> header(std::string_view name) const;
};

struct RequestOptions {
  // Sent as given. A body without a Content-Type here is called application/json.
  std::vector<Header> headers;
  // For the whole exchange, the answer's last byte included; zero means no limit (logs --follow).
  std::chrono::milliseconds timeout{60'000};
};

// Takes the next piece of a streamed answer, on the calling thread; `false` ends the request early,
// which counts as success. Pieces are cut anywhere, not at lines.
using ChunkSink = std::function<bool(std::string_view chunk)>;

class EngineClient {
 public:
  // `address`: unix:///path/skep.sock, a bare absolute path, or tcp://host:port. Fails with
  // `invalid` for anything else and for socket paths over 107 bytes; does not connect yet.
  static Result<EngineClient> open(std::string_view address);

  // One exchange. `path` is absolute and already escaped, query included. Blocks until the answer
  // is complete. Errors: unavailable (nobody listens), denied (socket permissions), deadline,
  // too_large, and unknown_outcome when the connection broke after a request that may have changed
  // something.
  Result<Response> request(Method method, std::string_view path, std::string_view body = {},
                           const RequestOptions& options = {}) const;

  // The same, giving a 2xx answer's body to `sink` as it arrives; another answer's body is kept in
  // the Response, for success_of.
  Result<Response> stream(Method method, std::string_view path, std::string_view body,
                          const RequestOptions& options, const ChunkSink& sink) const;

  // request() and success_of() in one: an answer of 400 and over is an Error.
  Result<Response> call(Method method, std::string_view path, std::string_view body = {},
                        const RequestOptions& options = {}) const;

  // As it was given, for messages.
  const std::string& address() const { return address_; }

 private:
  EngineClient() = default;

  std::string address_;
  std::string base_url_;     // http://host:port, or http://localhost for a Unix socket
  std::string socket_path_;  // empty for TCP
};

// Nothing for a 1xx to 3xx answer; else the daemon's sentence ({"message": ...}), its kind taken
// from the status.
Status success_of(const Response& response);

// `text` with everything but unreserved characters as %XX: for names in paths and query values.
std::string url_escape(std::string_view text);

}  // namespace skep::cli
