// Runs a coroutine to its end on a loop, and gives its value; and the two places a driver may run
// in.
//
// A loop that watches a driver's process never runs dry, so it is turned until what is waited for
// is there, with a deadline.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "daemon/drivers/plugin_config.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace skep::test {

inline std::string fake_plugin(const std::string& name) {
  return std::string(SKEP_TEST_PLUGINS) + "/" + name + ".so";
}

// Turns the loop until `there` says so; false when that takes longer than `limit`.
inline bool until(boost::asio::io_context& loop, const std::function<bool()>& there,
                  std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!there() && std::chrono::steady_clock::now() < end) {
    if (loop.stopped()) loop.restart();
    loop.run_one_for(std::chrono::milliseconds(10));
  }
  return there();
}

// Requires: the coroutine ends within two minutes.
template <class T>
T run(boost::asio::io_context& loop, boost::asio::awaitable<T> work) {
  std::optional<T> result;
  boost::asio::co_spawn(loop, std::move(work), [&](std::exception_ptr error, T value) {
    if (error) std::rethrow_exception(error);
    result = std::move(value);
  });
  REQUIRE(until(
      loop, [&] { return result.has_value(); }, std::chrono::minutes(2)));
  return std::move(*result);
}

inline void run(boost::asio::io_context& loop, boost::asio::awaitable<void> work) {
  bool ended = false;
  boost::asio::co_spawn(loop, std::move(work), [&](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
    ended = true;
  });
  REQUIRE(until(
      loop, [&] { return ended; }, std::chrono::minutes(2)));
}

// A folder for drivers, gone with its owner.
class Place : public testing::TemporaryFolder {
 public:
  drivers::PluginPlace place() const {
    drivers::PluginPlace made;
    made.run_dir = file("run");
    made.data_dir = file("data");
    made.node = "node-1";
    made.helper = SKEP_TEST_PLUGIN_HOST;
    return made;
  }

  const std::string& folder = path();
};

inline drivers::PluginConfig plugin_config(const std::string& name, const std::string& fake,
                                           drivers::Isolation isolation,
                                           const std::string& config = "{}") {
  drivers::PluginConfig made;
  made.name = name;
  made.path = fake_plugin(fake);
  made.config = config;
  made.isolation = isolation;
  return made;
}

}  // namespace skep::test
