// Dialling, and matching answers to the coroutines that wait for them.
//
// A waiting coroutine sleeps on its own timer: the answer, the deadline and the end of the
// connection all wake it, and it then looks at what happened.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/rpc_client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <random>

#include "core/model/codec/common.hpp"
#include "daemon/transport/address.hpp"
#include "daemon/transport/connection.hpp"

namespace skep::transport {
namespace {

using asio::ip::tcp;

// A dial on its way, so that the timer can end whichever step it is at.
struct Dial {
  Dial(const asio::any_io_executor& loop, asio::ssl::context& context)
      : resolver(loop), stream(std::make_unique<TlsStream>(loop, context)), timer(loop) {}
  tcp::resolver resolver;
  std::unique_ptr<TlsStream> stream;
  asio::steady_timer timer;
  bool late = false;
};

Error dial_error(const HostPort& where, std::string what, ErrorKind kind) {
  return Error{kind, "can't reach the manager at " + where.str() + ": " + std::move(what)};
}

asio::awaitable<Status> reach(std::shared_ptr<Dial> dial, HostPort where) {
  boost::system::error_code code;
  std::vector<tcp::endpoint> endpoints;
  const asio::ip::address ip = asio::ip::make_address(where.host, code);
  if (!code) {
    endpoints.emplace_back(ip, where.port);
  } else {
    code.clear();
    const tcp::resolver::results_type found = co_await dial->resolver.async_resolve(
        where.host, std::to_string(where.port), asio::redirect_error(asio::use_awaitable, code));
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  }
  if (!code && !dial->late) {
    co_await asio::async_connect(dial->stream->next_layer(), endpoints,
                                 asio::redirect_error(asio::use_awaitable, code));
  }
  if (dial->late) co_return fail(dial_error(where, "no answer in time", ErrorKind::unavailable));
  if (code) co_return fail(dial_error(where, code.message(), ErrorKind::unavailable));
  SKEP_CO_TRY(watch_for_loss(dial->stream->next_layer()));
  co_await dial->stream->async_handshake(asio::ssl::stream_base::client,
                                         asio::redirect_error(asio::use_awaitable, code));
  if (dial->late) co_return fail(dial_error(where, "no answer in time", ErrorKind::unavailable));
  if (code) {
    const Error error = handshake_error(*dial->stream, code);
    const std::string what = error.kind == ErrorKind::unavailable
                                 ? "it is not a skep manager (" + error.message + ")"
                                 : error.message;
    co_return fail(dial_error(where, what, error.kind));
  }
  co_return Status{};
}

Status check_server(const std::optional<PeerIdentity>& server, const ClientOptions& options,
                    const HostPort& where) {
  if (!server) {
    return fail(dial_error(where, "it showed no certificate", ErrorKind::precondition));
  }
  if (server->role != model::NodeRole::manager) {
    return fail(dial_error(where, "it is a worker", ErrorKind::precondition));
  }
  if (options.cluster && server->cluster != options.cluster) {
    return fail(dial_error(where, "it is of another cluster", ErrorKind::precondition));
  }
  return {};
}

}  // namespace

class RpcClient::State : public std::enable_shared_from_this<State> {
 public:
  struct Pending {
    Pending(const asio::any_io_executor& loop, Method asked) : wake(loop), method(asked) {}
    asio::steady_timer wake;
    Method method;
    OnItem on_item;
    std::optional<Result<std::string>> outcome;
  };

  State(asio::any_io_executor loop, ClientOptions options, std::unique_ptr<TlsStream> stream,
        std::optional<PeerIdentity> server);
  void start();
  asio::awaitable<Result<std::string>> ask(Method method, std::string payload, OnItem on_item,
                                           std::optional<std::chrono::milliseconds> deadline);
  void tell(Method method, std::string payload);
  asio::awaitable<Error> closed();

  std::shared_ptr<Connection> connection;
  std::optional<PeerIdentity> server;

 private:
  void send_request(uint64_t stream, Method method, std::string payload,
                    std::optional<std::chrono::milliseconds> deadline, bool one_way = false);
  void forget(uint64_t stream, const Pending& pending);
  void on_frame(const rpc::Frame& frame);
  void on_item(uint64_t stream, const std::shared_ptr<Pending>& pending, const rpc::Item& item);
  void on_closed(const Error& reason);
  void settle(Pending& pending, Result<std::string> outcome);

