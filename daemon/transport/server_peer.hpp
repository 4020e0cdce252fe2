// One connection at the accepting end: its running calls, and the checks before each.
//
// Internal to the transport. A peer is kept alive by its connection and by its running calls, and
// goes when the connection is closed and the last handler has returned.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>

#include "daemon/transport/connection.hpp"
#include "daemon/transport/rpc_server.hpp"

namespace skep::transport {

// What all peers of one server share.
struct ServerRoom {
  explicit ServerRoom(ServerOptions given)
      : options(std::move(given)), issue(options.issue_certificate) {}
  ServerOptions options;
  std::map<Method, UnaryHandler> unary;
  std::map<Method, PromptHandler> prompt;
  std::map<Method, StreamHandler> streams;
  PermitBucket issue;
};

class ServerPeer : public std::enable_shared_from_this<ServerPeer> {
 public:
  // At once on one connection. A manager forwards what all its own callers ask for on a single one.
  static constexpr size_t kCallsMax = 256;
  static constexpr size_t kManagerCallsMax = 16'384;

  ServerPeer(std::shared_ptr<ServerRoom> room, std::shared_ptr<Connection> connection,
             Caller caller, asio::any_io_executor loop);

  // `on_gone` is called once, when the connection has ended.
  void start(std::function<void()> on_gone);
  void close(const Error& reason) { connection_->close_with_goodbye(reason); }
  const Caller& caller() const { return caller_; }

 private:
  struct Call;
  class StreamSink;

  void on_frame(const rpc::Frame& frame);
  void on_request(uint64_t stream, const rpc::Request& request);
  Status admit(const rpc::Request& request);
  void begin(uint64_t stream, const rpc::Request& request, Method method);
  void run_prompt(PromptHandler& handler, uint64_t stream, const rpc::Request& request);
  asio::awaitable<Result<std::string>> run_unary(UnaryHandler& handler, Caller caller,
                                                 std::string payload);
  asio::awaitable<Status> run_stream(StreamHandler& handler, Caller caller, std::string payload,
                                     std::shared_ptr<StreamSink> sink);
  void answer(uint64_t stream, const Result<std::string>& outcome);
  void finish_unary(uint64_t stream, Result<std::string> outcome);
  void finish_stream(uint64_t stream, const Status& outcome);
  void cancel(const std::shared_ptr<Call>& call);
  void log(const std::string& sentence) const;
  std::string who() const;

  std::shared_ptr<ServerRoom> room_;
  std::shared_ptr<Connection> connection_;
  Caller caller_;
  asio::any_io_executor loop_;
  std::map<uint64_t, std::shared_ptr<Call>> calls_;
};

}  // namespace skep::transport
