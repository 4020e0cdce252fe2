// FIFOs and readiness.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/exec_streams.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/agent/container_files.hpp"

namespace skep::agent {

using namespace asio::experimental::awaitable_operators;

namespace {

constexpr size_t kChunk = size_t{32} << 10;
constexpr mode_t kFifoMode = 0600;

Status open_fifo(const std::string& path, int flags, asio::posix::stream_descriptor* stream) {
  if (mkfifo(path.c_str(), kFifoMode) != 0) {
    return fail(ErrorKind::internal, "can't make " + path + ": " + std::strerror(errno));
  }
  const int fd = open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return fail(ErrorKind::internal, "can't open " + path + ": " + std::strerror(errno));
  stream->assign(fd);
  stream->non_blocking(true);
  return {};
}

}  // namespace

FifoExecStreams::FifoExecStreams(asio::any_io_executor loop, drivers::RuntimeDriver& runtime,
                                 std::string folder, std::string exec_id,
                                 std::shared_ptr<ExecProgress> progress)
    : runtime_(runtime),
      folder_(std::move(folder)),
      exec_id_(std::move(exec_id)),
      progress_(std::move(progress)),
      in_(loop),
      out_(loop),
      err_(loop) {}

Result<std::unique_ptr<FifoExecStreams>> FifoExecStreams::make(
    asio::any_io_executor loop, drivers::RuntimeDriver& runtime, std::string folder,
    std::string exec_id, std::shared_ptr<ExecProgress> progress) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorKind::internal, "can't make " + folder + ": " + error.message());
  const ExecConfig& config = progress->state.config;
  const bool wants_in = config.attach_stdin;
  // A terminal has one stream, which must lead somewhere; otherwise what isn't attached is not even
  // made.
  const bool wants_out = config.attach_stdout || config.tty;
  const bool wants_err = config.attach_stderr && !config.tty;
  std::unique_ptr<FifoExecStreams> streams(new FifoExecStreams(
      loop, runtime, std::move(folder), std::move(exec_id), std::move(progress)));
  if (wants_in) SKEP_TRY(open_fifo(streams->folder_ + "/stdin", O_RDWR, &streams->in_));
  if (wants_out) SKEP_TRY(open_fifo(streams->folder_ + "/stdout", O_RDONLY, &streams->out_));
  if (wants_err) SKEP_TRY(open_fifo(streams->folder_ + "/stderr", O_RDONLY, &streams->err_));
  return streams;
}

FifoExecStreams::~FifoExecStreams() {
  if (on_let_go_ && (in_.is_open() || out_.is_open() || err_.is_open())) {
    const bool input_open = in_.is_open();
    on_let_go_(std::make_shared<ExecRemains>(
        ExecRemains{std::move(out_), std::move(err_), input_open, folder_}));
    return;
  }
  // A folder that can't be removed is removed at the next start of the agent.
  static_cast<void>(remove_folder(folder_).has_value());
}

void FifoExecStreams::describe(drivers::ExecRequest* request) const {
  if (in_.is_open()) request->stdin_fifo = folder_ + "/stdin";
  if (out_.is_open()) request->stdout_fifo = folder_ + "/stdout";
  if (err_.is_open()) request->stderr_fifo = folder_ + "/stderr";
}

std::optional<ExecStreams::Chunk> FifoExecStreams::read_now(Stream& stream, bool is_stderr) {
  if (!stream.is_open()) return std::nullopt;
  std::array<char, kChunk> bytes;
  const ssize_t count = ::read(stream.native_handle(), bytes.data(), bytes.size());
  if (count > 0) {
    Chunk chunk;
    chunk.is_stderr = is_stderr;
    chunk.bytes.assign(bytes.data(), static_cast<size_t>(count));
    return chunk;
  }
  const bool later = count < 0 && (errno == EAGAIN || errno == EINTR);
  boost::system::error_code ignored;  // closing a FIFO has nothing to report
  if (!later) stream.close(ignored);
  return std::nullopt;
}

