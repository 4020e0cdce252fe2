// One TLS connection as both ends see it: frames in, frames out, and one reason why it ended.
//
// Writes are queued and done one at a time; reads hand each frame to `on_frame`. The queue is
// bounded: `send` beyond the bound closes the connection (a peer that doesn't read may not fill our
// memory), `send_wait` waits for room instead. A write that makes no progress for kStall closes
// too. `on_closed` is called once, later than the call that caused it, and nothing is delivered
// after it. When this side found fault with what came in, it sends a Goodbye with the reason first.
//
// Everything on the loop. Owned by shared_ptr; the pending operations hold it until it is closed,
// so somebody must close it. The two functions, which usually hold the connection's owner, belong
// to the pending read and not to the connection: no circle is left when the loop itself ends first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/model/result.hpp"
#include "daemon/transport/frame_reader.hpp"
#include "daemon/transport/tls.hpp"

namespace skep::transport {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  static constexpr size_t kQueueBytesMax = 16 * 1024 * 1024;
  static constexpr size_t kRoomBytes = 1024 * 1024;  // send_wait waits until less is queued
  static constexpr std::chrono::seconds kStall{20};
  static constexpr std::chrono::seconds kLinger{1};  // for the Goodbye to be read

  using OnFrame = std::function<void(const rpc::Frame&)>;
  using OnClosed = std::function<void(const Error&)>;

  // After a successful handshake.
  Connection(std::unique_ptr<TlsStream> stream, uint32_t frame_bytes_max);

  void start(OnFrame on_frame, OnClosed on_closed);
  void send(const rpc::Frame& frame);
  asio::awaitable<Status> send_wait(rpc::Frame frame);
  // Ends it for a reason of this side's own. Calling it again does nothing.
  void close(const Error& reason);
  // The same, and tells the peer why first.
  void close_with_goodbye(const Error& reason);
  bool closed() const { return reason_.has_value(); }
  const Error& reason() const { return *reason_; }  // Requires: closed()

 private:
  struct Listener {
    OnFrame on_frame;
    OnClosed on_closed;
  };

  void read(std::shared_ptr<Listener> listener);
  void take(std::shared_ptr<Listener> listener, const boost::system::error_code& code, size_t size);
  void deliver(const Listener& listener);
  void schedule_write();
  void write();
  void wrote(const boost::system::error_code& code);
  void end(const Error& reason);
  void shut();
  void drain();

  std::unique_ptr<TlsStream> stream_;
  FrameReader reader_;
  std::array<char, 32 * 1024> chunk_;
  std::deque<std::string> queue_;
  size_t queued_bytes_ = 0;
  std::string writing_;  // empty: no write on its way
  uint64_t writes_ = 0;
  bool write_scheduled_ = false;
  asio::steady_timer stall_;
  asio::steady_timer room_;
  asio::steady_timer linger_;
  std::weak_ptr<Listener> listener_;  // alive until `on_closed` is on its way
  std::optional<Error> reason_;
  bool saying_goodbye_ = false;
};

}  // namespace skep::transport
