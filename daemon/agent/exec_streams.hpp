// The byte streams of an exec, as FIFOs in RUN_DIR/exec/ID that the runtime's shim opens.
//
// Our ends of stdout and stderr are opened for reading, without blocking, before the process is
// started; a read before the other side has opened its end would look like the end of the stream,
// therefore reading begins after the start. stdin is opened for both directions, which never
// blocks; its end is told to the runtime separately, because our own read end keeps the FIFO alive.
//
// read() waits for readiness and then reads without blocking: racing two real reads could lose the
// bytes of the one that is cancelled.
//
// Whoever lets go of the streams early (a detached exec, a client that went away) must not stop the
// process, which would block once the FIFO is full. So the destructor hands what is still open to
// `on_let_go`, and somebody who lives longer reads it to its end. On the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "core/model/result.hpp"
#include "daemon/agent/containers.hpp"
#include "daemon/agent/signal.hpp"
#include "daemon/drivers/runtime_driver.hpp"

namespace skep::agent {

// What is shared with whoever waits for the process: it may end before or after its streams.
struct ExecProgress {
  explicit ExecProgress(boost::asio::any_io_executor loop) : changed(loop) {}
  ExecState state;
  bool waiting = false;  // the runtime was asked how it ends
  Signal changed;
};

// The ends of a running process's streams that nobody reads any more.
struct ExecRemains {
  asio::posix::stream_descriptor out;
  asio::posix::stream_descriptor err;
  bool input_open = false;  // the process still waits for input that will not come
  std::string folder;       // of the FIFOs
};

// Reads both to their end, drops what it reads, and then removes the folder. Until then the folder
// stays: an agent that is started anew finds by it whom to read from.
asio::awaitable<void> discard_output(std::shared_ptr<ExecRemains> remains);

// The ends of what an earlier life of the agent left in `folder`; a closed one has no writer.
std::shared_ptr<ExecRemains> reopen_output(const boost::asio::any_io_executor& loop,
                                           std::string folder);

class FifoExecStreams final : public ExecStreams {
 public:
  using LetGo = std::function<void(std::shared_ptr<ExecRemains>)>;

  // Makes the FIFOs the config asks for and opens our ends. Errors: internal, with the reason.
  static Result<std::unique_ptr<FifoExecStreams>> make(boost::asio::any_io_executor loop,
                                                       drivers::RuntimeDriver& runtime,
                                                       std::string folder, std::string exec_id,
                                                       std::shared_ptr<ExecProgress> progress);
  ~FifoExecStreams() override;

  // Fills the FIFOs' paths in.
  void describe(drivers::ExecRequest* request) const;

  // From now on a process reads and writes the FIFOs. Called by the destructor, at most once.
  void when_let_go(LetGo on_let_go) { on_let_go_ = std::move(on_let_go); }

  asio::awaitable<std::optional<Chunk>> read() override;
  asio::awaitable<Status> write(std::string bytes) override;
  asio::awaitable<void> close_input() override;

 private:
  using Stream = asio::posix::stream_descriptor;

  FifoExecStreams(boost::asio::any_io_executor loop, drivers::RuntimeDriver& runtime,
                  std::string folder, std::string exec_id, std::shared_ptr<ExecProgress> progress);
  // What is there now; closes the stream at its end.
  std::optional<Chunk> read_now(Stream& stream, bool is_stderr);

  drivers::RuntimeDriver& runtime_;
  std::string folder_;
  std::string exec_id_;
  std::shared_ptr<ExecProgress> progress_;
  Stream in_;
  Stream out_;
  Stream err_;
  LetGo on_let_go_;
};

// The streams of a command that could not be started: one text, then the end.
class FailedExecStreams final : public ExecStreams {
 public:
  explicit FailedExecStreams(std::string reason) : reason_(std::move(reason)) {}
  asio::awaitable<std::optional<Chunk>> read() override;
  asio::awaitable<Status> write(std::string bytes) override;
  asio::awaitable<void> close_input() override;

 private:
  std::string reason_;
};

}  // namespace skep::agent
