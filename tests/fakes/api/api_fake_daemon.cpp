// api_fake_daemon SOCKET: the real API over fake doors, until SIGTERM.
//
// For trying clients against the API without containers, raft or disks.
// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>

#include "daemon/api/api_server.hpp"
#include "tests/fakes/api/fake_cluster.hpp"
#include "tests/fakes/api/fake_containers.hpp"

namespace {

constexpr std::chrono::milliseconds kStep{100};

skep::model::WallTime now() {
  return {std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count()};
}

void keep_stepping(boost::asio::steady_timer& timer, skep::fakes::FakeCluster& cluster) {
  timer.expires_after(kStep);
  timer.async_wait([&](const boost::system::error_code& stopped) {
    if (stopped) return;
    cluster.step();
    keep_stepping(timer, cluster);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: api_fake_daemon SOCKET\n");
    return 2;
  }
  boost::asio::io_context loop(1);
  skep::fakes::FakeCluster cluster(&now);
  skep::fakes::FakeContainers containers(loop, &now);
  skep::api::Options options;
  options.socket_path = argv[1];
  options.version = "0.1.0";
  options.now = &now;
  skep::api::ApiServer server(loop, cluster, containers, options);
  if (const skep::Status listening = server.listen(); !listening) {
    std::fprintf(stderr, "api_fake_daemon: %s\n", listening.error().message.c_str());
    return 1;
  }
  boost::asio::steady_timer timer(loop);
  keep_stepping(timer, cluster);
  boost::asio::signal_set signals(loop, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code&, int) {
    timer.cancel();
    server.stop();
  });
  loop.run();
}
