// The map of numbers, and frames made of what the driver says.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/process/link.hpp"

#include <string>

namespace skep::host {
namespace {

constexpr int64_t items_unread_max = 256;  // of one stream, before its driver is asked to pause

std::string misbehaving(uint64_t number, const char* what) {
  return "plugin misbehaving: operation " + std::to_string(number) + " " + what;
}

}  // namespace

void HostLink::begin(uint64_t number, int64_t deadline) {
  const std::lock_guard lock(mutex_);
  in_flight_[number].deadline_ms = deadline;
}

bool HostLink::start(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = in_flight_.find(number);
  if (found == in_flight_.end() || found->second.cancelled) return false;
  found->second.started = true;
  return true;
}

bool HostLink::cancel(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = in_flight_.find(number);
  if (found == in_flight_.end()) return false;
  found->second.cancelled = true;
  return found->second.started;
}

std::vector<uint64_t> HostLink::cancel_all() {
  const std::lock_guard lock(mutex_);
  std::vector<uint64_t> started;
  for (auto& [number, operation] : in_flight_) {
    operation.cancelled = true;
    if (operation.started) started.push_back(number);
  }
  return started;
}

void HostLink::taken(uint64_t number, int64_t count) {
  const std::lock_guard lock(mutex_);
  const auto found = in_flight_.find(number);
  if (found != in_flight_.end()) found->second.unread -= count;
}

void HostLink::wait_until_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return in_flight_.empty() && leaving_ == 0; });
}

void HostLink::completed(uint64_t number, skep_status status, std::string_view reply,
                         std::string_view error) {
  if (end(number, status, reply, error)) return;
  logged(number, SKEP_LOG_ERROR,
         misbehaving(number, "was completed more than once, or never given to it"));
}

void HostLink::refuse(uint64_t number) {
  end(number, SKEP_E_CANCELLED, {}, "nobody waits for this call any more");
}

bool HostLink::end(uint64_t number, skep_status status, std::string_view reply,
                   std::string_view error) {
  {
    const std::lock_guard lock(mutex_);
    if (in_flight_.erase(number) == 0) return false;
    ++leaving_;
  }
  FrameHead head;
  head.kind = FrameKind::reply;
  head.number = number;
  head.code = status;
  output_.send(head, reply, error);
  const std::lock_guard lock(mutex_);
  if (--leaving_ == 0 && in_flight_.empty()) idle_.notify_all();
  return true;
}

bool HostLink::emitted(uint64_t number, std::string_view item) {
  bool pause = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = in_flight_.find(number);
    if (found == in_flight_.end()) {
      logged(number, SKEP_LOG_ERROR, misbehaving(number, "has ended, and yet an item came for it"));
      return true;
    }
    pause = ++found->second.unread > items_unread_max;
  }
  FrameHead head;
  head.kind = FrameKind::item;
  head.number = number;
  output_.send(head, {}, item);
  return pause;
}

bool HostLink::cancelled(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = in_flight_.find(number);
  return found == in_flight_.end() || found->second.cancelled;
}

int64_t HostLink::deadline_ms(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = in_flight_.find(number);
  return found == in_flight_.end() ? no_deadline : found->second.deadline_ms;
}

void HostLink::logged(uint64_t number, int32_t level, std::string_view message) {
  output_.log(number, level, message);
}

void HostLink::metric(std::string_view name, int64_t value, bool set) {
  output_.figure(name, value, set);
}

}  // namespace skep::host
