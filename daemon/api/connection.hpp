// One client's connection: requests in, answers out, one after the other.
//
// Owns the socket. Lives on the loop as long as its coroutine; the server keeps a list of them only
// to be able to close them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <memory>

#include "daemon/api/context.hpp"
#include "daemon/api/dispatch.hpp"

namespace skep::api {

class Connection {
 public:
  virtual ~Connection() = default;
  // Serves requests until the client closes, breaks the protocol, or close() is called.
  virtual asio::awaitable<void> run() = 0;
  // Ends all waiting on the socket; run() returns soon after.
  virtual void close() = 0;

  static std::unique_ptr<Connection> make(asio::local::stream_protocol::socket socket,
                                          const Dispatcher& dispatcher, Context& context);
};

}  // namespace skep::api
