// What of a driver's lines reaches the daemon's log.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/plugin_log.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "skep/abi.h"

namespace {

class Kept final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::vector<std::string> lines;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    lines.emplace_back(message.payload.begin(), message.payload.end());
  }
  void flush_() override {}
};

// The daemon's logger with a sink that keeps, until the end of the test.
struct Listening {
  Listening() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", kept)); }
  ~Listening() { spdlog::set_default_logger(before); }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

  const std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  const std::shared_ptr<Kept> kept = std::make_shared<Kept>();
};

}  // namespace

TEST_CASE("a driver that talks without end does not fill the log, and is told of") {
  const Listening listening;
  const skep::drivers::PluginLog log("loud", SKEP_LOG_INFO);
  const std::vector<std::string>& lines = listening.kept->lines;
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 50'000; ++i) log.line(0, SKEP_LOG_INFO, "talk");
  const auto took = std::chrono::steady_clock::now() - begun;
  CHECK(lines.size() >= 1000);
  CHECK(static_cast<double>(lines.size()) <=
        1001 * (2 + std::chrono::duration<double>(took).count()));
  const auto told = [&] {
    return lines.size() >= 2 &&
           lines.at(lines.size() - 2).find("further lines were dropped") != std::string::npos;
  };
  for (int i = 0; i < 500 && !told(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    log.line(7, SKEP_LOG_INFO, "more");
  }
  REQUIRE(told());
  CHECK(lines.back() == "plugin loud [op 7]: more");
}
