// From a request frame to a handler's coroutine and back.
//
// Cancelling is posted, never done on the spot: a handler may be the one who causes it, and a
// coroutine must not be resumed while it runs.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/server_peer.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>

namespace skep::transport {
namespace {

constexpr bool same_number(rpc::Method wire, Method ours) {
  return static_cast<int>(wire) == static_cast<int>(ours);
}
static_assert(same_number(rpc::METHOD_GET_ROOT, Method::get_root) &&
              same_number(rpc::METHOD_ISSUE_CERTIFICATE, Method::issue_certificate) &&
              same_number(rpc::METHOD_CERTIFICATE_STATUS, Method::certificate_status) &&
              same_number(rpc::METHOD_SESSION, Method::session) &&
              same_number(rpc::METHOD_HEARTBEAT, Method::heartbeat) &&
              same_number(rpc::METHOD_ASSIGNMENTS, Method::assignments) &&
              same_number(rpc::METHOD_STATUS, Method::status) &&
              same_number(rpc::METHOD_AWAY, Method::away) &&
              same_number(rpc::METHOD_LEAVE, Method::leave) &&
              same_number(rpc::METHOD_RENEW_CERTIFICATE, Method::renew_certificate) &&
              same_number(rpc::METHOD_MANAGERS, Method::managers) &&
              same_number(rpc::METHOD_LOGS, Method::logs) &&
              same_number(rpc::METHOD_RAFT, Method::raft) &&
              same_number(rpc::METHOD_SNAPSHOT, Method::snapshot) &&
              same_number(rpc::METHOD_FORWARD, Method::forward) &&
              same_number(rpc::METHOD_READ_INDEX, Method::read_index) &&
              same_number(rpc::METHOD_JOIN_RAFT, Method::join_raft) &&
              same_number(rpc::METHOD_WRITE, Method::write) &&
              same_number(rpc::METHOD_GET_CONFIG, Method::get_config));

}  // namespace

struct ServerPeer::Call {
  explicit Call(const asio::any_io_executor& loop) : deadline(loop) {}
  asio::cancellation_signal signal;
  asio::steady_timer deadline;
  bool late = false;       // the deadline passed before the handler was done
  bool abandoned = false;  // nobody waits for the answer
  bool done = false;
};

class ServerPeer::StreamSink : public ItemSink {
 public:
  StreamSink(std::shared_ptr<Connection> connection, std::shared_ptr<Call> call, uint64_t stream,
             Method method)
      : connection_(std::move(connection)),
        call_(std::move(call)),
        stream_(stream),
        method_(method) {}

  asio::awaitable<Status> send(std::string payload) override {
    if (closed()) co_return fail(ErrorKind::cancelled, "the stream has ended");
    const identity::MethodInfo& method = identity::info(method_);
    if (payload.size() > method.response_max) {
      co_return fail(ErrorKind::too_large, std::string(method.name) + ": an item of " +
                                               std::to_string(payload.size()) +
                                               " bytes is over the limit");
    }
    rpc::Frame frame;
    frame.set_stream(stream_);
    frame.mutable_item()->set_payload(std::move(payload));
    co_return co_await connection_->send_wait(std::move(frame));
  }
  bool closed() const override { return call_->abandoned || connection_->closed(); }

