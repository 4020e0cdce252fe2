// The connection to the leader on which a manager that does not lead sends it what it was asked.
//
// One at a time, dialled when it is needed and anew when the leader is another one; who asks while
// it is being dialled waits for the same dial. A leader that was cut off sends no word that its
// connections are dead, and TCP takes seconds to notice: whoever learns of another leader says so
// here (abandon), and every call that waits is told at once that its outcome is unknown.
//
// Held by a shared pointer, which every call keeps. On the daemon's loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "daemon/manager/bell.hpp"
#include "daemon/transport/rpc_client.hpp"

namespace skep::manager {

namespace asio = boost::asio;

class Forwarder : public std::enable_shared_from_this<Forwarder> {
 public:
  Forwarder(asio::any_io_executor loop, transport::NodeCredentials credentials)
      : loop_(std::move(loop)), credentials_(std::move(credentials)) {}

  // The answer of the manager at `address`. Errors: its own; unavailable if nothing was sent;
  // unknown_outcome if the answer was lost.
  asio::awaitable<Result<std::string>> call(std::string address, transport::Method method,
                                            std::string payload,
                                            std::chrono::milliseconds deadline);
  // Ends the calls that wait, those for a dial included. The next one dials anew.
  void abandon(const std::string& why);
  // For connections from now on, which are made anew.
  void set_credentials(transport::NodeCredentials credentials);
  void stop() { abandon("this manager is stopping"); }

 private:
  // A dial and, once it is over, its connection. Left alone by whoever began it when another one
  // has taken its place.
  struct Dial;

  std::shared_ptr<Dial> dial_to(const std::string& address);
  asio::awaitable<void> run(std::shared_ptr<Dial> dial);

  asio::any_io_executor loop_;
  transport::NodeCredentials credentials_;
  std::shared_ptr<Dial> dial_;  // the last one; null: none stands
};

}  // namespace skep::manager
