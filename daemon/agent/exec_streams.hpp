// The byte streams of an exec, as FIFOs in RUN_DIR/exec/ID that the runtime's shim opens.
//
// Our ends of stdout and stderr are opened for reading, without blocking, before the process is
// started; a read before the other side has opened its end would look like the end of the stream,
// therefore reading begins after the start. stdin is opened for both directions, which never
// blocks; its end is told to the runtime separately, because our own read end keeps the FIFO alive.
//
// read() waits for readiness and then reads without blocking: racing two real reads could lose the
// bytes of the one that is cancelled. On the loop. SPDX-License-Identifier: Apache-2.0
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

class FifoExecStreams final : public ExecStreams {
 public:
  // Makes the FIFOs the config asks for and opens our ends. Errors: internal, with the reason.
  static Result<std::unique_ptr<FifoExecStreams>> make(boost::asio::any_io_executor loop,
                                                       drivers::RuntimeDriver& runtime,
                                                       std::string folder, std::string exec_id,
                                                       std::shared_ptr<ExecProgress> progress);
  ~FifoExecStreams() override;

  // Fills the FIFOs' paths in.
  void describe(drivers::ExecRequest* request) const;

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
