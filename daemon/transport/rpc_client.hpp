// The dialling end: one connection to one manager, on which any number of calls and streams run.
//
// The peer is trusted because the root that was pinned signed its certificate and that certificate
// says "manager" of the expected cluster. Without a pinned root (a joiner's first step) nothing is
// known of the peer, and no other call than GetRoot is made.
//
// The connection is never restored by itself: when it is lost every call fails with the reason, and
// the owner dials again. Everything on the loop. Destroying the client closes the connection; calls
// that still run then end with `cancelled`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/transport/call.hpp"

namespace skep::transport {

struct ClientOptions {
  std::string root_pem;                              // empty: only GetRoot may be called
  std::optional<NodeCredentials> credentials;        // absent: call as anyone
  model::ClusterId cluster;                          // none: whatever cluster the root is of
  std::chrono::milliseconds connect_timeout{5'000};  // all of name, TCP and TLS
};

class RpcClient {
 public:
  // Errors name the address: unavailable (unreachable, refused, no TLS there), precondition (not a
  // manager of this cluster), invalid (no address).
  static asio::awaitable<Result<std::unique_ptr<RpcClient>>> connect(asio::any_io_executor loop,
                                                                     std::string address,
                                                                     ClientOptions options);
  ~RpcClient();
  RpcClient(const RpcClient&) = delete;
  RpcClient& operator=(const RpcClient&) = delete;

  // The serialised reply. Errors: the server's own; deadline when the time is up, after which the
  // outcome is unknown; unavailable with the reason when the connection was lost; unauthenticated
  // when this node's certificate is refused.
  asio::awaitable<Result<std::string>> call(Method method, std::string payload,
                                            std::chrono::milliseconds deadline);
  // Sends it and expects nothing: whether it arrived, and what was said to it, is not told. Nothing
  // is sent once the connection has ended. Whoever tells more than the peer reads has it closed.
  void tell(Method method, std::string payload);
  // Resolves when the stream has ended: well, with the server's error, or with the error that
  // on_item returned (which ends the stream).
  using OnItem = std::function<Status(std::string item)>;
  asio::awaitable<Status> open_stream(Method method, std::string payload, OnItem on_item);

  bool open() const;
  // Resolves when the connection has ended, with the reason.
  asio::awaitable<Error> closed();
  void close(const std::string& why);
  // The manager's identity; nullopt without a pinned root.
  const std::optional<PeerIdentity>& server() const;

 private:
  class State;
  explicit RpcClient(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace skep::transport
