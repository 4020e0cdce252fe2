// A Listener that writes down what a driver said, for tests that look at it afterwards.
//
// Made with `new` and kept for ever, as the contract with Instance wants it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/host/instance.hpp"
#include "sdk/host/note.hpp"

namespace skep::test {

// The file of a fake driver; an absolute path stays what it is.
inline std::string fake_plugin(const std::string& name) {
  if (name.starts_with('/')) return name;
  return std::string(SKEP_TEST_PLUGINS) + "/" + name + ".so";
}

struct End {
  uint64_t number = 0;
  skep_status status = SKEP_PENDING;
  std::string reply;
  std::string error;
};

class Recorder : public host::Listener {
 public:
  void completed(uint64_t number, skep_status status, std::string_view reply,
                 std::string_view error) override {
    const std::lock_guard lock(mutex_);
    ends_.push_back({number, status, std::string(reply), std::string(error)});
    changed_.notify_all();
  }
  bool emitted(uint64_t, std::string_view item) override {
    const std::lock_guard lock(mutex_);
    items_.emplace_back(item);
    return items_.size() >= 100;
  }
  bool cancelled(uint64_t) override { return false; }
  int64_t deadline_ms(uint64_t number) override { return static_cast<int64_t>(number) * 1000; }
  void logged(uint64_t number, int32_t level, std::string_view message) override {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::to_string(number) + "/" + std::to_string(level) + " " +
                     std::string(message));
  }
  int32_t log_level() override { return SKEP_LOG_INFO; }
  void metric(std::string_view name, int64_t value, bool set) override {
    const std::lock_guard lock(mutex_);
    int64_t& figure = figures_[std::string(name)];
    figure = set ? value : figure + value;
  }

  // Waits until `count` operations have ended, at most 10 s; gives all that have.
  std::vector<End> ends(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return ends_.size() >= count; });
    return ends_;
  }
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  std::map<std::string, int64_t> figures() {
    const std::lock_guard lock(mutex_);
    return figures_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<End> ends_;
  std::vector<std::string> items_;
  std::vector<std::string> lines_;
  std::map<std::string, int64_t> figures_;
};

}  // namespace skep::test
