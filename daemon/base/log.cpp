// The only translation unit of this room that knows spdlog.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/base/log.hpp"

#include <spdlog/spdlog.h>

namespace skep::base {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void set_log_level(std::string_view level) {
  spdlog::set_level(spdlog::level::from_str(std::string(level)));
}

void log(LogLevel level, std::string_view room, std::string_view message) {
  spdlog::log(to_spdlog(level), "[{}] {}", room, message);
}

}  // namespace skep::base
