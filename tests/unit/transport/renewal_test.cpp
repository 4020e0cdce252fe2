// A node's certificate against a manager that signs: renewed in time, at once when something else
// is wanted, again after a failure; and what the node says when it is too late. The clock is the
// test's.
// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/agent/session.hpp"
#include "daemon/transport/node_rpc.pb.h"
#include "tests/unit/transport/world.hpp"

using namespace skep;
using namespace skep::transport;
using agent::AgentSession;

namespace {

// A manager that tells a node's row and the cluster's roots, and signs what it is asked to.
struct Stage {
  World world;
  KeyAndCertificate signer = world.root;
  std::string chain;
  std::string roots = world.root.certificate_pem;
  model::NodeRole role = model::NodeRole::worker;
  std::unique_ptr<RpcServer> server;
  int sessions = 0;
  int signed_count = 0;
  bool refuse = false;
  model::Nanoseconds signs_ahead{0};  // of the node's clock
  bool full_disk = false;
  std::vector<model::NodeTrust> told;  // by beats
  model::NodeTrust told_first;         // at the session's begin
  asio::steady_timer news{world.loop};

  model::WallTime now = wall_now();
  NodeCredentials mine = world.node(9, model::NodeRole::worker);
  std::vector<NodeCredentials> stored;
  std::vector<std::string> warnings;
  std::vector<Error> refusals;
  int connections = 0;
  std::unique_ptr<AgentSession> session;

  Stage() {
    news.expires_at(asio::steady_timer::time_point::max());
    server = std::make_unique<RpcServer>(world.loop.get_executor(), world.server_options());
    server->handle_stream(
        Method::session,
        [this](Caller caller, std::string payload, ItemSink& sink) -> asio::awaitable<Status> {
          rpc::SessionRequest request;
          if (!request.ParseFromString(payload)) co_return Status{};
          told_first = codec::decode(request.trust());
          ++sessions;
          while (!sink.closed()) {
            std::string item = row_of(*caller.identity);
            SKEP_CO_TRY(co_await sink.send(std::move(item)));
            boost::system::error_code rung;
            co_await news.async_wait(asio::redirect_error(asio::use_awaitable, rung));
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) break;
          }
          co_return Status{};
        });
    server->handle_stream(
        Method::assignments,
        [this](Caller, std::string, ItemSink& sink) -> asio::awaitable<Status> {
          rpc::AssignmentsItem full;
          full.set_full(true);
          full.set_generation(1);
          std::string item = full.SerializeAsString();
          SKEP_CO_TRY(co_await sink.send(std::move(item)));
          asio::steady_timer forever(world.loop);
          forever.expires_at(asio::steady_timer::time_point::max());
          boost::system::error_code code;
          co_await forever.async_wait(asio::redirect_error(asio::use_awaitable, code));
          co_return Status{};
        });
    server->handle(Method::heartbeat,
                   [this](Caller, std::string payload) -> asio::awaitable<Result<std::string>> {
                     rpc::HeartbeatRequest request;
                     if (request.ParseFromString(payload) && request.has_trust()) {
                       told.push_back(codec::decode(request.trust()));
                     }
                     co_return rpc::HeartbeatReply().SerializeAsString();
                   });
    server->handle(
        Method::renew_certificate,
        [this](Caller caller, std::string payload) -> asio::awaitable<Result<std::string>> {
          co_return renew(*caller.identity, payload);
        });
    REQUIRE(server->listen("127.0.0.1:0"));
  }
  ~Stage() {
    session.reset();
    server.reset();
    world.settle();
  }

  std::string row_of(const PeerIdentity& who) {
    rpc::SessionItem item;
    item.set_session("session " + std::to_string(sessions));
    model::Node row;
    row.id = who.node;
    row.role = role;
    codec::encode(row, item.mutable_node());
    item.set_heartbeat_ms(50);
    item.set_roots_pem(roots);
    codec::encode(*issuer_info(signer.certificate_pem), item.mutable_wanted_issuer());
    return item.SerializeAsString();
  }

