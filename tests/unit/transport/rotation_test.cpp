// The root changes while connections stand: over real TLS, nobody is cut off who need not be, and
// who knows the old root alone is refused at the end.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/transport/world.hpp"

using namespace skep;
using namespace skep::transport;

namespace {

constexpr std::chrono::milliseconds kLong{10'000};

asio::awaitable<Result<std::string>> echo(Caller, std::string payload) {
  co_return payload;
}

// Root A, root B that takes its place, and a server that goes along.
struct Change {
  World world;
  KeyAndCertificate next = *make_root(wall_now());
  std::string crossed = *cross_sign(world.root, next.certificate_pem, wall_now());
  std::string both = world.root.certificate_pem + next.certificate_pem;
  RpcServer server{world.loop.get_executor(), world.server_options()};

  Change() {
    server.handle(Method::heartbeat, echo);
    REQUIRE(server.listen("127.0.0.1:0"));
  }
  ~Change() {
    server.stop();
    world.settle();
  }

  NodeCredentials of_a(uint64_t id, model::NodeRole role, const std::string& roots) const {
    NodeCredentials made = world.node(id, role);
    return *check_credentials(roots, made.certificate_pem, made.key_pem);
  }
  NodeCredentials of_b(uint64_t id, model::NodeRole role, const std::string& roots) const {
    const CertificateOrder order{model::NodeId{{1, id}}, world.cluster, role};
    NodeCredentials made = *make_credentials(next, order, wall_now());
    return *check_credentials(roots, made.certificate_pem + crossed, made.key_pem);
  }

  Result<std::unique_ptr<RpcClient>> dial(const NodeCredentials& who) {
    ClientOptions options;
    options.root_pem = who.root_pem;
    options.credentials = who;
    options.cluster = world.cluster;
    return world.run(
        RpcClient::connect(world.loop.get_executor(), world.address(server), std::move(options)));
  }
  // What a call on a fresh connection of `who` ends with: "" is well.
  std::string call_of(const NodeCredentials& who) {
    const auto client = dial(who);
    return client ? call_on(**client) : client.error().message;
  }
  std::string call_on(RpcClient& client) {
    const auto answer = world.run(client.call(Method::heartbeat, "x", kLong));
    return answer ? "" : answer.error().message;
  }
};

}  // namespace

TEST_CASE("a connection outlives the rotation, and meanwhile either root's certificate will do") {
  Change change;
  const std::string& a = change.world.root.certificate_pem;
  const std::string& b = change.next.certificate_pem;
  const auto worker = model::NodeRole::worker;
  const auto manager = model::NodeRole::manager;
  const auto standing = change.dial(change.of_a(9, worker, a));
  REQUIRE(standing);
  CHECK(change.call_on(**standing).empty());

  // It has begun: the server trusts both and still has its old certificate.
  REQUIRE(change.server.set_credentials(change.of_a(1, manager, change.both)));
  CHECK(change.call_of(change.of_a(10, worker, a)).empty());
  CHECK(change.call_of(change.of_b(11, worker, change.both)).empty());

  // Its certificate is the new root's: who has not heard of that accepts it all the same.
  REQUIRE(change.server.set_credentials(change.of_b(1, manager, change.both)));
  CHECK(change.call_of(change.of_a(12, worker, a)).empty());
  CHECK(change.call_of(change.of_a(13, worker, change.both)).empty());
  CHECK(change.call_of(change.of_b(14, worker, a)).empty());
  CHECK(change.call_of(change.of_b(15, worker, b)).empty());

  // It is over.
  REQUIRE(change.server.set_credentials(change.of_b(1, manager, b)));
  CHECK(change.call_on(**standing).empty());
  CHECK(change.call_of(change.of_b(16, worker, change.both)).empty());
  CHECK(change.call_of(change.of_b(17, worker, b)).empty());
  const std::string refused = change.call_of(change.of_a(18, worker, a));
  CHECK(refused.find("did not accept this node's certificate") != std::string::npos);
  // A manager that missed it all isn't taken for one by those who know the new root alone.
  REQUIRE(change.server.set_credentials(change.of_a(1, manager, a)));
  const auto deceived = change.dial(change.of_b(19, worker, b));
  REQUIRE_FALSE(deceived);
  CHECK(deceived.error().message.find("isn't of this cluster") != std::string::npos);
}

TEST_CASE("a server that hasn't heard of the rotation takes certificates of the new root") {
  Change change;
  CHECK(change.call_of(change.of_b(9, model::NodeRole::worker, change.both)).empty());
}

TEST_CASE("the connection of a node that is removed ends at once, with that reason") {
  Change change;
  const auto removed = change.dial(change.of_a(9, model::NodeRole::worker, change.both));
  const auto kept = change.dial(change.of_a(10, model::NodeRole::worker, change.both));
  REQUIRE(removed);
  REQUIRE(kept);
  REQUIRE(change.call_on(**removed).empty());
  REQUIRE(change.call_on(**kept).empty());
  change.server.disconnect(model::NodeId{{1, 9}}, "this node was removed from the cluster");
  const Error why = change.world.run((*removed)->closed());
  CHECK(why.kind == ErrorKind::unauthenticated);
  CHECK(why.message.find("this node was removed from the cluster") != std::string::npos);
  CHECK(change.call_on(**kept).empty());
}

TEST_CASE("a certificate that has run out, or isn't good yet, is told apart from a foreign one") {
  Change change;
  World& world = change.world;
  const auto server_of = [&](model::WallTime when) {
    CertificateOrder order{model::NodeId{{1, 1}}, world.cluster, model::NodeRole::manager};
    order.lifetime = std::chrono::hours(2);
    REQUIRE(change.server.set_credentials(*make_credentials(world.root, order, when)));
  };
  const NodeCredentials worker = world.node(9, model::NodeRole::worker);
  server_of(wall_now() + (-std::chrono::hours(3)));
  CHECK(change.call_of(worker).find("has run out by this machine's clock") != std::string::npos);
  server_of(wall_now() + std::chrono::hours(2));
  CHECK(change.call_of(worker).find("isn't good yet") != std::string::npos);
  // Half an hour between the clocks is no trouble.
  server_of(wall_now() + std::chrono::minutes(30));
  CHECK(change.call_of(worker).empty());
}
