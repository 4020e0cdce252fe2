// The daemon as commands see it: JSON in, JSON out, and refusals worded as docker words them.
//
// Where it is: --host, else SKEP_HOST, else DOCKER_HOST, else the socket of this machine's skepd. A
// refusal reads "Error response from daemon: ..."; a daemon that could not be reached keeps the
// sentence of EngineClient.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/engine_client.hpp"
#include "cli/json.hpp"
#include "core/model/result.hpp"

namespace skep::cli {

class Daemon {
 public:
  // `host` as given by --host. Does not connect.
  static Result<Daemon> open(const std::optional<std::string>& host);

  // One exchange each; the answer's body as JSON, null when it has none. `path` is escaped.
  Result<Json> get(std::string_view path) const;
  Result<Json> post(std::string_view path) const;
  Result<Json> post(std::string_view path, const Json& body) const;
  Result<Json> del(std::string_view path) const;

  // As get, for answers that may take as long as they like (wait, stop).
  Result<Json> post_patiently(std::string_view path) const;

  // Gives each line of the answer to `line`, until it returns false or the daemon ends.
  Status stream_lines(Method method, std::string_view path,
                      const std::function<bool(std::string_view line)>& line) const;

  // Gives the answer's bytes to `sink` as they come.
  Status stream(std::string_view path, const ChunkSink& sink) const;

  // Asks by POST for something big, and gives its bytes to `sink` as they come; takes as long as it
  // takes.
  Status download(std::string_view path, const Json& body, const ChunkSink& sink) const;
  // Sends bytes that are no JSON; the answer is.
  Result<Json> upload(std::string_view path, std::string_view bytes) const;

  const EngineClient& client() const { return client_; }

 private:
  explicit Daemon(EngineClient client) : client_(std::move(client)) {}
  Result<Json> exchange(Method method, std::string_view path, std::string_view body,
                        const RequestOptions& options) const;

  EngineClient client_;
};

// What the commands share: how to reach the daemon, known once the arguments are read.
struct Session {
  std::optional<std::string> host;
  Result<Daemon> daemon() const { return Daemon::open(host); }
};

// ["name=web", "label=a=b"] as the API's `filters` value, escaped: "{"name":{"web":true}}". Fails
// for one without "=".
Result<std::string> filters_value(const std::vector<std::string>& filters);

// A single key with values, for the commands' own questions.
std::string filters_value(std::string_view key, const std::vector<std::string>& values);

}  // namespace skep::cli
