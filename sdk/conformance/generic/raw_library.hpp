// A driver's library and its functions called directly, without the host that protects itself.
//
// For what a host hides: what loading changes in a process, what a thousand instances leave behind,
// whether an exception comes out of a call. Lives in the case's own process, which ends soon after;
// nothing is ever unloaded.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "sdk/conformance/case.hpp"
#include "skep/abi.h"

namespace skep::conformance {

// dlopen with everything bound at once, and the query. The descriptor is static.
Result<const skep_plugin*> open_raw(const Plugin& plugin);

// The plainest host there is: no extensions, hears the ends of operations. Lives as long as the
// process. [any thread]
class RawHost {
 public:
  // As patient as the user of the kit, and no more than 10 s.
  explicit RawHost(const Plugin& plugin);
  RawHost(const RawHost&) = delete;
  RawHost& operator=(const RawHost&) = delete;

  const skep_host* table() const { return &table_; }
  skep_op* open();
  struct End {
    skep_status status = SKEP_E_INTERNAL;
    std::string reply;
    std::string error;
    int count = 0;
  };
  // Waits until the operation has ended; nothing when the patience is over.
  std::optional<End> wait(skep_op* op);

  std::chrono::milliseconds patience() const { return patience_; }

 private:
  const std::chrono::milliseconds patience_;
  skep_host table_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, End> ends_;
  uint64_t last_ = 0;
};

// Calls a function of the driver's base table and waits for its end; a driver without it has
// UNIMPLEMENTED.
RawHost::End call_raw(RawHost& host, const skep_instance& instance,
                      const host::Operation& operation, std::string_view request);
// The function of an operation; nullptr when the driver has none.
skep_call function_of(const skep_instance& instance, const host::Operation& operation);

}  // namespace skep::conformance
