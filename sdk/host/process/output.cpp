// Who writes when. The lock is never held while waiting for the socket: `writing_` is.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/process/output.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "sdk/host/process/leave.hpp"
#include "sdk/host/process/threads.hpp"

namespace skep::host {
namespace {

constexpr size_t backlog_max = size_t{512} << 10;  // bytes
constexpr std::chrono::milliseconds figures_every{100};

void wait_until_writable(int socket) {
  pollfd waiting{socket, POLLOUT, 0};
  poll(&waiting, 1, -1);
}

void send_bytes(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) leave(errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace

// Waits without the lock. Requires that nobody else writes.
void Output::write_out(Lock& lock, FramePieces& pieces) {
  writing_ = true;
  lock.unlock();
  FramePieces::Sent sent = FramePieces::Sent::part;
  while (sent == FramePieces::Sent::part) {
    wait_until_writable(socket_);
    sent = pieces.send_some(socket_);
  }
  if (sent == FramePieces::Sent::gone) leave(errno);
  lock.lock();
  writing_ = false;
  free_.notify_all();
  if (!backlog_.empty() || !figures_.empty()) work_.notify_one();
}

void Output::send(const FrameHead& head, std::string_view second, std::string_view rest) {
  FramePieces pieces(head, {}, second, rest);
  Lock lock(mutex_);
  // Behind what was said before, but not behind a flood of others' lines.
  const uint64_t mine = queued_;
  const auto my_turn = [this, mine] { return !writing_ && !torn_ && flushed_ >= mine; };
  if (!my_turn()) {
    const auto place = senders_.insert(mine);
    free_.wait(lock, my_turn);
    senders_.erase(place);
    if (!backlog_.empty() || !figures_.empty()) work_.notify_one();
  }
  const FramePieces::Sent sent = pieces.send_some(socket_);
  if (sent == FramePieces::Sent::gone) leave(errno);
  if (sent == FramePieces::Sent::part) write_out(lock, pieces);
}

void Output::offer(Lock&, const FrameHead& head, std::string_view rest) {
  FramePieces pieces(head, {}, {}, rest);
  if (!writing_ && backlog_.empty()) {
    const size_t whole = pieces.size();
    const FramePieces::Sent sent = pieces.send_some(socket_);
    if (sent == FramePieces::Sent::gone) leave(errno);
    if (sent == FramePieces::Sent::all) return;
    torn_ = pieces.size() < whole;
  } else if (backlog_.size() + pieces.size() > backlog_max) {
    ++dropped_;
    return;
  }
  if (!need_thread()) {
    if (torn_) _exit(1);  // nobody could ever mend it
    ++dropped_;
    return;
  }
  backlog_ += pieces.left();
  queued_ += pieces.size();
  work_.notify_one();
}

void Output::log(uint64_t number, int32_t level, std::string_view message) {
  FrameHead head;
  head.kind = FrameKind::log;
  head.number = number;
  head.code = level;
  Lock lock(mutex_);
  offer(lock, head, message);
}

void Output::figure(std::string_view name, int64_t value, bool set) {
  const Lock lock(mutex_);
  int64_t& figure = figures_[{std::string(name), set}];
  // Wraps around like any counter, instead of what a signed overflow does.
  figure = set ? value
               : static_cast<int64_t>(static_cast<uint64_t>(figure) + static_cast<uint64_t>(value));
  if (need_thread() && figures_.size() == 1) work_.notify_one();
}

void Output::collect_figures() {
  for (const auto& [key, value] : figures_) {
    FrameHead head;
    head.kind = FrameKind::metric;
    head.code = key.second ? 1 : 0;
    head.value = value;
    const FramePieces pieces(head, {}, {}, key.first);
    backlog_ += pieces.left();
    queued_ += pieces.size();
  }
  figures_.clear();
  figures_next_ = std::chrono::steady_clock::now() + figures_every;
}

bool Output::need_thread() {
  if (!served_) served_ = start_thread([this] { serve(); });
  return served_;
}

void Output::write_out(Lock& lock, std::string bytes) {
  writing_ = true;
  lock.unlock();
  send_bytes(socket_, bytes);
  lock.lock();
  writing_ = false;
  torn_ = false;
  flushed_ += bytes.size();
  free_.notify_all();
}

// A torn frame has to be ended before anything else is said.
bool Output::is_next_a_sender() const {
  return !torn_ && !senders_.empty() && *senders_.begin() <= flushed_;
}

void Output::serve() {
  Lock lock(mutex_);
  for (;;) {
    if (writing_ || is_next_a_sender()) {
      work_.wait(lock);
    } else if (!backlog_.empty()) {
      write_out(lock, std::exchange(backlog_, {}));
      if (dropped_ > 0) {
        FrameHead head;
        head.kind = FrameKind::log;
        head.code = SKEP_LOG_WARNING;
        const std::string line = std::to_string(std::exchange(dropped_, 0)) +
                                 " lines of its log were dropped: they came faster than they "
                                 "could be taken";
        offer(lock, head, line);
      }
    } else if (figures_.empty()) {
      work_.wait(lock);
    } else if (std::chrono::steady_clock::now() >= figures_next_) {
      collect_figures();
    } else {
      work_.wait_until(lock, figures_next_);
    }
  }
}

void Output::flush() {
  Lock lock(mutex_);
  if (!figures_.empty()) {
    collect_figures();
    work_.notify_one();
  }
  free_.wait(lock, [this] { return !writing_ && flushed_ == queued_; });
}

}  // namespace skep::host
