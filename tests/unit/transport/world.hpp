// A loop, a cluster root and a few identities: what every test of the transport needs.
//
// `run` drives the loop until a coroutine is done and gives its result; it fails the test when that
// takes longer than a bound that is far beyond what a healthy run needs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "daemon/transport/rpc_client.hpp"
#include "daemon/transport/rpc_server.hpp"

namespace skep::transport {

inline model::WallTime wall_now() {
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

struct World {
  asio::io_context loop{1};
  KeyAndCertificate root = *make_root(wall_now());
  model::ClusterId cluster{{7, 7}};
  std::vector<std::string> logged;

  NodeCredentials node(uint64_t id, model::NodeRole role) const {
    CertificateOrder order;
    order.node = model::NodeId{{1, id}};
    order.cluster = cluster;
    order.role = role;
    return *make_credentials(root, order, wall_now());
  }
  ServerOptions server_options() {
    ServerOptions options;
    options.credentials = node(1, model::NodeRole::manager);
    options.log = [this](std::string_view line) { logged.emplace_back(line); };
    return options;
  }
  ClientOptions client_options(std::optional<NodeCredentials> who) const {
    ClientOptions options;
    options.root_pem = root.certificate_pem;
    options.credentials = std::move(who);
    if (options.credentials) options.cluster = cluster;
    return options;
  }
  std::string address(const RpcServer& server) const {
    return "127.0.0.1:" + std::to_string(server.port());
  }
  bool was_logged(std::string_view part) const {
    for (const std::string& line : logged) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }

  template <class T>
  T run(asio::awaitable<T> coroutine) {
    std::optional<T> result;
    asio::co_spawn(loop, std::move(coroutine), [&](std::exception_ptr thrown, T value) {
      if (thrown) std::rethrow_exception(thrown);
      result = std::move(value);
    });
    until([&] { return result.has_value(); });
    return std::move(*result);
  }
  template <class Condition>
  void until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    loop.restart();
    while (!condition()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      loop.run_one_for(std::chrono::milliseconds(50));
      if (loop.stopped()) loop.restart();
    }
  }
  // Lets what was closed run to its end, so that nothing outlives the test.
  void settle() {
    loop.restart();
    loop.run_for(std::chrono::milliseconds(20));
  }
};

}  // namespace skep::transport