namespace {

asio::awaitable<void> discard(asio::posix::stream_descriptor& stream) {
  std::array<char, kChunk> bytes;
  while (stream.is_open()) {
    // Before each read, so that a process that never stops talking leaves the loop to others.
    co_await stream.async_wait(asio::posix::stream_descriptor::wait_read,
                               asio::as_tuple(asio::use_awaitable));
    const ssize_t count = ::read(stream.native_handle(), bytes.data(), bytes.size());
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) co_return;
  }
}

}  // namespace

asio::awaitable<void> discard_output(std::shared_ptr<ExecRemains> remains) {
  co_await (discard(remains->out) && discard(remains->err));
  static_cast<void>(remove_folder(remains->folder).has_value());  // else at the next start
}

namespace {

void reopen_fifo(const std::string& path, asio::posix::stream_descriptor* stream) {
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return;  // was not asked for
  // One whose writer went before we came never becomes readable: only a read shows its end.
  std::array<char, kChunk> bytes;
  if (::read(fd, bytes.data(), bytes.size()) == 0) {
    close(fd);
    return;
  }
  stream->assign(fd);
  stream->non_blocking(true);
}

}  // namespace

std::shared_ptr<ExecRemains> reopen_output(const asio::any_io_executor& loop, std::string folder) {
  auto remains = std::make_shared<ExecRemains>(ExecRemains{asio::posix::stream_descriptor(loop),
                                                           asio::posix::stream_descriptor(loop),
                                                           false, std::move(folder)});
  reopen_fifo(remains->folder + "/stdout", &remains->out);
  reopen_fifo(remains->folder + "/stderr", &remains->err);
  return remains;
}

asio::awaitable<std::optional<ExecStreams::Chunk>> FifoExecStreams::read() {
  constexpr auto ready = Stream::wait_read;
  const auto quiet = asio::as_tuple(asio::use_awaitable);
  while (true) {
    std::optional<Chunk> chunk = read_now(out_, /*is_stderr=*/false);
    if (!chunk) chunk = read_now(err_, /*is_stderr=*/true);
    if (chunk) co_return chunk;
    if (out_.is_open() && err_.is_open()) {
      co_await (out_.async_wait(ready, quiet) || err_.async_wait(ready, quiet));
    } else if (out_.is_open()) {
      co_await out_.async_wait(ready, quiet);
    } else if (err_.is_open()) {
      co_await err_.async_wait(ready, quiet);
    } else {
      break;
    }
  }
  // The exit code must be known before the streams end.
  while (progress_->waiting) co_await progress_->changed.changed();
  co_return std::nullopt;
}

asio::awaitable<Status> FifoExecStreams::write(std::string bytes) {
  if (!in_.is_open()) co_return Status();  // not attached, or closed: the input is discarded
  const auto [error, count] =
      co_await asio::async_write(in_, asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
  if (error) co_return fail(ErrorKind::internal, "writing to the process: " + error.message());
  co_return Status();
}

asio::awaitable<void> FifoExecStreams::close_input() {
  if (!in_.is_open()) co_return;
  boost::system::error_code ignored;
  in_.close(ignored);
  const std::string container = progress_->state.config.container_id;
  // The process may have ended meanwhile: then there is no input to close.
  const Status closed = co_await runtime_.exec_close_stdin(container, exec_id_);
  static_cast<void>(closed.has_value());
}

asio::awaitable<std::optional<ExecStreams::Chunk>> FailedExecStreams::read() {
  if (reason_.empty()) co_return std::nullopt;
  Chunk chunk;
  chunk.is_stderr = true;
  chunk.bytes = std::exchange(reason_, {});
  co_return chunk;
}

asio::awaitable<Status> FailedExecStreams::write(std::string) {
  co_return Status();
}

asio::awaitable<void> FailedExecStreams::close_input() {
  co_return;
}

}  // namespace skep::agent
