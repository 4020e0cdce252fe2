// Runs a coroutine to its end on a loop, and gives its value.
//
// Only for results that are there when the loop runs dry; a coroutine that never ends is a hang,
// which the test runner's timeout reports.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace skep::test {

inline std::string fake_plugin(const std::string& name) {
  return std::string(SKEP_TEST_PLUGINS) + "/" + name + ".so";
}

template <class T>
T run(boost::asio::io_context& loop, boost::asio::awaitable<T> work) {
  std::optional<T> result;
  boost::asio::co_spawn(loop, std::move(work), [&](std::exception_ptr error, T value) {
    if (error) std::rethrow_exception(error);
    result = std::move(value);
  });
  loop.restart();
  loop.run();
  return std::move(*result);
}

}  // namespace skep::test
