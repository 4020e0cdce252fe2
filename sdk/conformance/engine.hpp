// Where a driver lives while a case talks to it, and the book of what it said.
//
// The Ledger is written by whoever hears the driver (the helper's events on the case's thread, or
// the driver's own threads in-process) and read by the Driver; it lives as long as the process,
// because a driver in-process may call late. An Engine only carries calls; it judges nothing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "sdk/conformance/driver.hpp"

namespace skep::conformance {

using Clock = std::chrono::steady_clock;

struct Entry {
  const host::Operation* operation = nullptr;
  std::string request;
  Clock::time_point begun;
  Clock::time_point patience;
  int64_t deadline_ms = host::no_deadline;  // CLOCK_MONOTONIC
  bool cancelled = false;
  bool ended = false;
  Clock::time_point end;
  skep_status status = SKEP_E_INTERNAL;
  std::string reply;
  std::string error;
  std::deque<std::string> items;
};

// The book of one instance. [any thread]
class Ledger {
 public:
  uint64_t open(Entry entry);
  void completed(uint64_t number, skep_status status, std::string_view reply,
                 std::string_view error);
  void emitted(uint64_t number, std::string_view item);
  void logged(uint64_t number, int32_t level, std::string_view message);
  void metric(std::string_view name, int64_t value, bool set);
  // The helper is gone: ends all that is open with PLUGIN_LOST.
  void lost(std::string_view how);
  // The instance is destroyed: whatever comes now is a finding.
  void close();

  // `read` sees the book while nobody writes.
  template <class Function>
  auto with(Function&& read) {
    const std::lock_guard lock(mutex_);
    return read(*this);
  }
  // Waits on the book until `done(book)`, for engines whose driver has threads of its own.
  bool wait_until(const std::function<bool()>& done, Clock::time_point until);

  // Read and written under with() alone.
  std::map<uint64_t, Entry> entries;
  std::vector<LogLine> lines;
  std::map<std::string, int64_t> metrics;
  std::vector<Observation> seen;
  std::optional<std::string> how_lost;
  int32_t log_level = SKEP_LOG_DEBUG;

 private:
  void note(int rule, std::string text) { seen.push_back({rule, std::move(text)}); }

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t last_ = 0;
  bool closed_ = false;
};

struct Loaded {
  std::vector<const host::Operation*> present;
  std::string config_schema;
  std::string options_schema;
  uint32_t flags = 0;
  pid_t pid = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual void call(const host::Operation& operation, uint64_t number, std::string_view key,
                    int64_t deadline_ms, std::string_view request) = 0;
  virtual void cancel(uint64_t number) = 0;
  virtual void set_log_level(int32_t level) = 0;
  // Waits until `done()`, which is asked with the ledger held; false when the time is over.
  virtual bool wait_until(const std::function<bool()>& done, Clock::time_point until) = 0;
  // Ends the instance in good order; false when it would not end and was given up or killed.
  virtual bool end() = 0;
  virtual void kill() = 0;
  const Loaded& loaded() const { return loaded_; }

 protected:
  Loaded loaded_;
};

// Both start an instance and wait until it stands. `ledger` lives as long as the process.
Result<std::unique_ptr<Engine>> start_helper(const Plugin& plugin, const LoadOptions& options,
                                             Ledger& ledger);
Result<std::unique_ptr<Engine>> start_here(const Plugin& plugin, const LoadOptions& options,
                                           Ledger& ledger);

int64_t monotonic_ms();
// What dlopen is given: the path itself for a debugger, else the sealed copy.
host::CheckedFile::LoadBy load_by(bool debug);

}  // namespace skep::conformance
