// The words that servers of node calls share: who calls, and the shapes of a handler.
//
// A handler is a coroutine on the loop. It is cancelled (terminal cancellation: what it awaits ends
// with operation_aborted) when the caller cancels, when the connection ends, and for unary calls
// when the deadline has passed; what it then returns goes nowhere. The payload is the serialised
// request message of the method, the answer the serialised reply.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/identity/access.hpp"
#include "core/model/result.hpp"
#include "daemon/transport/pki.hpp"

namespace skep::transport {

namespace asio = boost::asio;
using identity::Method;

// Where this room's sentences go; one line each, without a full stop.
using Log = std::function<void(std::string_view)>;

struct Caller {
  std::optional<PeerIdentity> identity;       // verified; absent: no certificate was shown
  std::string remote_address;                 // without the port
  std::optional<model::NodeId> forwarded_by;  // the manager that passed the call on
  uint64_t request_id = 0;                    // equal when the caller repeats itself
};

// Where a stream's handler puts its items.
class ItemSink {
 public:
  virtual ~ItemSink() = default;
  // Resolves when the item is queued; waits while the caller reads too slowly. An error means that
  // the stream is over (or that the item is over the method's limit): return.
  virtual asio::awaitable<Status> send(std::string payload) = 0;
  virtual bool closed() const = 0;
};

using UnaryHandler = std::function<asio::awaitable<Result<std::string>>(Caller, std::string)>;
// For what is done before the function returns, and is too small and too frequent for a coroutine
// of its own. It may not destroy the server.
using PromptHandler = std::function<Result<std::string>(const Caller&, const std::string&)>;
// The sink lives as long as the coroutine.
using StreamHandler = std::function<asio::awaitable<Status>(Caller, std::string, ItemSink&)>;

}  // namespace skep::transport
