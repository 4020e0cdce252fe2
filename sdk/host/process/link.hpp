// The helper's memory of what its host asked for, and the driver's voice to it.
//
// Every number the host gave is kept here until the driver has completed it. So a driver that
// completes twice, too late, or a number that nobody gave, is found out in its own process, and the
// host hears of it as a line of the log.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sdk/host/instance.hpp"
#include "sdk/host/process/output.hpp"

namespace skep::host {

// [any thread] Lives as long as the process.
class HostLink : public Listener {
 public:
  HostLink(Output& output, int32_t level) : output_(output), log_level_(level) {}

  // The host has asked for `number`.
  void begin(uint64_t number, int64_t deadline_ms);
  // The driver is about to be called with it; false when the host has cancelled it meanwhile.
  bool start(uint64_t number);
  // The host no longer wants it; true when the driver has it and should be told.
  bool cancel(uint64_t number);
  // The same for all; those that the driver has.
  std::vector<uint64_t> cancel_all();
  // Ends one that the driver never had; nothing when it has ended already.
  void refuse(uint64_t number);
  // The host has read so many items of it.
  void taken(uint64_t number, int64_t count);
  void set_log_level(int32_t level) { log_level_ = level; }
  // Until nothing is in flight and every end is on its way to the host.
  void wait_until_idle();

  void completed(uint64_t number, skep_status status, std::string_view reply,
                 std::string_view error) override;
  bool emitted(uint64_t number, std::string_view item) override;
  bool cancelled(uint64_t number) override;
  int64_t deadline_ms(uint64_t number) override;
  void logged(uint64_t number, int32_t level, std::string_view message) override;
  int32_t log_level() override { return log_level_; }
  void metric(std::string_view name, int64_t value, bool set) override;

 private:
  // False when there is none such (any more).
  bool end(uint64_t number, skep_status status, std::string_view reply, std::string_view error);

  struct InFlight {
    int64_t deadline_ms = no_deadline;
    int64_t unread = 0;  // items that the host has not read yet
    bool started = false;
    bool cancelled = false;
  };

  Output& output_;
  std::atomic<int32_t> log_level_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::unordered_map<uint64_t, InFlight> in_flight_;
  size_t leaving_ = 0;  // ends that are being sent
};

}  // namespace skep::host
