// What a process prints, cut into lines, and no more of them than a log can bear.
//
// Nothing here stops the process from printing: what is too much is read and counted, because a
// driver that waits for its own standard error would hang for a reason that nobody finds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace skep::host {

class HelperEvents;

class PrintedLines {
 public:
  // `events` gets the lines, by printed().
  explicit PrintedLines(HelperEvents& events) : events_(events) {}

  // Takes a piece of output, which may begin and end anywhere.
  void take(std::string_view piece);
  // There will be no more: the line without an end is one too.
  void end();

 private:
  void print(std::string_view line);
  void tell_dropped();

  HelperEvents& events_;
  std::string begun_;  // a line whose end has not come
  std::chrono::steady_clock::time_point second_begin_{};
  uint32_t in_second_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace skep::host
