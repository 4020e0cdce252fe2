// A runtime that can do no more than show a console its paces: a stream without an end, a call that
// is never answered, a crash, and lines for the log.
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>

#include "skep/cpp/driver.hpp"
#include "skep/runtime.h"

namespace {

using namespace skep::sdk;

class ConsoleRuntime : public Driver {
 public:
  using Driver::Driver;

  json configure(const json& request) {
    configured_with_ = request.at("config");
    return json::object();
  }
  json probe(const json&) { return {{"state", "not_ready"}, {"reason", "only a fake"}}; }
  json dump(const json&) { return configured_with_; }
  json nothing(const json&) { return json::object(); }
  json inspect(const json&) { std::abort(); }
  json list(const json&) {
    log(SKEP_LOG_DEBUG, "a detail");
    log(SKEP_LOG_WARNING, "a warning");
    return {{"containers", json::array()}};
  }
  void signal(Call call) {
    const std::scoped_lock lock(mutex_);
    unanswered_.emplace(std::move(call));
  }
  // On the host's worker, until the host has had enough.
  void events(Call call) {
    for (uint64_t number = 1; !call.cancelled(); ++number) {
      call.emit({{"seq", number}, {"type", "gap"}, {"time", "2026-01-01T00:00:00Z"}});
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    call.fail(SKEP_E_CANCELLED, "the host asked for it");
  }

  const void* interface(std::string_view id) noexcept override {
    using Me = ConsoleRuntime;
    static const skep_base_1 base = {sizeof base,      0,
                                     op<&Me::nothing>, op<&Me::configure>,
                                     op<&Me::probe>,   op<&Me::nothing>,
                                     op<&Me::nothing>, nullptr,
                                     op<&Me::nothing>, op<&Me::dump>};
    static const skep_runtime_1 runtime = {sizeof runtime, 0,
                                           nullptr,        nullptr,
                                           nullptr,        nullptr,
                                           nullptr,        op<&Me::signal>,
                                           nullptr,        op<&Me::inspect>,
                                           op<&Me::list>,  op<&Me::events>,
                                           nullptr};
    if (id == SKEP_BASE_1) return &base;
    return id == SKEP_RUNTIME_1 ? &runtime : nullptr;
  }

 private:
  json configured_with_;
  std::mutex mutex_;
  std::optional<Call> unanswered_;
};

}  // namespace

SKEP_DECLARE_NOTE("console-runtime", "1.0", "skep.base/1 skep.runtime/1");

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {.struct_size = sizeof plugin,
                                     .abi_major = SKEP_ABI_MAJOR,
                                     .abi_minor = SKEP_ABI_MINOR,
                                     .host_minor_needed = 0,
                                     .id = "console-runtime",
                                     .version = "1.0",
                                     .vendor = "test",
                                     .interfaces = "skep.base/1 skep.runtime/1",
                                     .config_schema = "{}",
                                     .create = make_instance<ConsoleRuntime>,
                                     .flags = 0,
                                     .reserved = 0,
                                     .options_schema = nullptr};
  return &plugin;
}
