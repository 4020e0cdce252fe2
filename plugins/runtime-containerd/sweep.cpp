// Now or later.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/sweep.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include "skep/cpp/driver.hpp"

namespace skep::containerd {

using sdk::Failure;

namespace {
constexpr std::chrono::seconds look_interval{1};
}  // namespace

Sweep::Sweep(std::function<void()> clean_up, std::function<bool()> answers,
             std::function<void(int, std::string)> log)
    : clean_up_(std::move(clean_up)), answers_(std::move(answers)), log_(std::move(log)) {}

Sweep::~Sweep() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void Sweep::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void Sweep::run() {
  try {
    return clean_up_();
  } catch (const Failure& failure) {
    if (failure.code() != SKEP_E_UNAVAILABLE) throw;
    log_(SKEP_LOG_WARNING,
         std::string("what nobody owns is removed when containerd answers again: ") +
             failure.what());
  }
  const std::lock_guard lock(mutex_);
  if (stopping_ || owed_) return;
  if (thread_.joinable()) thread_.join();  // of an earlier one; it has nothing left to do
  thread_ = std::thread([this] { keep_trying(); });
  owed_ = true;
}

void Sweep::keep_trying() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, look_interval, [this] { return stopping_; })) {
    lock.unlock();
    const bool over = answers_() && try_once();
    lock.lock();
    if (!over) continue;
    owed_ = false;
    return;
  }
}

bool Sweep::try_once() {
  try {
    clean_up_();
    log_(SKEP_LOG_INFO, "what nobody owned is removed");
  } catch (const Failure& failure) {
    if (failure.code() == SKEP_E_UNAVAILABLE) return false;
    log_(SKEP_LOG_ERROR, std::string("what nobody owns stays: ") + failure.what());
  } catch (const std::exception& other) {
    log_(SKEP_LOG_ERROR, std::string("what nobody owns stays: ") + other.what());
  }
  return true;
}

}  // namespace skep::containerd
