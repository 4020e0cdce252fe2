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
#include <iostream>

namespace skep::cli {
namespace {

// Process-wide because the terminal and the signal handlers are. Written before the handlers are
// set and after they are reset, so a handler never sees them half-written.
termios saved_settings;
volatile sig_atomic_t saved_file = -1;

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
  if (tcgetattr(file, &saved_settings) != 0) {
    return fail(ErrorKind::internal,
                std::string("cannot read the terminal's settings: ") + std::strerror(errno));
  }
  saved_file = file;
  for (const int signal : kEndingSignals) std::signal(signal, restore_and_end);
  RawMode mode;
  mode.active_ = true;
  termios raw = saved_settings;
  cfmakeraw(&raw);
  if (tcsetattr(file, TCSADRAIN, &raw) != 0) {
    return fail(ErrorKind::internal,
                std::string("cannot set the terminal to raw mode: ") + std::strerror(errno));
  }
  return mode;
}

Result<std::string> read_hidden_line(const std::string& prompt) {
  if (tcgetattr(STDIN_FILENO, &saved_settings) != 0) {
    return fail(ErrorKind::internal,
                std::string("cannot read the terminal's settings: ") + std::strerror(errno));
  }
  saved_file = STDIN_FILENO;
  for (const int signal : kEndingSignals) std::signal(signal, restore_and_end);
  termios silent = saved_settings;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  std::fputs(prompt.c_str(), stderr);
  std::string line;
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  std::fputs("\n", stderr);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_settings);
  for (const int signal : kEndingSignals) std::signal(signal, SIG_DFL);
  saved_file = -1;
  if (!read) return fail(ErrorKind::cancelled, "nothing was entered");
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
