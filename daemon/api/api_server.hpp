// The Docker Engine API of this node, on a Unix socket.
//
// One coroutine per connection on the daemon's loop; nothing here blocks it. The server borrows its
// doors, Control, Containers, Volumes and DriverSet, which must outlive it, and calls them only on
// the loop.
// Everything about HTTP is inside; what the answers mean is in the api_*.cpp of each noun.
//
// Life: construct, listen(), run the loop; stop() closes the socket and all connections, after
// which the loop must run until idle before the server is destroyed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "core/model/result.hpp"
#include "daemon/agent/containers.hpp"
#include "daemon/agent/volumes.hpp"
#include "daemon/api/options.hpp"
#include "daemon/manager/control.hpp"

namespace skep::drivers {
class DriverSet;
}

namespace skep::api {

namespace asio = boost::asio;

class ApiServer {
 public:
  ApiServer(asio::io_context& loop, manager::Control& control, agent::Containers& containers,
            agent::Volumes& volumes, drivers::DriverSet& drivers, Options options);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Makes the socket (0660, group of the options) and begins to accept. A socket file that nobody
  // listens on is replaced; one that answers is a conflict.
  Status listen();
  // Idempotent. Call on the loop's thread.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skep::api
