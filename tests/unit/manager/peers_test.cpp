// Links to other managers over real TLS on loopback: what is delivered, and who counts as
// answering.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/peers.hpp"

#include "daemon/transport/node_rpc.pb.h"
#include "tests/unit/transport/world.hpp"

using namespace skep;
using namespace skep::manager;
using transport::Method;
using transport::World;

namespace {

raft::Message message(uint64_t to, raft::MessageBody body) {
  return {model::ClusterId{{7, 7}}, {1}, {9}, {1}, {to}, {3}, std::move(body)};
}

// Manager 2, and what reached it by which method.
struct Far {
  explicit Far(World& with) : world(with), server(with.loop.get_executor(), options(with)) {
    for (const Method method : {Method::raft, Method::snapshot}) {
      server.handle(method,
                    [this, method](transport::Caller,
                                   std::string payload) -> asio::awaitable<Result<std::string>> {
                      rpc::RaftRequest request;
                      if (request.ParseFromString(payload)) {
                        batches += 1;
                        arrived[method] += request.messages_size();
                      }
                      co_return std::string();
                    });
    }
    REQUIRE(server.listen("127.0.0.1:0"));
  }
  static transport::ServerOptions options(World& world) {
    transport::ServerOptions options = world.server_options();
    options.credentials = world.node(2, model::NodeRole::manager);
    return options;
  }
  PeerPlace place() const { return {model::NodeId{{1, 2}}, world.address(server)}; }

  World& world;
  transport::RpcServer server;
  std::map<Method, int> arrived;
  int batches = 0;
};

PeersOptions near(const World& world) {
  return {world.node(1, model::NodeRole::manager), "127.0.0.1:1", 5};
}

template <class Condition>
bool reaches(World& world, Condition holds, std::chrono::milliseconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  world.loop.restart();
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    world.loop.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}
constexpr std::chrono::milliseconds kLong{10'000};

}  // namespace

TEST_CASE("messages arrive, pieces of snapshots on a lane of their own") {
  World world;
  Far far(world);
  Peers peers(world.loop.get_executor(), near(world), nullptr);
  peers.set_places({{raft::RaftId{2}, far.place()}});
  for (int i = 0; i < 20; ++i) peers.send(message(2, raft::TimeoutNow{}));
  raft::SnapshotChunk piece{{{4}, {3}, {}}, 0, std::make_shared<const std::string>("x"), 1, true};
  peers.send(message(2, piece));
  REQUIRE(reaches(
      world, [&] { return far.arrived[Method::raft] == 20 && far.arrived[Method::snapshot] == 1; },
      kLong));
  CHECK(far.batches < 10);                     // what gathers goes together
  peers.send(message(3, raft::TimeoutNow{}));  // nobody knows where that is: lost
  CHECK_FALSE(peers.reachable(raft::RaftId{3}));
  peers.stop();
  far.server.stop();
}

// Guard: the comparison of nodes in Lane::dial.
TEST_CASE(
    "who answers at an address counts only if it is the node that should be there (trap 33)") {
  World world;
  Far far(world);
  int told = 0;
  Peers peers(world.loop.get_executor(), near(world), [&] { ++told; });
  peers.set_places({{raft::RaftId{2}, {model::NodeId{{1, 8}}, world.address(far.server)}}});
  peers.probe(raft::RaftId{2});
  CHECK_FALSE(reaches(
      world, [&] { return peers.reachable(raft::RaftId{2}); }, std::chrono::milliseconds(700)));
  CHECK(far.batches == 0);
  peers.set_places({{raft::RaftId{2}, far.place()}});
  peers.probe(raft::RaftId{2});
  CHECK(reaches(
      world, [&] { return peers.reachable(raft::RaftId{2}) && told == 1; }, kLong));
  peers.stop();
  far.server.stop();
}
