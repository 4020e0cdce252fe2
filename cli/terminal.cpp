// Raw mode and its restoration, with the only state a signal handler needs.
// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace skep::cli {
namespace {

// Process-wide because the terminal and the signal handlers are. Written before the handlers are
// set and after they are reset, so a handler never sees them half-written.
termios saved_settings;
volatile sig_atomic_t saved_file = -1;

constexpr size_t kLineBytesMax = 4096;  // of what a person types or pipes in

constexpr std::array<int, 4> kEndingSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

void restore_and_end(int signal) {
  if (saved_file >= 0) tcsetattr(saved_file, TCSADRAIN, &saved_settings);
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

bool is_terminal(int file) {
  return ::isatty(file) == 1;
}

std::optional<TerminalSize> terminal_size(int file) {
  winsize size{};
  if (::ioctl(file, TIOCGWINSZ, &size) != 0) return std::nullopt;
  return TerminalSize{.rows = size.ws_row, .columns = size.ws_col};
}

Result<RawMode> RawMode::enter(int file) {
  return change(file, [](termios* settings) { cfmakeraw(settings); });
}

Result<RawMode> RawMode::enter_silent(int file) {
  return change(file, [](termios* settings) { settings->c_lflag &= ~tcflag_t{ECHO}; });
}

Result<RawMode> RawMode::change(int file, void (*settings)(termios*)) {
  if (tcgetattr(file, &saved_settings) != 0) {
    return fail(ErrorKind::internal,
                std::string("cannot read the terminal's settings: ") + std::strerror(errno));
  }
  saved_file = file;
  for (const int signal : kEndingSignals) std::signal(signal, restore_and_end);
  RawMode mode;
  mode.active_ = true;
  termios wanted = saved_settings;
  settings(&wanted);
  if (tcsetattr(file, TCSADRAIN, &wanted) != 0) {
    return fail(ErrorKind::internal,
                std::string("cannot set the terminal's mode: ") + std::strerror(errno));
  }
  return mode;
}

Result<std::string> read_line(int file) {
  std::string line;
  char one = 0;
  while (line.size() < kLineBytesMax) {
    const ssize_t got = ::read(file, &one, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return fail(ErrorKind::internal, std::string("cannot read a line: ") + std::strerror(errno));
    }
    if (got == 0 || one == '\n') return line;
    line += one;
  }
  return fail(ErrorKind::invalid, "the line that was given is too long");
}

Result<std::string> read_hidden_line(int file, const std::string& prompt) {
  SKEP_TRY_ASSIGN(const RawMode silent, RawMode::enter_silent(file));
  std::fputs(prompt.c_str(), stderr);
  Result<std::string> line = read_line(file);
  std::fputs("\n", stderr);
  return line;
}

RawMode::RawMode(RawMode&& other) noexcept : active_(other.active_) {
  other.active_ = false;
}

RawMode::~RawMode() {
  if (!active_) return;
  tcsetattr(saved_file, TCSADRAIN, &saved_settings);
  for (const int signal : kEndingSignals) std::signal(signal, SIG_DFL);
  saved_file = -1;
}

Result<int> window_change_file() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGWINCH);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int file = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (file < 0) {
    return fail(ErrorKind::internal,
                std::string("cannot watch the terminal's size: ") + std::strerror(errno));
  }
  return file;
}

}  // namespace skep::cli