  asio::any_io_executor loop_;
  ClientOptions options_;
  std::map<uint64_t, std::shared_ptr<Pending>> pending_;
  uint64_t last_stream_ = 0;
  uint64_t last_request_;
  asio::steady_timer gone_;
};

RpcClient::State::State(asio::any_io_executor loop, ClientOptions options,
                        std::unique_ptr<TlsStream> stream, std::optional<PeerIdentity> peer)
    : connection(std::make_shared<Connection>(
          std::move(stream), options.root_pem.empty() ? kAnonymousFrameBytesMax : kFrameBytesMax)),
      server(std::move(peer)),
      loop_(std::move(loop)),
      options_(std::move(options)),
      last_request_(std::random_device()()),
      gone_(loop_) {
  last_request_ <<= 24;  // a start of its own for each connection, for the logs
  gone_.expires_at(asio::steady_timer::time_point::max());  // `cancel` wakes the waiters
}

void RpcClient::State::start() {
  connection->start([self = shared_from_this()](const rpc::Frame& frame) { self->on_frame(frame); },
                    [self = shared_from_this()](const Error& reason) { self->on_closed(reason); });
}

void RpcClient::State::send_request(uint64_t stream, Method method, std::string payload,
                                    std::optional<std::chrono::milliseconds> deadline,
                                    bool one_way) {
  rpc::Frame frame;
  frame.set_stream(stream);
  rpc::Request* request = frame.mutable_request();
  request->set_method(static_cast<uint32_t>(method));
  request->set_cluster(codec::encode_id(options_.cluster));
  request->set_protocol_version(kProtocolVersion);
  request->set_request_id(++last_request_);
  if (deadline) request->set_deadline_ms(static_cast<uint32_t>(deadline->count()));
  request->set_payload(std::move(payload));
  request->set_one_way(one_way);
  connection->send(frame);
}

void RpcClient::State::tell(Method method, std::string payload) {
  SKEP_ASSERT(payload.size() <= identity::info(method).request_max, "what is told fits a request");
  if (!connection->closed()) send_request(++last_stream_, method, std::move(payload), {}, true);
}

asio::awaitable<Result<std::string>> RpcClient::State::ask(
    Method method, std::string payload, OnItem on_item,
    std::optional<std::chrono::milliseconds> deadline) {
  const identity::MethodInfo& about = identity::info(method);
  if (options_.root_pem.empty() && method != Method::get_root) {
    co_return fail(ErrorKind::precondition, "the manager's certificate hasn't been verified");
  }
  if (payload.size() > about.request_max) {
    co_return fail(ErrorKind::too_large, std::string(about.name) + ": a request of " +
                                             std::to_string(payload.size()) +
                                             " bytes is over the limit");
  }
  if (connection->closed()) co_return fail(connection->reason());
  const auto pending = std::make_shared<Pending>(loop_, method);
  pending->on_item = std::move(on_item);
  const uint64_t stream = ++last_stream_;
  pending_.emplace(stream, pending);
  if (deadline) {
    pending->wake.expires_after(*deadline);
  } else {
    pending->wake.expires_at(asio::steady_timer::time_point::max());
  }
  send_request(stream, method, std::move(payload), deadline);

  // What waits may be destroyed instead of resumed (a loop that is torn down).
  struct Forget {
    std::shared_ptr<State> state;
    uint64_t stream;
    const Pending& pending;
    ~Forget() { state->forget(stream, pending); }
  } at_the_end{shared_from_this(), stream, *pending};

  while (!pending->outcome) {
    boost::system::error_code code;
    co_await pending->wake.async_wait(asio::redirect_error(asio::use_awaitable, code));
    if (pending->outcome) break;
    if (!code) {
      co_return fail(ErrorKind::deadline, std::string(about.name) + " got no answer in " +
                                              std::to_string(deadline->count()) + " ms");
    }
    const asio::cancellation_state cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) {
      co_return fail(ErrorKind::cancelled, std::string(about.name) + " was cancelled");
    }
  }
  co_return std::move(*pending->outcome);
}

void RpcClient::State::forget(uint64_t stream, const Pending& pending) {
  if (!pending.outcome && !connection->closed()) {
    rpc::Frame frame;
    frame.set_stream(stream);
    frame.mutable_cancel();
    connection->send(frame);
  }
  pending_.erase(stream);
}

void RpcClient::State::on_frame(const rpc::Frame& frame) {
  const auto found = pending_.find(frame.stream());
  const std::shared_ptr<Pending> pending = found == pending_.end() ? nullptr : found->second;
  switch (frame.kind_case()) {
    case rpc::Frame::kResponse: {
      const rpc::Response& response = frame.response();
      if (!pending) return;  // nobody waits any more
      if (!version_accepted(response.protocol_version())) {
        settle(*pending,
               fail(ErrorKind::precondition, "the manager speaks protocol version " +
                                                 std::to_string(response.protocol_version())));
      } else if (response.has_failure()) {
        settle(*pending, fail(decode_failure(response.failure())));
      } else {
        settle(*pending, response.payload());
      }
      return;
    }
    case rpc::Frame::kItem:
      if (pending) on_item(frame.stream(), pending, frame.item());
      return;
    case rpc::Frame::kEnd:
      if (!pending) return;
      if (frame.end().has_failure()) {
        settle(*pending, fail(decode_failure(frame.end().failure())));
      } else {
        settle(*pending, std::string());
      }
      return;
    case rpc::Frame::kRequest:
    case rpc::Frame::kCancel:
    case rpc::Frame::kGoodbye:
    case rpc::Frame::KIND_NOT_SET:
      connection->close_with_goodbye(
          Error{ErrorKind::invalid, "a frame that only the dialling side may send"});
      return;
  }
}

