// The template part of World: a coroutine run to its end on the test's loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <optional>

#include "tests/unit/agent/world.hpp"

namespace skep::agent::test {

template <class T>
T World::run(boost::asio::awaitable<T> body) {
  if constexpr (std::is_void_v<T>) {
    bool done = false;
    std::exception_ptr failure;
    boost::asio::co_spawn(loop, std::move(body), [&](std::exception_ptr error) {
      done = true;
      failure = error;
    });
    until([&] { return done; });
    if (failure) std::rethrow_exception(failure);
  } else {
    std::optional<T> result;
    std::exception_ptr failure;
    boost::asio::co_spawn(loop, std::move(body), [&](std::exception_ptr error, T value) {
      result.emplace(std::move(value));
      failure = error;
    });
    until([&] { return result.has_value(); });
    if (failure) std::rethrow_exception(failure);
    return std::move(result.value());
  }
}

}  // namespace skep::agent::test
