// The way out of the helper: one socket, written to by every thread of the driver.
//
// Replies and items wait until the socket takes them: that is the back-pressure that keeps memory
// bounded. Log lines and figures never make a driver wait: what the socket doesn't take at once
// goes to a backlog of bounded size, which a thread made on first need sends on; beyond it lines
// are dropped and counted, and figures are added up. What one thread says keeps its order. Whoever
// waits is let in between two turns of the backlog, or a flood of lines would hold up all replies.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "sdk/host/wire.hpp"

namespace skep::host {

// [any thread] Lives as long as the process. When the host is gone, the process ends from here.
class Output {
 public:
  explicit Output(int socket) : socket_(socket) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Sends the frame, and waits as long as it takes.
  void send(const FrameHead& head, std::string_view second, std::string_view rest);
  // One line of the log. Never waits for the host.
  void log(uint64_t number, int32_t level, std::string_view message);
  // One figure, sent within a tenth of a second. Never waits for the host. `name` is one of a
  // bounded set.
  void figure(std::string_view name, int64_t value, bool set);
  // Waits until everything said so far has left.
  void flush();

 private:
  using Lock = std::unique_lock<std::mutex>;
  void offer(Lock& lock, const FrameHead& head, std::string_view rest);
  void write_out(Lock& lock, FramePieces& pieces);
  void write_out(Lock& lock, std::string bytes);
  void collect_figures();
  bool need_thread();
  void serve();
  bool is_next_a_sender() const;

  const int socket_;
  std::mutex mutex_;
  std::condition_variable free_;  // a writer has ended, or the backlog got shorter
  std::condition_variable work_;  // for the backlog's thread
  bool writing_ = false;          // a thread is in the middle of a frame, without the lock
  bool torn_ = false;             // the backlog begins in the middle of a frame
  bool served_ = false;           // the backlog's thread is there
  std::string backlog_;
  uint64_t queued_ = 0;              // bytes that ever went to the backlog
  uint64_t flushed_ = 0;             // of them, sent
  std::multiset<uint64_t> senders_;  // those who wait: how much must be flushed before each
  uint64_t dropped_ = 0;             // log lines since the last that told of them
  std::map<std::pair<std::string, bool>, int64_t, std::less<>> figures_;  // not sent yet
  std::chrono::steady_clock::time_point figures_next_{};
};

}  // namespace skep::host
