// Listening, handshakes, and the list of who is connected.
//
// The accept loop waits a moment after an error (no descriptors left, say) instead of spinning.
// A handshake that takes too long loses its socket.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/rpc_server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

#include "daemon/transport/address.hpp"
#include "daemon/transport/server_peer.hpp"

namespace skep::transport {
namespace {

using asio::ip::tcp;
constexpr std::chrono::milliseconds kAcceptPause{100};

}  // namespace

class RpcServer::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::any_io_executor loop, ServerOptions options)
      : room(std::make_shared<ServerRoom>(std::move(options))),
        loop_(std::move(loop)),
        acceptor_(loop_) {}

  Status listen(const std::string& address);
  Status set_credentials(NodeCredentials credentials);
  void disconnect(model::NodeId node, const std::string& why);
  void stop();
  uint16_t port() const { return port_; }

  std::shared_ptr<ServerRoom> room;

 private:
  // The stream of a handshake on its way, so that its timer and stop() can end it.
  struct Handshake {
    explicit Handshake(std::unique_ptr<TlsStream> given)
        : stream(std::move(given)), timer(stream->get_executor()) {}
    std::unique_ptr<TlsStream> stream;
    asio::steady_timer timer;
  };

  asio::awaitable<void> accept();
  asio::awaitable<void> welcome(tcp::socket socket);
  void enter(std::unique_ptr<TlsStream> stream, Caller caller);
  void log(const std::string& sentence) const {
    if (room->options.log) room->options.log(sentence);
  }

  asio::any_io_executor loop_;
  tcp::acceptor acceptor_;
  TlsContext context_;
  uint16_t port_ = 0;
  bool stopped_ = false;
  size_t anonymous_ = 0;
  std::set<std::shared_ptr<Handshake>> handshakes_;
  std::set<std::shared_ptr<ServerPeer>> peers_;
};

Status RpcServer::State::listen(const std::string& address) {
  SKEP_TRY(set_credentials(room->options.credentials));
  SKEP_TRY_ASSIGN(const HostPort where, parse_host_port(address));
  boost::system::error_code code;
  const asio::ip::address ip = asio::ip::make_address(where.host, code);
  if (code) return fail(ErrorKind::invalid, "can't listen on " + address + ": not an IP address");
  const tcp::endpoint endpoint(ip, where.port);
  acceptor_.open(endpoint.protocol(), code);
  if (!code) acceptor_.set_option(tcp::acceptor::reuse_address(true), code);
  if (!code) acceptor_.bind(endpoint, code);
  if (!code) acceptor_.listen(asio::socket_base::max_listen_connections, code);
  if (!code) port_ = acceptor_.local_endpoint(code).port();
  if (code) {
    return fail(ErrorKind::precondition, "can't listen on " + address + ": " + code.message());
  }
  const std::shared_ptr<State> self = shared_from_this();
  asio::co_spawn(
      loop_, [self]() -> asio::awaitable<void> { co_await self->accept(); }, asio::detached);
  return {};
}

Status RpcServer::State::set_credentials(NodeCredentials credentials) {
  SKEP_TRY_ASSIGN(context_, server_context(credentials));
  room->options.credentials = std::move(credentials);
  return {};
}

asio::awaitable<void> RpcServer::State::accept() {
  asio::steady_timer pause(loop_);
  while (!stopped_) {
    boost::system::error_code code;
    tcp::socket socket =
        co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, code));
    if (stopped_) co_return;
    if (code) {
      log("can't accept a connection: " + code.message());
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, code));
      continue;
    }
    if (peers_.size() + handshakes_.size() >= room->options.connections_max) {
      log("a connection was refused: too many are open");
      continue;
    }
    asio::co_spawn(
        loop_,
        [self = shared_from_this(), taken = std::move(socket)]() mutable -> asio::awaitable<void> {
          co_await self->welcome(std::move(taken));
        },
        asio::detached);
  }
}

