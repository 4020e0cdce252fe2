// A copy of the daemon's logger with its level taken off.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/plugin_log.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

#include "skep/abi.h"

namespace skep::drivers {
namespace {

constexpr size_t log_line_max = 8u << 10;  // bytes
constexpr uint32_t lines_per_second_max = 1000;
constexpr std::array<std::string_view, 4> words = {"debug", "info", "warning", "error"};

}  // namespace

Result<int32_t> log_level_of(std::string_view word) {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) {
    return fail(ErrorKind::invalid,
                "a log level is debug, info, warning or error, not '" + std::string(word) + "'");
  }
  return static_cast<int32_t>(found - words.begin());
}

std::string_view log_level_word(int32_t level) {
  return words.at(static_cast<size_t>(std::clamp(level, SKEP_LOG_DEBUG, SKEP_LOG_ERROR)));
}

PluginLog::PluginLog(std::string name, int32_t level)
    : name_(std::move(name)), level_(level), logger_(spdlog::default_logger()->clone("plugin")) {
  logger_->set_level(spdlog::level::trace);
}

PluginLog::~PluginLog() = default;

bool PluginLog::admits(uint64_t& dropped) const {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - second_begin_ >= std::chrono::seconds(1)) {
    second_begin_ = now;
    in_second_ = 0;
  }
  if (in_second_ >= lines_per_second_max) {
    ++dropped_;
    return false;
  }
  ++in_second_;
  dropped = std::exchange(dropped_, 0);
  return true;
}

void PluginLog::line(uint64_t number, int32_t level, std::string_view message) const {
  if (level < level_) return;
  uint64_t dropped = 0;
  if (!admits(dropped)) return;
  if (dropped > 0) {
    logger_->warn("plugin {}: ({} further lines were dropped: more than {} came in a second)",
                  name_, dropped, lines_per_second_max);
  }
  spdlog::level::level_enum at = spdlog::level::err;
  if (level <= SKEP_LOG_DEBUG) at = spdlog::level::debug;
  if (level == SKEP_LOG_INFO) at = spdlog::level::info;
  if (level == SKEP_LOG_WARNING) at = spdlog::level::warn;
  const std::string tag = number == 0 ? name_ : fmt::format("{} [op {}]", name_, number);
  logger_->log(at, "plugin {}: {}", tag, message.substr(0, log_line_max));
}

void PluginLog::misbehaves(uint64_t number, std::string_view how) const {
  line(number, SKEP_LOG_ERROR, fmt::format("plugin misbehaving: {}", how));
}

}  // namespace skep::drivers