  Result<std::string> renew(const PeerIdentity& who, const std::string& payload) {
    if (refuse) return fail(ErrorKind::unavailable, "there is no leader");
    rpc::RenewCertificateRequest request;
    if (!request.ParseFromString(payload)) return fail(ErrorKind::invalid, "bad message");
    const CertificateOrder order{who.node, who.cluster, role};
    SKEP_TRY_ASSIGN(const std::string leaf,
                    sign_request(signer, request.csr_pem(), order, now + signs_ahead));
    ++signed_count;
    rpc::RenewCertificateReply reply;
    reply.set_certificate_pem(leaf + chain);
    reply.set_root_pem(roots);
    return reply.SerializeAsString();
  }

  void start() {
    agent::SessionOptions options;
    options.credentials = mine;
    options.managers = {{model::NodeId{}, world.address(*server)}};
    options.pause_min = std::chrono::milliseconds(5);
    options.pause_max = std::chrono::milliseconds(20);
    options.clock = [this] { return now; };
    agent::SessionEvents events;
    events.certificate_changed = [this](const NodeCredentials& fresh) -> Status {
      if (full_disk) return fail(ErrorKind::exhausted, "no space left");
      stored.push_back(fresh);
      return {};
    };
    events.warn = [this](std::string_view line) { warnings.emplace_back(line); };
    events.on_refused = [this](const Error& why) { refusals.push_back(why); };
    events.on_connected = [this](bool up, const std::string&) { connections += up ? 1 : 0; };
    session = std::make_unique<AgentSession>(world.loop.get_executor(), std::move(options), events);
    session->start();
    world.until([&] { return connections == 1 || !refusals.empty(); });
  }
  // The clock is looked at again with the next item.
  void tell() { news.cancel(); }
  // Beats and items go to and fro for a while.
  void idle() {
    const size_t lines = world.logged.size();
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
    world.until([&] { return std::chrono::steady_clock::now() > end; });
    CHECK(world.logged.size() >= lines);
  }
};

}  // namespace

TEST_CASE("a certificate is renewed when its moment has come, with a new key, on the connection") {
  Stage stage;
  stage.start();
  stage.now = identity::renewal_time(stage.mine.life, stage.mine.draw) + std::chrono::seconds(-1);
  stage.tell();
  stage.idle();
  CHECK(stage.signed_count == 0);
  stage.now = stage.now + std::chrono::seconds(2);
  stage.tell();
  stage.world.until([&] { return stage.stored.size() == 1; });
  CHECK(stage.stored[0].key_pem != stage.mine.key_pem);
  CHECK(stage.stored[0].life.not_after > stage.mine.life.not_after);
  CHECK(stage.stored[0].identity.node == stage.mine.identity.node);
  stage.idle();
  CHECK(stage.signed_count == 1);  // the next one has its own moment
  CHECK(stage.sessions == 1);      // nothing was dropped for it
  CHECK(stage.session->connected());
}

TEST_CASE("another role is asked for at once, and the node dials again with it") {
  Stage stage;
  stage.start();
  stage.role = model::NodeRole::manager;
  stage.tell();
  stage.world.until([&] { return stage.connections == 2; });
  REQUIRE(stage.stored.size() == 1);
  CHECK(stage.stored[0].identity.role == model::NodeRole::manager);
  stage.idle();
  CHECK(stage.signed_count == 1);
}