asio::awaitable<void> RpcServer::State::welcome(tcp::socket socket) {
  boost::system::error_code code;
  const tcp::endpoint remote = socket.remote_endpoint(code);
  if (code) co_return;  // gone before it was greeted
  Caller caller;
  caller.remote_address = remote.address().to_string();
  const Status watched = watch_for_loss(socket);
  if (!watched) log(caller.remote_address + ": " + watched.error().message);

  const auto handshake =
      std::make_shared<Handshake>(std::make_unique<TlsStream>(std::move(socket), *context_));
  handshakes_.insert(handshake);
  handshake->timer.expires_after(room->options.handshake_timeout);
  handshake->timer.async_wait([handshake](const boost::system::error_code& late) {
    boost::system::error_code ignored;  // it is closed either way
    if (!late && handshake->stream) handshake->stream->next_layer().close(ignored);
  });
  co_await handshake->stream->async_handshake(asio::ssl::stream_base::server,
                                              asio::redirect_error(asio::use_awaitable, code));
  handshake->timer.cancel();
  handshakes_.erase(handshake);
  std::unique_ptr<TlsStream> stream = std::move(handshake->stream);
  if (stopped_) co_return;
  if (code) {
    log("handshake with " + caller.remote_address +
        " failed: " + handshake_error(*stream, code).message);
    co_return;
  }
  Result<std::optional<PeerIdentity>> identity = peer_identity(*stream);
  if (!identity) {
    log("connection from " + caller.remote_address + " refused: " + identity.error().message);
    co_return;
  }
  caller.identity = std::move(*identity);
  if (caller.identity && caller.identity->cluster != room->options.credentials.identity.cluster) {
    log("connection from " + caller.remote_address + " refused: a certificate of another cluster");
    co_return;
  }
  enter(std::move(stream), std::move(caller));
}

void RpcServer::State::enter(std::unique_ptr<TlsStream> stream, Caller caller) {
  const bool anonymous = !caller.identity;
  if (anonymous && anonymous_ >= room->options.anonymous_connections_max) {
    log("connection from " + caller.remote_address + " refused: too many without a certificate");
    return;
  }
  const auto connection = std::make_shared<Connection>(
      std::move(stream), anonymous ? kAnonymousFrameBytesMax : kFrameBytesMax);
  const auto peer = std::make_shared<ServerPeer>(room, connection, std::move(caller), loop_);
  peers_.insert(peer);
  const auto life = std::make_shared<asio::steady_timer>(loop_);
  if (anonymous) {
    ++anonymous_;
    life->expires_after(room->options.anonymous_life);
    life->async_wait([weak = std::weak_ptr(peer)](const boost::system::error_code& code) {
      const std::shared_ptr<ServerPeer> held = weak.lock();
      if (code || !held) return;
      held->close(Error{ErrorKind::deadline, "a machine without a certificate may not stay"});
    });
  }
  peer->start([self = shared_from_this(), weak = std::weak_ptr(peer), life, anonymous] {
    life->cancel();
    if (anonymous) --self->anonymous_;
    self->peers_.erase(weak.lock());
  });
}

void RpcServer::State::disconnect(model::NodeId node, const std::string& why) {
  for (const std::shared_ptr<ServerPeer>& peer : peers_) {
    const std::optional<PeerIdentity>& identity = peer->caller().identity;
    if (identity && identity->node == node) peer->close(Error{ErrorKind::unauthenticated, why});
  }
}

void RpcServer::State::stop() {
  if (stopped_) return;
  stopped_ = true;
  boost::system::error_code ignored;  // it is closed either way
  acceptor_.close(ignored);
  for (const std::shared_ptr<Handshake>& handshake : handshakes_) {
    handshake->stream->next_layer().close(ignored);
  }
  for (const std::shared_ptr<ServerPeer>& peer : peers_) {
    peer->close(Error{ErrorKind::unavailable, "this manager is stopping"});
  }
}

RpcServer::RpcServer(asio::any_io_executor loop, ServerOptions options)
    : state_(std::make_shared<State>(std::move(loop), std::move(options))) {}
RpcServer::~RpcServer() {
  state_->stop();
}
void RpcServer::handle(Method method, UnaryHandler handler) {
  SKEP_ASSERT(!state_->room->streams.contains(method), "a method is unary or a stream, not both");
  state_->room->unary[method] = std::move(handler);
}
void RpcServer::handle_promptly(Method method, PromptHandler handler) {
  SKEP_ASSERT(!state_->room->streams.contains(method), "a method is unary or a stream, not both");
  state_->room->prompt[method] = std::move(handler);
}
void RpcServer::handle_stream(Method method, StreamHandler handler) {
  SKEP_ASSERT(!state_->room->unary.contains(method), "a method is unary or a stream, not both");
  state_->room->streams[method] = std::move(handler);
}
Status RpcServer::listen(const std::string& address) {
  return state_->listen(address);
}
uint16_t RpcServer::port() const {
  return state_->port();
}
Status RpcServer::set_credentials(NodeCredentials credentials) {
  return state_->set_credentials(std::move(credentials));
}
void RpcServer::disconnect(model::NodeId node, const std::string& why) {
  state_->disconnect(node, why);
}
void RpcServer::stop() {
  state_->stop();
}

}  // namespace skep::transport
