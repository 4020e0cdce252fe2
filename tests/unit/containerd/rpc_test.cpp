// The callback thread of the containerd driver: it lives in the daemon's process, so nothing that a
// callback throws may leave it. No containerd is needed: a socket that isn't there answers, too.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/rpc.hpp"

#include <google/protobuf/empty.pb.h>

#include <catch2/catch.hpp>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace skep::containerd {
namespace {

using google::protobuf::Empty;

constexpr const char* kMethod = "/containerd.services.version.v1.Version/Version";

// A driver's connection to nowhere, and what it logged.
struct Nowhere {
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex);
    return logged;
  }
  std::mutex mutex;
  std::vector<std::string> logged;
  Rpc rpc{"/nonexistent/containerd.sock", "test", [this](const std::string& line) {
            const std::lock_guard lock(mutex);
            logged.push_back(line);
          }};
};

TEST_CASE("a callback that throws is told so as an error, and the next call works") {
  Nowhere nowhere;
  std::promise<RpcStatus> second;
  int told = 0;
  nowhere.rpc.async<Empty>(kMethod, Empty(), {}, [&](RpcStatus status, Empty&) {
    if (++told == 1) throw std::runtime_error("over the wall");
    second.set_value(std::move(status));
  });
  const RpcStatus status = second.get_future().get();
  CHECK(status.code == RpcCode::unknown);
  CHECK(status.message.find("over the wall") != std::string::npos);
  CHECK(nowhere.rpc.begin<Empty>(kMethod, Empty()).status().code == RpcCode::unavailable);
  REQUIRE(nowhere.lines().size() == 1);
  CHECK(nowhere.lines()[0].find("over the wall") != std::string::npos);
}

TEST_CASE("a callback that throws even at the error is only logged") {
  Nowhere nowhere;
  const auto done = [](RpcStatus) { throw std::runtime_error("no way"); };
  nowhere.rpc.stream(
      kMethod, Empty(), {}, [](std::string_view) {}, done);
  CHECK(nowhere.rpc.begin<Empty>(kMethod, Empty()).status().code == RpcCode::unavailable);
  nowhere.rpc.stop();  // all callbacks have run
  CHECK(nowhere.lines().size() == 2);
}

TEST_CASE("a timer whose work throws does not stop the ones after it") {
  Nowhere nowhere;
  std::promise<void> later;
  nowhere.rpc.after(0, [] { throw std::runtime_error("late"); });
  nowhere.rpc.after(20, [&] { later.set_value(); });
  later.get_future().get();
  REQUIRE(nowhere.lines().size() == 1);
  CHECK(nowhere.lines()[0].find("late") != std::string::npos);
}

}  // namespace
}  // namespace skep::containerd
