// A runtime driver of a few lines with the C++ wrapper: canned containers, to test the typed
// client.
// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include <string_view>

#include "skep/cpp/driver.hpp"
#include "skep/runtime.h"

namespace {

using skep::sdk::Call;
using skep::sdk::Failure;
using skep::sdk::json;
using skep::sdk::op;

class CannedRuntime : public skep::sdk::Driver {
 public:
  using Driver::Driver;

  json nothing(const json&) { return json::object(); }
  json probe(const json&) { return {{"state", "ready"}}; }

  json create(const json& request) {
    if (request.at("image") == "absent") {
      throw Failure(SKEP_E_NOTFOUND, "No such image: absent");
    }
    spec_ = request;
    if (request.at("image") == "tells-its-time") {
      timespec now = {};
      clock_gettime(CLOCK_MONOTONIC, &now);
      const int64_t left_ms = deadline_ms() - now.tv_sec * 1000 - now.tv_nsec / 1'000'000;
      return {{"handle", {{"left_min", (left_ms + 59'999) / 60'000}}}, {"image_id", "sha256:1"}};
    }
    return {{"handle", {{"v", 1}}}, {"image_id", "sha256:1"}};
  }
  json start(const json&) { return {{"pid", 42}, {"started_at", "2020-01-01T00:00:00Z"}}; }
  json stop(const json&) { throw Failure(SKEP_E_UNAVAILABLE, "containerd is away"); }
  json inspect(const json& request) {
    return {{"id", request.at("id")},
            {"spec", spec_},
            {"image", "i"},
            {"state", "stopped"},
            {"exit_code", 137},
            {"oom_killed", true},
            {"process", {{"argv", {"sh"}}, {"env", {"A=1"}}, {"working_dir", "/"}, {"user", "0"}}}};
  }
  json bad_list(const json&) { return {{"containers", {{{"id", 5}}}}}; }
  void events(Call call) {
    call.emit({{"seq", 1}, {"type", "gap"}, {"time", "t"}});
    call.emit({{"seq", 2}, {"type", "no such type"}, {"time", "t"}});
    call.emit({{"seq", 3}, {"type", "exit"}, {"id", "c"}, {"exit_code", 3}, {"time", "t"}});
    call.fail(SKEP_E_UNAVAILABLE, "the stream broke");
  }

  // Throw while they own the operation, and after they gave it away.
  void stats(Call) { throw Failure(SKEP_E_EXHAUSTED, "no more numbers"); }
  void signal(Call call) {
    call.fail(SKEP_E_PRECONDITION, "it has ended");
    throw Failure(SKEP_E_INTERNAL, "too late");
  }

  const void* interface(std::string_view id) noexcept override {
    using Me = CannedRuntime;
    static const skep_base_1 base = {sizeof base,      0,
                                     op<&Me::nothing>, op<&Me::nothing>,
                                     op<&Me::probe>,   op<&Me::nothing>,
                                     op<&Me::nothing>, nullptr,
                                     op<&Me::nothing>, nullptr};
    static const skep_runtime_1 runtime = {sizeof runtime,    0,
                                           nullptr,           op<&Me::create>,
                                           op<&Me::start>,    nullptr,
                                           op<&Me::stop>,     op<&Me::signal>,
                                           nullptr,           op<&Me::inspect>,
                                           op<&Me::bad_list>, op<&Me::events>,
                                           op<&Me::stats>};
    if (id == SKEP_BASE_1) return &base;
    if (id == SKEP_RUNTIME_1) return &runtime;
    return nullptr;
  }

 private:
  json spec_;
};

}  // namespace

SKEP_DECLARE_NOTE("fake-sdk", "1.0", "skep.base/1 skep.runtime/1");

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      sizeof plugin,  SKEP_ABI_MAJOR,
      SKEP_ABI_MINOR, 0,
      "fake-sdk",     "1.0",
      "test",         "skep.base/1 skep.runtime/1",
      "{}",           skep::sdk::make_instance<CannedRuntime>,
  };
  return &plugin;
}
