// The connection to the leader on which a manager that does not lead sends it what it was asked.
//
// One at a time, dialled when it is needed and anew when the leader is another one. On the daemon's
// loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "daemon/transport/rpc_client.hpp"

namespace skep::manager {

namespace asio = boost::asio;

class Forwarder {
 public:
  Forwarder(asio::any_io_executor loop, transport::NodeCredentials credentials)
      : loop_(std::move(loop)), credentials_(std::move(credentials)) {}

  // The answer of the manager at `address`. Errors: its own; unavailable if nothing was sent;
  // unknown_outcome if the answer was lost.
  asio::awaitable<Result<std::string>> call(std::string address, transport::Method method,
                                            std::string payload,
                                            std::chrono::milliseconds deadline);
  // For connections from now on, which are made anew.
  void set_credentials(transport::NodeCredentials credentials);
  // Ends the calls that wait.
  void stop();

 private:
  asio::any_io_executor loop_;
  transport::NodeCredentials credentials_;
  std::string address_;
  std::shared_ptr<transport::RpcClient> client_;
};

}  // namespace skep::manager
