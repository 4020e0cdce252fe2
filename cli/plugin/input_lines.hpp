// Lines from a terminal or a pipe for somebody who has other things to look at meanwhile.
//
// Waits for at most a given time, and hears Ctrl-C as an event instead of an end: SIGINT is blocked
// for this thread and those it starts, so a driver in this process, or a helper that inherits the
// mask, is not ended by it either.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/model/result.hpp"

namespace skep::cli {

enum class Heard : uint8_t { nothing, line, interrupt, end };

class InputLines {
 public:
  // `descriptor` stays the caller's. Requires that no other thread runs yet.
  static Result<InputLines> on(int descriptor);
  InputLines(InputLines&& other) noexcept;
  InputLines(const InputLines&) = delete;
  InputLines& operator=(const InputLines&) = delete;
  ~InputLines();

  // Waits for up to `patience_ms`; with `line`, `text()` is it, without its end. A last line
  // without one counts; then `end` for ever. Errors: a line over 2 MiB.
  Result<Heard> next(int patience_ms);
  const std::string& text() const { return text_; }
  // Whether Ctrl-C came; leaves the lines for later.
  bool interrupted();

 private:
  InputLines(int descriptor, int signals) : descriptor_(descriptor), signals_(signals) {}
  bool take_line();

  int descriptor_;
  int signals_;
  std::string buffer_;
  std::string text_;
  bool ended_ = false;
};

}  // namespace skep::cli