 private:
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Call> call_;
  uint64_t stream_;
  Method method_;
};

ServerPeer::ServerPeer(std::shared_ptr<ServerRoom> room, std::shared_ptr<Connection> connection,
                       Caller caller, asio::any_io_executor loop)
    : room_(std::move(room)),
      connection_(std::move(connection)),
      caller_(std::move(caller)),
      loop_(std::move(loop)) {}

void ServerPeer::start(std::function<void()> on_gone) {
  connection_->start(
      [self = shared_from_this()](const rpc::Frame& frame) { self->on_frame(frame); },
      [self = shared_from_this(), on_gone](const Error& reason) {
        self->log("connection of " + self->who() + " ended: " + reason.message);
        for (const auto& [stream, call] : self->calls_) {
          call->abandoned = true;
          self->cancel(call);
        }
        on_gone();
      });
}

std::string ServerPeer::who() const {
  if (!caller_.identity) return caller_.remote_address;
  return "node " + caller_.identity->node.str() + " (" + caller_.remote_address + ")";
}

void ServerPeer::log(const std::string& sentence) const {
  if (room_->options.log) room_->options.log(sentence);
}

void ServerPeer::on_frame(const rpc::Frame& frame) {
  switch (frame.kind_case()) {
    case rpc::Frame::kRequest:
      on_request(frame.stream(), frame.request());
      return;
    case rpc::Frame::kCancel: {
      const auto found = calls_.find(frame.stream());
      if (found == calls_.end()) return;  // it ended while the word was on its way
      found->second->abandoned = true;
      cancel(found->second);
      return;
    }
    case rpc::Frame::kResponse:
    case rpc::Frame::kItem:
    case rpc::Frame::kEnd:
    case rpc::Frame::kGoodbye:
    case rpc::Frame::KIND_NOT_SET:
      close(Error{ErrorKind::invalid, "a frame that only the accepting side may send"});
      return;
  }
}

void ServerPeer::on_request(uint64_t stream, const rpc::Request& request) {
  if (stream == 0 || calls_.contains(stream)) {
    close(
        Error{ErrorKind::invalid, "stream number " + std::to_string(stream) + " can't be opened"});
    return;
  }
  const std::optional<PeerIdentity>& identity = caller_.identity;
  if (identity && room_->options.removed && room_->options.removed(identity->node)) {
    close(Error{ErrorKind::unauthenticated,
                "node " + identity->node.str() + " was removed from the cluster"});
    return;
  }
  const Status admitted = admit(request);
  if (!admitted) {
    log("call of " + who() + " refused: " + admitted.error().message);
    answer(stream, fail(admitted.error()));
    return;
  }
  const auto method = static_cast<Method>(request.method());
  if (const auto prompt = room_->prompt.find(method); prompt != room_->prompt.end()) {
    return run_prompt(prompt->second, stream, request);
  }
  begin(stream, request, method);
}

void ServerPeer::run_prompt(PromptHandler& handler, uint64_t stream, const rpc::Request& request) {
  Result<std::string> outcome;
  try {
    outcome = handler(caller_, request.payload());
  } catch (const std::exception& error) {
    outcome = fail(ErrorKind::internal, error.what());
  }
  if (!outcome || !request.one_way()) answer(stream, outcome);
}

Status ServerPeer::admit(const rpc::Request& request) {
  if (!version_accepted(request.protocol_version())) {
    return fail(ErrorKind::precondition,
                "protocol version " + std::to_string(request.protocol_version()) +
                    " isn't spoken here, version " + std::to_string(kProtocolVersion) + " is");
  }
  const identity::MethodInfo* method =
      request.method() > UINT16_MAX
          ? nullptr
          : identity::find_method(static_cast<uint16_t>(request.method()));
  if (method == nullptr) {
    return fail(ErrorKind::unimplemented, "unknown method " + std::to_string(request.method()));
  }
  const std::string name(method->name);
  if (!request.cluster().empty()) {
    const model::ClusterId ours = room_->options.credentials.identity.cluster;
    std::string bytes;
    for (const uint64_t word : {ours.bits.high, ours.bits.low}) {
      for (int shift = 56; shift >= 0; shift -= 8) {
        bytes.push_back(static_cast<char>(static_cast<uint8_t>(word >> shift)));
      }
    }
    if (bytes != request.cluster()) {
      return fail(ErrorKind::precondition, "this node belongs to another cluster");
    }
  }
  std::optional<model::NodeRole> role;
  if (caller_.identity) role = caller_.identity->role;
  if (!identity::may_call(identity::access_of(role), method->method)) {
    return fail(ErrorKind::denied, name + " needs the certificate of a " +
                                       std::string(identity::access_name(method->needs)) +
                                       (role ? ", not of a worker" : ", and none was shown"));
  }
  if (request.payload().size() > method->request_max) {
    return fail(ErrorKind::too_large,
                name + ": a request of " + std::to_string(request.payload().size()) +
                    " bytes is over the limit of " + std::to_string(method->request_max));
  }
  const size_t calls_max = role == model::NodeRole::manager ? kManagerCallsMax : kCallsMax;
  if (calls_.size() >= calls_max) {
    return fail(ErrorKind::unavailable,
                std::to_string(calls_max) + " calls run on this connection already");
  }
  if (method->method == Method::issue_certificate &&
      !room_->issue.take(std::chrono::steady_clock::now())) {
    return fail(ErrorKind::unavailable, "too many machines ask for certificates at once");
  }
  if (!room_->unary.contains(method->method) && !room_->prompt.contains(method->method) &&
      !room_->streams.contains(method->method)) {
    return fail(ErrorKind::unimplemented, name + " isn't built yet");
  }
  return {};
}

void ServerPeer::begin(uint64_t stream, const rpc::Request& request, Method method) {
  const std::shared_ptr<Call> call = std::make_shared<Call>(loop_);
  calls_.emplace(stream, call);
  Caller caller = caller_;
  caller.request_id = request.request_id();
  const std::shared_ptr<ServerPeer> self = shared_from_this();
  if (const auto found = room_->streams.find(method); found != room_->streams.end()) {
    const auto sink = std::make_shared<StreamSink>(connection_, call, stream, method);
    asio::co_spawn(loop_, run_stream(found->second, std::move(caller), request.payload(), sink),
                   asio::bind_cancellation_slot(
                       call->signal.slot(),
                       [self, call, stream](const std::exception_ptr& thrown, Status outcome) {
                         if (thrown) outcome = fail(ErrorKind::cancelled, "cancelled");
                         self->finish_stream(stream, outcome);
                       }));
    return;
  }
  if (request.deadline_ms() > 0) {
    call->deadline.expires_after(std::chrono::milliseconds(request.deadline_ms()));
    call->deadline.async_wait([self, call](const boost::system::error_code& code) {
      if (code || call->done) return;
      call->late = true;
      self->cancel(call);
    });
  }
  UnaryHandler& handler = room_->unary.find(method)->second;
  asio::co_spawn(loop_, run_unary(handler, std::move(caller), request.payload()),
                 asio::bind_cancellation_slot(call->signal.slot(),
                                              [self, call, stream](const std::exception_ptr& thrown,
                                                                   Result<std::string> outcome) {
                                                if (thrown)
                                                  outcome = fail(ErrorKind::cancelled, "cancelled");
                                                self->finish_unary(stream, std::move(outcome));
                                              }));
}

asio::awaitable<Result<std::string>> ServerPeer::run_unary(UnaryHandler& handler, Caller caller,
                                                           std::string payload) {
  Result<std::string> outcome;
  try {
    outcome = co_await handler(std::move(caller), std::move(payload));
  } catch (const std::exception& error) {
    outcome = fail(ErrorKind::internal, error.what());
  }
  co_return outcome;
}

asio::awaitable<Status> ServerPeer::run_stream(StreamHandler& handler, Caller caller,
                                               std::string payload,
                                               std::shared_ptr<StreamSink> sink) {
  Status outcome;
  try {
    outcome = co_await handler(std::move(caller), std::move(payload), *sink);
  } catch (const std::exception& error) {
    outcome = fail(ErrorKind::internal, error.what());
  }
  co_return outcome;
}

void ServerPeer::answer(uint64_t stream, const Result<std::string>& outcome) {
  rpc::Frame frame;
  frame.set_stream(stream);
  rpc::Response* response = frame.mutable_response();
  response->set_protocol_version(kProtocolVersion);
  if (outcome) {
    response->set_payload(*outcome);
  } else {
    encode_failure(outcome.error(), response->mutable_failure());
  }
  connection_->send(frame);
}

void ServerPeer::finish_unary(uint64_t stream, Result<std::string> outcome) {
  const std::shared_ptr<Call> call = calls_.at(stream);
  calls_.erase(stream);
  call->done = true;
  call->deadline.cancel();
  if (call->abandoned) return;
  if (call->late) outcome = fail(ErrorKind::deadline, "the manager didn't get it done in time");
  if (outcome && outcome->size() > kFrameBytesMax - kFrameEnvelopeBytes) {
    outcome = fail(ErrorKind::too_large, "the answer is over the limit of a frame");
  }
  answer(stream, outcome);
}

void ServerPeer::finish_stream(uint64_t stream, const Status& outcome) {
  const std::shared_ptr<Call> call = calls_.at(stream);
  calls_.erase(stream);
  call->done = true;
  if (call->abandoned) return;
  rpc::Frame frame;
  frame.set_stream(stream);
  frame.mutable_end();
  if (!outcome) encode_failure(outcome.error(), frame.mutable_end()->mutable_failure());
  connection_->send(frame);
}

void ServerPeer::cancel(const std::shared_ptr<Call>& call) {
  asio::post(loop_, [call] {
    if (!call->done) call->signal.emit(asio::cancellation_type::terminal);
  });
}

}  // namespace skep::transport
