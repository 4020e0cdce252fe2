// What a plugin says, in the daemon's log: one line each, tagged with the plugin and, when it
// belongs to one, the operation.
//
// The level is the plugin's own and may be changed at any moment; it stands above the daemon's, so
// that one driver can be heard at "debug" while the rest stays quiet. Lines below it are dropped
// here, also when the driver sends them regardless.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
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
  const std::string name_;
  std::atomic<int32_t> level_;
  const std::shared_ptr<spdlog::logger> logger_;  // the daemon's sinks, but no level of its own
};

}  // namespace skep::drivers
