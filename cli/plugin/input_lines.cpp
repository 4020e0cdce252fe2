// poll over the input and a signalfd.
// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/input_lines.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace skep::cli {
namespace {

constexpr size_t kLineBytesMax = 2u << 20;  // a request has at most half of it

}  // namespace

Result<InputLines> InputLines::on(int descriptor) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int file = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (file < 0) {
    return fail(ErrorKind::internal, std::string("cannot hear Ctrl-C: ") + std::strerror(errno));
  }
  return InputLines(descriptor, file);
}

InputLines::InputLines(InputLines&& other) noexcept
    : descriptor_(other.descriptor_),
      signals_(std::exchange(other.signals_, -1)),
      buffer_(std::move(other.buffer_)),
      text_(std::move(other.text_)),
      ended_(other.ended_) {}

InputLines::~InputLines() {
  if (signals_ >= 0) ::close(signals_);
}

bool InputLines::take_line() {
  const size_t end = buffer_.find('\n');
  if (end == std::string::npos && (!ended_ || buffer_.empty())) return false;
  text_ = buffer_.substr(0, end);
  buffer_.erase(0, end == std::string::npos ? end : end + 1);
  return true;
}

bool InputLines::interrupted() {
  signalfd_siginfo told{};
  return ::read(signals_, &told, sizeof told) == sizeof told;
}

Result<Heard> InputLines::next(int patience_ms) {
  if (take_line()) return Heard::line;
  std::array<pollfd, 2> files = {pollfd{signals_, POLLIN, 0}, pollfd{descriptor_, POLLIN, 0}};
  // After its end a pipe is readable for ever: only the signals are worth waiting for.
  if (::poll(files.data(), ended_ ? 1 : 2, patience_ms) <= 0) {
    return ended_ ? Heard::end : Heard::nothing;
  }
  if (files[0].revents != 0 && interrupted()) return Heard::interrupt;
  if (ended_) return Heard::end;
  if (files[1].revents == 0) return Heard::nothing;
  std::array<char, 65536> bytes{};
  const ssize_t count = ::read(descriptor_, bytes.data(), bytes.size());
  if (count < 0 && errno == EINTR) return Heard::nothing;
  if (count < 0) {
    return fail(ErrorKind::internal, std::string("cannot read the input: ") + std::strerror(errno));
  }
  ended_ = count == 0;
  buffer_.append(bytes.data(), static_cast<size_t>(count));
  if (take_line()) return Heard::line;
  if (buffer_.size() > kLineBytesMax) return fail(ErrorKind::invalid, "a line over 2 MiB");
  return ended_ ? Heard::end : Heard::nothing;
}

}  // namespace skep::cli
