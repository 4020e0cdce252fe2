// Operations of the host that the driver holds open: waits and streams. The ABI has no cancel
// callback; it is to be asked, so one timer asks for all of them. A held operation ends exactly
// once, whoever comes first: its result, the host's cancellation, its deadline, or the end of the
// driver.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "runtime-containerd/rpc.hpp"
#include "skep/cpp/driver.hpp"

namespace skep::containerd {

// [any-thread]
class Held {
 public:
  explicit Held(sdk::Call call) : call_(std::move(call)) {}
  void reply(const sdk::json& document);
  void fail(int code, std::string_view message);
  void fail(const RpcStatus& status);
  // One item of a stream; dropped after the end.
  void emit(const sdk::json& item);
  bool finished() const;
  // A copy of the request document.
  const sdk::json& request() const { return request_; }
  // Milliseconds until the host's deadline, or nothing when there is none.
  std::optional<int64_t> remaining_ms() const;
  // Fails it when the host wants it no longer or its time is over. True when it has ended.
  bool check();
  // Runs once when check() ended it, e.g. to cancel the call behind it.
  void on_abandon(std::function<void()> action);

 private:
  mutable std::mutex mutex_;
  std::optional<sdk::Call> call_;  // empty after the end
  std::function<void()> abandon_;
  sdk::json request_ = call_->request;
};
using HeldPtr = std::shared_ptr<Held>;

class HeldSet {
 public:
  HeldPtr add(sdk::Call call);
  // Asks the host about each one. Called by a timer.
  void check_all();
  // Ends all of them as cancelled.
  void abandon_all(std::string_view reason);

 private:
  std::mutex mutex_;
  std::list<HeldPtr> held_;
};

}  // namespace skep::containerd
