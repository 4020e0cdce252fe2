// Held operations. The host's functions are called with the operation's own lock held, so that an
// item can never follow the end; they only copy and return. The abandon action runs without it.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/pending.hpp"

#include <ctime>

namespace skep::containerd {

namespace {
int64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}
}  // namespace

void Held::reply(const sdk::json& document) {
  const std::lock_guard lock(mutex_);
  if (call_) call_->reply(document);
  call_.reset();
}

void Held::fail(int code, std::string_view message) {
  const std::lock_guard lock(mutex_);
  if (call_) call_->fail(code, message);
  call_.reset();
}

void Held::fail(const RpcStatus& status) {
  try {
    throw_if_failed(status);
    fail(SKEP_E_INTERNAL, "an operation failed without a reason");
  } catch (const sdk::Failure& failure) {
    fail(failure.code(), failure.what());
  }
}

void Held::emit(const sdk::json& item) {
  const std::lock_guard lock(mutex_);
  if (call_) call_->emit(item);
}

bool Held::finished() const {
  const std::lock_guard lock(mutex_);
  return !call_;
}

std::optional<int64_t> Held::remaining_ms() const {
  const std::lock_guard lock(mutex_);
  const int64_t deadline = call_ ? call_->deadline_ms() : -1;
  if (deadline < 0) return std::nullopt;
  return std::max<int64_t>(deadline - monotonic_ms(), 0);
}

bool Held::check() {
  std::function<void()> action;
  {
    const std::lock_guard lock(mutex_);
    if (!call_) return true;
    const int64_t deadline = call_->deadline_ms();
    if (call_->cancelled()) {
      call_->fail(SKEP_E_CANCELLED, "cancelled by the host");
    } else if (deadline >= 0 && deadline <= monotonic_ms()) {
      call_->fail(SKEP_E_DEADLINE, "ran out of time");
    } else {
      return false;
    }
    call_.reset();
    action = std::exchange(abandon_, nullptr);
  }
  if (action) action();
  return true;
}

void Held::on_abandon(std::function<void()> action) {
  const std::lock_guard lock(mutex_);
  abandon_ = std::move(action);
}

HeldPtr HeldSet::add(sdk::Call call) {
  auto held = std::make_shared<Held>(std::move(call));
  const std::lock_guard lock(mutex_);
  held_.push_back(held);
  return held;
}

void HeldSet::check_all() {
  std::list<HeldPtr> now;
  {
    const std::lock_guard lock(mutex_);
    now = held_;
  }
  for (const HeldPtr& held : now) held->check();
  const std::lock_guard lock(mutex_);
  held_.remove_if([](const HeldPtr& held) { return held->finished(); });
}

void HeldSet::abandon_all(std::string_view reason) {
  std::list<HeldPtr> now;
  {
    const std::lock_guard lock(mutex_);
    now.swap(held_);
  }
  for (const HeldPtr& held : now) held->fail(SKEP_E_CANCELLED, reason);
}

}  // namespace skep::containerd
