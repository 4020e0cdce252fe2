// The person's terminal: raw or silent mode that is always undone, its size, and news of a changed
// size.
//
// RawMode restores the terminal when it is destroyed and also when the process is ended by SIGINT,
// SIGTERM, SIGHUP or SIGQUIT: the handlers put the saved settings back, then let the signal do its
// work. One RawMode at a time, because a signal handler can only reach one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/model/result.hpp"

struct termios;

namespace skep::cli {

struct TerminalSize {
  uint16_t rows = 0;
  uint16_t columns = 0;
  bool operator==(const TerminalSize&) const = default;
};

bool is_terminal(int file);
std::optional<TerminalSize> terminal_size(int file);

// Up to the end of the line or of the file, byte by byte: what follows stays unread. Errors:
// invalid if it is over 4 KiB.
Result<std::string> read_line(int file);

// Asks on standard error and reads one line from `file`, a terminal, without showing it.
Result<std::string> read_hidden_line(int file, const std::string& prompt);

class RawMode {
 public:
  // Takes `file` (a terminal) to raw mode.
  static Result<RawMode> enter(int file);
  // Leaves all as it is, but what is typed is not shown.
  static Result<RawMode> enter_silent(int file);
  RawMode(RawMode&& other) noexcept;
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  ~RawMode();

 private:
  RawMode() = default;
  static Result<RawMode> change(int file, void (*settings)(termios*));
  bool active_ = false;
};

// Makes SIGWINCH readable: returns a file that becomes readable after each change of size. Blocks
// the signal for the process. The caller closes the file.
Result<int> window_change_file();

}  // namespace skep::cli
