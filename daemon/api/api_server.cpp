// The socket file and the accept loop.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/api_server.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <unordered_set>

#include "daemon/api/connection.hpp"
#include "daemon/api/context.hpp"
#include "daemon/api/dispatch.hpp"

namespace skep::api {
namespace {

using Protocol = asio::local::stream_protocol;
using boost::system::error_code;

constexpr size_t kSocketPathMax = 107;    // sun_path without its zero byte
constexpr size_t kConnectionsMax = 1024;  // of all clients together

tl::unexpected<Error> system_failure(const std::string& what, int error) {
  return fail(ErrorKind::internal, what + ": " + std::strerror(error));
}

// Makes room for the socket: a file left behind by a daemon that died is removed.
Status clear_path(asio::io_context& loop, const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) {
    return fail(ErrorKind::conflict, path + " exists and is not a socket");
  }
  Protocol::socket probe(loop);
  error_code error;
  probe.connect(Protocol::endpoint(path), error);
  if (!error) return fail(ErrorKind::conflict, "another daemon listens on " + path);
  if (::unlink(path.c_str()) != 0) return system_failure("remove " + path, errno);
  return {};
}

// root:GROUP 0660. A group that doesn't exist leaves the socket to its owner.
Status grant(const std::string& path, const std::string& group) {
  const struct group* found = group.empty() ? nullptr : ::getgrnam(group.c_str());
  if (found && ::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0) {
    return system_failure("give " + path + " to group " + group, errno);
  }
  if (::chmod(path.c_str(), 0660) != 0) return system_failure("set the mode of " + path, errno);
  return {};
}

}  // namespace

struct ApiServer::Impl {
  Impl(asio::io_context& io, manager::Control& control, agent::Containers& containers,
       agent::Volumes& volumes, drivers::DriverSet& drivers, Options given)
      : loop(io),
        options(std::move(given)),
        events(io, control, containers, options.now),
        context{io, control, containers, volumes, drivers, events, options},
        acceptor(io) {}

  asio::awaitable<void> accept();
  asio::awaitable<void> serve(Protocol::socket socket);

  asio::io_context& loop;
  const Options options;
  EventLog events;
  Context context;
  Dispatcher dispatcher;
  Protocol::acceptor acceptor;
  std::unordered_set<Connection*> connections;
  bool stopped = false;
};

asio::awaitable<void> ApiServer::Impl::accept() {
  while (!stopped) {
    Protocol::socket socket(loop);
    error_code error;
    co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (stopped) co_return;
    if (error) {
      // Out of descriptors, usually: without the pause this would spin.
      asio::steady_timer pause(loop, std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    if (connections.size() >= kConnectionsMax) continue;  // closes it
    asio::co_spawn(loop, serve(std::move(socket)), asio::detached);
  }
}

asio::awaitable<void> ApiServer::Impl::serve(Protocol::socket socket) {
  const std::unique_ptr<Connection> connection =
      Connection::make(std::move(socket), dispatcher, context);
  connections.insert(connection.get());
  try {
    co_await connection->run();
  } catch (const std::exception&) {
    // The top of the coroutine: no memory, most likely. It costs this connection alone.
  }
  connections.erase(connection.get());
}

ApiServer::ApiServer(asio::io_context& loop, manager::Control& control,
                     agent::Containers& containers, agent::Volumes& volumes,
                     drivers::DriverSet& drivers, Options options)
    : impl_(std::make_unique<Impl>(loop, control, containers, volumes, drivers,
                                   std::move(options))) {}

ApiServer::~ApiServer() = default;

Status ApiServer::listen() {
  const std::string& path = impl_->options.socket_path;
  SKEP_ASSERT(impl_->options.now, "the API needs a clock");
  if (path.size() > kSocketPathMax) {
    return fail(ErrorKind::invalid, "the socket path " + path + " is " +
                                        std::to_string(path.size()) +
                                        " bytes long, Unix allows 107");
  }
  SKEP_TRY(clear_path(impl_->loop, path));
  error_code error;
  impl_->acceptor.open(Protocol(), error);
  if (error) return system_failure("open a Unix socket", error.value());
  // The mode of the descriptor becomes that of the file, so that it is never open to others.
  if (::fchmod(impl_->acceptor.native_handle(), 0600) != 0) {
    return system_failure("set the mode of the socket", errno);
  }
  impl_->acceptor.bind(Protocol::endpoint(path), error);
  if (error) return system_failure("bind " + path, error.value());
  SKEP_TRY(grant(path, impl_->options.group));
  impl_->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return system_failure("listen on " + path, error.value());
  asio::co_spawn(impl_->loop, impl_->accept(), asio::detached);
  return {};
}

void ApiServer::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  const bool was_open = impl_->acceptor.is_open();
  error_code ignored;  // nothing is left to do if closing fails
  impl_->acceptor.close(ignored);
  if (was_open) ::unlink(impl_->options.socket_path.c_str());
  impl_->events.end_readers();
  for (Connection* connection : impl_->connections) connection->close();
}

}  // namespace skep::api