TEST_CASE("a new root is trusted, then had, then the old one dropped, on one connection") {
  Stage stage;
  stage.start();
  CHECK(stage.told_first.issuer == stage.mine.issuer);
  const KeyAndCertificate next = *make_root(wall_now());
  const std::string old_root = stage.roots;
  stage.chain = *cross_sign(stage.signer, next.certificate_pem, wall_now());
  stage.signer = next;
  stage.roots = old_root + next.certificate_pem;
  stage.tell();
  stage.world.until([&] { return stage.stored.size() == 2 && !stage.told.empty(); });
  CHECK(stage.stored[0].certificate_pem == stage.mine.certificate_pem);  // the roots alone
  CHECK(stage.stored[0].root_pem == stage.roots);
  const model::Issuer wanted = *issuer_info(next.certificate_pem);
  stage.world.until([&] { return stage.told.back().issuer == wanted; });
  CHECK(stage.told.back().roots_pem == stage.roots);
  stage.roots = next.certificate_pem;
  stage.tell();
  stage.world.until([&] { return stage.told.back().roots_pem == next.certificate_pem; });
  CHECK(stage.stored.back().root_pem == next.certificate_pem);
  CHECK(stage.stored.back().issuer == wanted);
  CHECK(stage.signed_count == 1);
  CHECK(stage.sessions == 1);
}

TEST_CASE("a renewal that fails is told with its reason and tried again, and not stored halfway") {
  Stage stage;
  stage.refuse = true;
  stage.start();
  stage.role = model::NodeRole::manager;
  stage.tell();
  stage.world.until([&] { return stage.warnings.size() == 1; });
  CHECK(stage.warnings[0].find("(this node is to be a manager): there is no leader; next try in") !=
        std::string::npos);
  stage.refuse = false;
  stage.full_disk = true;
  stage.now = stage.now + std::chrono::seconds(3);
  stage.tell();
  stage.world.until([&] { return stage.warnings.size() == 2; });
  CHECK(stage.warnings[1].find("no space left") != std::string::npos);
  CHECK(stage.sessions == 1);  // still with the old certificate
  stage.full_disk = false;
  stage.now = stage.now + std::chrono::seconds(5);
  stage.tell();
  stage.world.until([&] { return stage.connections == 2; });
  CHECK(stage.stored.size() == 1);
}

TEST_CASE(
    "a certificate that no trusted root vouches for is not taken up, nor asked for on and on") {
  Stage stage;
  stage.start();
  stage.signer = *make_root(wall_now());  // whose certificates nobody vouches for
  stage.tell();
  stage.world.until([&] { return stage.warnings.size() == 1; });
  stage.idle();
  CHECK(stage.warnings.size() == 1);
  CHECK(stage.stored.empty());
  CHECK(stage.session->connected());
}

TEST_CASE("a node whose certificate has run out says so in words") {
  Stage stage;
  CertificateOrder order{model::NodeId{{1, 9}}, stage.world.cluster, model::NodeRole::worker};
  order.lifetime = std::chrono::hours(1);
  // By the clock that the session reads: a second in between would make it four hours.
  stage.mine = *make_credentials(stage.world.root, order, stage.now + (-std::chrono::hours(6)));
  stage.start();
  REQUIRE(stage.refusals.size() == 1);
  CHECK(stage.refusals[0].kind == ErrorKind::unauthenticated);
  CHECK(stage.refusals[0].message.find(
            "this node's certificate ran out 5 hours ago; it has to leave the swarm and join it "
            "again") == 0);
}

TEST_CASE("a new certificate that isn't good yet by this node's clock is not taken up") {
  Stage stage;
  stage.signs_ahead = std::chrono::hours(2);
  stage.start();
  stage.role = model::NodeRole::manager;
  stage.tell();
  stage.world.until([&] { return stage.warnings.size() == 1; });
  CHECK(stage.warnings[0].find("this machine's clock is behind the managers'") !=
        std::string::npos);
  CHECK(stage.stored.empty());
  // Half an hour is what certificates are dated back for.
  stage.signs_ahead = std::chrono::minutes(30);
  stage.now = stage.now + std::chrono::seconds(3);
  stage.tell();
  stage.world.until([&] { return stage.stored.size() == 1; });
}
