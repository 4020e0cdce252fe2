// How a machine becomes a node: from a token and an address to credentials.
//
// Fetch the root from a manager nobody has vouched for yet, compare its digest with the token's,
// dial again with that root pinned, send the token and a signing request for a fresh key, and ask
// until the certificate is there. The token's secret is never sent to a peer whose root doesn't
// match. Also here: renewing a certificate, which is the last two steps of the same way.
//
// On the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "daemon/transport/rpc_client.hpp"

namespace skep::transport {

struct JoinOrder {
  std::vector<std::string> remote_addresses;  // host[:2377], tried in order
  std::string token;
  model::NodeAvailability availability = model::NodeAvailability::active;
  std::chrono::milliseconds deadline{15'000};  // of everything
};

// Errors: invalid "invalid join token" (malformed, wrong or rotated), precondition "remote CA does
// not match fingerprint ..." or "not a skep manager", unavailable naming the last address and why.
// An address that can't be reached is passed over; an answer of a manager is final.
asio::awaitable<Result<NodeCredentials>> obtain_certificate(asio::any_io_executor loop,
                                                            JoinOrder order);

// A new key and certificate for the node whose connection `client` is. `client` must outlive it.
asio::awaitable<Result<NodeCredentials>> renew_certificate(RpcClient& client,
                                                           std::chrono::milliseconds deadline);

}  // namespace skep::transport
