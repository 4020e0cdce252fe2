// The two chains of operations, one reading and one writing, and how they end.
//
// OpenSSL allows one read and one write at a time on a stream, both on one thread; each chain keeps
// that by starting its next operation only when the last has come back.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/connection.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace skep::transport {
namespace {

constexpr size_t kWriteBytes = 64 * 1024;  // small frames are joined up to this

}  // namespace

Connection::Connection(std::unique_ptr<TlsStream> stream, uint32_t frame_bytes_max)
    : stream_(std::move(stream)),
      reader_(frame_bytes_max),
      stall_(stream_->get_executor()),
      room_(stream_->get_executor()),
      linger_(stream_->get_executor()) {
  // Never expires: `cancel` is how waiters are woken.
  room_.expires_at(asio::steady_timer::time_point::max());
}

void Connection::start(OnFrame on_frame, OnClosed on_closed) {
  auto listener = std::make_shared<Listener>(std::move(on_frame), std::move(on_closed));
  listener_ = listener;
  read(std::move(listener));
}

void Connection::read(std::shared_ptr<Listener> listener) {
  stream_->async_read_some(asio::buffer(chunk_),
                           [self = shared_from_this(), listener = std::move(listener)](
                               const boost::system::error_code& code, size_t size) mutable {
                             self->take(std::move(listener), code, size);
                           });
}

void Connection::take(std::shared_ptr<Listener> listener, const boost::system::error_code& code,
                      size_t size) {
  if (closed()) return;
  if (code) {
    Error reason = tls_error(code);
    if (code == asio::error::eof || code == asio::ssl::error::stream_truncated) {
      reason.message = reader_.in_frame() ? "the connection was cut in the middle of a frame"
                                          : "the peer closed the connection";
    }
    close(reason);
    return;
  }
  reader_.feed(std::string_view(chunk_.data(), size));
  deliver(*listener);
  if (!closed()) read(std::move(listener));
}

void Connection::deliver(const Listener& listener) {
  while (!closed()) {
    const Result<std::optional<rpc::Frame>> frame = reader_.next();
    if (!frame) {
      close_with_goodbye(frame.error());
      return;
    }
    if (!*frame) return;
    if ((*frame)->has_goodbye()) {
      Error reason = decode_failure((*frame)->goodbye().failure());
      reason.message = "the peer ended the connection: " + reason.message;
      close(reason);
      return;
    }
    listener.on_frame(**frame);
  }
}

void Connection::send(const rpc::Frame& frame) {
  if (closed()) return;
  queue_.push_back(frame_bytes(frame));
  queued_bytes_ += queue_.back().size();
  if (queued_bytes_ > kQueueBytesMax) {
    close(Error{ErrorKind::unavailable, "the peer doesn't read what it is sent"});
    return;
  }
  schedule_write();
}

// What is sent in one turn of the loop goes out together: a record and a system call each would
// cost more than the frames.
void Connection::schedule_write() {
  if (write_scheduled_ || !writing_.empty()) return;
  write_scheduled_ = true;
  asio::post(stream_->get_executor(), [self = shared_from_this()] {
    self->write_scheduled_ = false;
    if (!self->closed()) self->write();
  });
}

asio::awaitable<Status> Connection::send_wait(rpc::Frame frame) {
  while (!closed() && queued_bytes_ > kRoomBytes) {
    boost::system::error_code code;
    co_await room_.async_wait(asio::redirect_error(asio::use_awaitable, code));
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      co_return fail(ErrorKind::cancelled, "the stream was cancelled");
    }
  }
  if (closed()) co_return fail(reason());
  send(frame);
  co_return Status{};
}

void Connection::write() {
  if (!writing_.empty() || queue_.empty()) return;
  while (!queue_.empty() &&
         (writing_.empty() || writing_.size() + queue_.front().size() <= kWriteBytes)) {
    if (writing_.empty()) {
      writing_ = std::move(queue_.front());
    } else {
      writing_ += queue_.front();
    }
    queue_.pop_front();
  }
  const uint64_t number = ++writes_;
  stall_.expires_after(kStall);
  stall_.async_wait([self = shared_from_this(), number](const boost::system::error_code& code) {
    if (code || number != self->writes_ || self->writing_.empty()) return;
    self->close(Error{ErrorKind::unavailable, "the peer hasn't read anything for 20 seconds"});
    self->shut();
  });
  asio::async_write(*stream_, asio::buffer(writing_),
                    [self = shared_from_this()](const boost::system::error_code& code, size_t) {
                      self->wrote(code);
                    });
}

void Connection::wrote(const boost::system::error_code& code) {
  stall_.cancel();
  queued_bytes_ -= std::min(queued_bytes_, writing_.size());
  writing_.clear();
  room_.cancel();
  if (closed()) {
    if (!saying_goodbye_ || code) return shut();
    if (!queue_.empty()) return write();
    boost::system::error_code ignored;  // the peer may be gone already; the linger ends it anyway
    stream_->next_layer().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    drain();
    return;
  }
  if (code) {
    // What the peer said before it went (an alert, a Goodbye) explains more than a broken pipe, so
    // the reading side gets a moment to find it.
    linger_.expires_after(kLinger);
    linger_.async_wait([self = shared_from_this(), code](const boost::system::error_code& late) {
      if (!late) self->close(tls_error(code));
    });
    return;
  }
  write();
}

void Connection::close(const Error& reason) {
  if (closed()) return;
  end(reason);
  shut();
}

void Connection::close_with_goodbye(const Error& reason) {
  if (closed()) return;
  if (writing_.empty()) write();  // what was sent in this turn still goes first
  queue_.clear();
  queued_bytes_ = writing_.size();
  saying_goodbye_ = true;
  rpc::Frame frame;
  encode_failure(reason, frame.mutable_goodbye()->mutable_failure());
  queue_.push_back(frame_bytes(frame));
  queued_bytes_ += queue_.back().size();
  end(reason);
  linger_.expires_after(kLinger);
  linger_.async_wait([self = shared_from_this()](const boost::system::error_code& code) {
    if (!code) self->shut();
  });
  write();
}

// Closing a socket with unread bytes resets it, and a reset can destroy the Goodbye on its way.
void Connection::drain() {
  stream_->next_layer().async_read_some(
      asio::buffer(chunk_),
      [self = shared_from_this()](const boost::system::error_code& code, size_t) {
        if (code) return self->shut();
        self->drain();
      });
}

void Connection::end(const Error& reason) {
  reason_ = reason;
  room_.cancel();
  const std::shared_ptr<Listener> listener = listener_.lock();
  if (!listener) return;  // never started
  // Not here: this may run inside either of the two functions, and they own what holds us.
  asio::post(stream_->get_executor(),
             [self = shared_from_this(), listener] { listener->on_closed(*self->reason_); });
}

void Connection::shut() {
  boost::system::error_code ignored;  // it is closed either way
  stall_.cancel();
  linger_.cancel();
  room_.cancel();
  stream_->next_layer().close(ignored);
}

}  // namespace skep::transport
