// A request and an answer as the handlers see them: plain values, no HTTP library.
//
// Most handlers read a Request and return a Response. A few answer as a stream (logs, events, pull)
// or take the connection over (exec): they use the Exchange, and then return Response::sent().
// All on the daemon's loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"

namespace skep::api {

namespace asio = boost::asio;

struct Request {
  std::string method;                             // "GET"
  std::string path;                               // without version prefix and query, still escaped
  std::map<std::string, std::string> parameters;  // of the route: {id}, {name}
  // Query, unescaped, in order; a name may repeat.
  std::vector<std::pair<std::string, std::string>> query;
  std::string registry_auth;  // X-Registry-Auth as sent
  bool wants_upgrade = false;
  std::optional<unsigned> minor_version;  // 47 of "/v1.47/..."; absent: the path has none
  std::string body;

  // The first value of this name, or "".
  std::string_view query_value(std::string_view name) const;
  bool has_query(std::string_view name) const;
  // Docker's idea of a boolean: "", 0, false, no and none are false, the rest is true.
  bool query_flag(std::string_view name) const;
  // `invalid` when it is there and not a number. `absent` when it isn't there.
  Result<std::optional<uint64_t>> query_number(std::string_view name) const;
  const std::string& parameter(const std::string& name) const { return parameters.at(name); }
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  bool already_sent = false;

  static Response json(std::string body, int status = 200);
  static Response text(std::string body);
  static Response empty(int status);
  static Response sent();  // the handler answered through the Exchange
};

// The connection under one request, for answers that aren't one value. Valid while the handler
// runs.
class Exchange {
 public:
  virtual ~Exchange() = default;

  // Sends status and headers now; what follows goes in chunks. False: the client is gone.
  virtual asio::awaitable<bool> begin_stream(int status, std::string content_type) = 0;
  virtual asio::awaitable<bool> write(std::string bytes) = 0;

  // Takes the connection over: 101 when the client asked for an upgrade, else 200. From here on the
  // raw calls are used; the connection ends with the handler.
  virtual asio::awaitable<bool> hijack(std::string content_type) = 0;
  // The client's next bytes, those that came with the request first; nullopt when it has closed its
  // side (it may still read).
  virtual asio::awaitable<std::optional<std::string>> read_raw() = 0;
  virtual asio::awaitable<bool> write_raw(std::string bytes) = 0;

  // Runs `work`, and cancels it when the client goes away; true if it ended by itself. Returns
  // after `work` has ended in any case. Only between begin_stream and the handler's end.
  virtual asio::awaitable<bool> until_gone(asio::awaitable<void> work) = 0;
  // The same for hijacked connections: runs both, cancels `input` when `output` has ended.
  virtual asio::awaitable<void> until_first_ends(asio::awaitable<void> output,
                                                 asio::awaitable<void> input) = 0;
};

// "%2F" -> "/"; in queries '+' is a space. nullopt for a broken escape.
std::optional<std::string> unescape(std::string_view text, bool plus_is_space);

}  // namespace skep::api
