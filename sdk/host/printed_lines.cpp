// Lines out of pieces.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/printed_lines.hpp"

#include <utility>

#include "sdk/host/helper.hpp"
#include "sdk/host/utf8.hpp"

namespace skep::host {
namespace {

constexpr uint32_t lines_per_second_max = 1000;

}  // namespace

void PrintedLines::take(std::string_view piece) {
  while (!piece.empty()) {
    const size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    // A longer line is cut, not kept: its rest is of no use without its beginning.
    begun_.append(part.substr(0, log_line_max - std::min(begun_.size(), log_line_max)));
    if (end == std::string_view::npos) return;
    print(std::exchange(begun_, {}));
    piece.remove_prefix(end + 1);
  }
}

void PrintedLines::end() {
  if (!begun_.empty()) print(std::exchange(begun_, {}));
  tell_dropped();
}

void PrintedLines::print(std::string_view line) {
  const auto now = std::chrono::steady_clock::now();
  if (now - second_begin_ >= std::chrono::seconds(1)) {
    tell_dropped();
    second_begin_ = now;
    in_second_ = 0;
  }
  if (++in_second_ > lines_per_second_max) {
    ++dropped_;
  } else {
    events_.printed(readable(line, log_line_max));
  }
}

void PrintedLines::tell_dropped() {
  if (dropped_ == 0) return;
  events_.printed("(" + std::to_string(std::exchange(dropped_, 0)) +
                  " further lines were dropped: it printed more than " +
                  std::to_string(lines_per_second_max) + " in a second)");
}

}  // namespace skep::host
