// The managers' end of the port between nodes.
//
// Accepts TLS connections, learns from the certificate who is there, and hands each request to the
// handler of its method, after it has checked, in this order: protocol version, cluster, method,
// removal, access table, size, rate. A handler therefore never sees a caller that may not call it.
// A method without a handler answers "unimplemented".
//
// Everything on the loop of the executor; no thread of its own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "daemon/transport/call.hpp"
#include "daemon/transport/rate_limit.hpp"

namespace skep::transport {

struct ServerOptions {
  NodeCredentials credentials;
  // True: this node was removed and its certificate is refused. Asked at each request.
  std::function<bool(model::NodeId)> removed;
  Log log;
  Rate issue_certificate = {20, 40};  // IssueCertificate, all callers together
  size_t connections_max = 16'384;
  size_t anonymous_connections_max = 256;  // without a certificate
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds anonymous_life{60'000};  // a join takes seconds
};

class RpcServer {
 public:
  RpcServer(asio::any_io_executor loop, ServerOptions options);
  ~RpcServer();  // stops
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  // Before `listen`; one handler per method, and a method is unary or a stream for good.
  void handle(Method method, UnaryHandler handler);
  void handle_promptly(Method method, PromptHandler handler);
  void handle_stream(Method method, StreamHandler handler);

  // "0.0.0.0:2377"; port 0 takes a free one. Errors name the address and the reason.
  Status listen(const std::string& address);
  uint16_t port() const;  // Requires: listen() succeeded

  // For connections from now on; those that stand keep what they proved.
  Status set_credentials(NodeCredentials credentials);
  // Ends every connection of that node, telling it why (`unauthenticated`).
  void disconnect(model::NodeId node, const std::string& why);
  // Stops listening and ends all connections; their handlers are cancelled and end on the loop.
  void stop();

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace skep::transport