void RpcClient::State::on_item(uint64_t stream, const std::shared_ptr<Pending>& pending,
                               const rpc::Item& item) {
  const identity::MethodInfo& about = identity::info(pending->method);
  if (pending->outcome) return;  // over already; the cancel is on its way
  if (!pending->on_item || item.payload().size() > about.response_max) {
    connection->close_with_goodbye(
        Error{ErrorKind::invalid, std::string(about.name) + ": an item that was not to be sent"});
    return;
  }
  const Status taken = pending->on_item(item.payload());
  if (taken || pending->outcome) return;
  rpc::Frame cancel;
  cancel.set_stream(stream);
  cancel.mutable_cancel();
  connection->send(cancel);
  settle(*pending, fail(taken.error()));
}

void RpcClient::State::on_closed(const Error& reason) {
  for (const auto& [stream, pending] : pending_) {
    if (!pending->outcome) settle(*pending, fail(reason));
  }
  gone_.cancel();
}

void RpcClient::State::settle(Pending& pending, Result<std::string> outcome) {
  pending.outcome = std::move(outcome);
  pending.wake.cancel();
}

asio::awaitable<Error> RpcClient::State::closed() {
  while (!connection->closed()) {
    boost::system::error_code code;
    co_await gone_.async_wait(asio::redirect_error(asio::use_awaitable, code));
    const asio::cancellation_state cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) {
      co_return Error{ErrorKind::cancelled, "cancelled"};
    }
  }
  co_return connection->reason();
}

asio::awaitable<Result<std::unique_ptr<RpcClient>>> RpcClient::connect(asio::any_io_executor loop,
                                                                       std::string address,
                                                                       ClientOptions options) {
  SKEP_CO_TRY_ASSIGN(const HostPort where, parse_host_port(address));
  const NodeCredentials* credentials = options.credentials ? &*options.credentials : nullptr;
  SKEP_CO_TRY_ASSIGN(const TlsContext context, client_context(options.root_pem, credentials));
  const auto dial = std::make_shared<Dial>(loop, *context);
  dial->timer.expires_after(options.connect_timeout);
  dial->timer.async_wait([dial](const boost::system::error_code& code) {
    if (code || !dial->stream) return;
    dial->late = true;
    dial->resolver.cancel();
    boost::system::error_code ignored;  // it is closed either way
    dial->stream->next_layer().close(ignored);
  });
  const Status reached = co_await reach(dial, where);
  dial->timer.cancel();
  std::unique_ptr<TlsStream> stream = std::move(dial->stream);
  if (!reached) co_return fail(reached.error());
  std::optional<PeerIdentity> server;
  if (!options.root_pem.empty()) {
    Result<std::optional<PeerIdentity>> shown = peer_identity(*stream);
    if (!shown) co_return fail(dial_error(where, shown.error().message, ErrorKind::precondition));
    server = std::move(*shown);
    SKEP_CO_TRY(check_server(server, options, where));
  }
  const auto state = std::make_shared<State>(std::move(loop), std::move(options), std::move(stream),
                                             std::move(server));
  state->start();
  co_return std::unique_ptr<RpcClient>(new RpcClient(state));
}

RpcClient::RpcClient(std::shared_ptr<State> state) : state_(std::move(state)) {}
RpcClient::~RpcClient() {
  close("the connection was closed on this side");
}

asio::awaitable<Result<std::string>> RpcClient::call(Method method, std::string payload,
                                                     std::chrono::milliseconds deadline) {
  const std::shared_ptr<State> state = state_;  // outlives `this`, which may go meanwhile
  co_return co_await state->ask(method, std::move(payload), nullptr, deadline);
}

void RpcClient::tell(Method method, std::string payload) {
  state_->tell(method, std::move(payload));
}

asio::awaitable<Status> RpcClient::open_stream(Method method, std::string payload, OnItem on_item) {
  const std::shared_ptr<State> state = state_;
  const Result<std::string> end =
      co_await state->ask(method, std::move(payload), std::move(on_item), std::nullopt);
  if (!end) co_return fail(end.error());
  co_return Status{};
}

bool RpcClient::open() const {
  return !state_->connection->closed();
}
asio::awaitable<Error> RpcClient::closed() {
  const std::shared_ptr<State> state = state_;
  co_return co_await state->closed();
}
void RpcClient::close(const std::string& why) {
  state_->connection->close(Error{ErrorKind::cancelled, why});
}
const std::optional<PeerIdentity>& RpcClient::server() const {
  return state_->server;
}

}  // namespace skep::transport
