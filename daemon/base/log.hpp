// The daemon's log: one line, one level, the room it comes from. spdlog stands behind it, in one
// .cpp.
//
// Messages go to standard error, where the service manager or the playground keeps them. [any
// thread]
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/model/result.hpp"

namespace skep::base {

enum class LogLevel : uint8_t { debug, info, warning, error };

// "debug", "info", "warning" or "error".
void set_log_level(std::string_view level);

void log(LogLevel level, std::string_view room, std::string_view message);

inline void log_debug(std::string_view room, std::string_view m) {
  log(LogLevel::debug, room, m);
}
inline void log_info(std::string_view room, std::string_view m) {
  log(LogLevel::info, room, m);
}
inline void log_warning(std::string_view room, std::string_view m) {
  log(LogLevel::warning, room, m);
}
inline void log_error(std::string_view room, std::string_view m) {
  log(LogLevel::error, room, m);
}

}  // namespace skep::base
