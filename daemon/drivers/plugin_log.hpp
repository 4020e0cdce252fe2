// What a plugin says, in the daemon's log: one line each, tagged with the plugin and, when it
// belongs to one, the operation.
//
// The level is the plugin's own and may be changed at any moment; it stands above the daemon's, so
// that one driver can be heard at "debug" while the rest stays quiet. Lines below it are dropped
// here, also when the driver sends them regardless; so are all beyond a thousand in a second, which
// one line tells with the next that comes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "core/model/result.hpp"

namespace spdlog {
class logger;
}

namespace skep::drivers {

// SKEP_LOG_* of "debug", "info", "warning" or "error"; invalid for any other word.
Result<int32_t> log_level_of(std::string_view word);
std::string_view log_level_word(int32_t level);

class PluginLog {
 public:
  PluginLog(std::string name, int32_t level);
  ~PluginLog();
  PluginLog(const PluginLog&) = delete;
  PluginLog& operator=(const PluginLog&) = delete;

  // [any thread], all of them. `number` 0: of no operation.
  void line(uint64_t number, int32_t level, std::string_view message) const;
  void misbehaves(uint64_t number, std::string_view how) const;
  int32_t level() const { return level_; }
  void set_level(int32_t level) { level_ = level; }
  const std::string& name() const { return name_; }

 private:
  // Whether another line is taken; `dropped` are those before it that were not.
  bool admits(uint64_t& dropped) const;

  const std::string name_;
  std::atomic<int32_t> level_;
  const std::shared_ptr<spdlog::logger> logger_;  // the daemon's sinks, but no level of its own
  mutable std::mutex mutex_;
  // Under the mutex.
  mutable std::chrono::steady_clock::time_point second_begin_;
  mutable uint32_t in_second_ = 0;
  mutable uint64_t dropped_ = 0;
};

}  // namespace skep::drivers
