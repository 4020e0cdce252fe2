// Joining: the whole way from a token to credentials, and each way it can fail.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/join.hpp"

#include <boost/asio/ip/tcp.hpp>

#include "core/identity/token.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/transport/node_rpc.pb.h"
#include "tests/unit/transport/world.hpp"

using namespace skep;
using namespace skep::transport;

namespace {

// A manager's certificate handlers, as small as they can be: signs at the second question.
struct Signer {
  World world;
  RpcServer server{world.loop.get_executor(), world.server_options()};
  std::string worker_token;
  std::string manager_token;
  std::string certificate;
  std::string behind_root;  // what follows the right root in the answer
  int questions = 0;

  static std::string token_of(const KeyAndCertificate& root) {
    identity::JoinToken token;
    token.root_digest = *certificate_digest(root.certificate_pem);
    token.secret = *random_secret();
    return token.str();
  }

  Signer() : worker_token(token_of(world.root)), manager_token(token_of(world.root)) {
    server.handle(Method::get_root,
                  [this](Caller, std::string) -> asio::awaitable<Result<std::string>> {
                    rpc::GetRootReply reply;
                    reply.set_root_pem(world.root.certificate_pem + behind_root);
                    co_return reply.SerializeAsString();
                  });
    server.handle(Method::issue_certificate,
                  [this](Caller, std::string payload) -> asio::awaitable<Result<std::string>> {
                    co_return issue(payload);
                  });
    server.handle(Method::certificate_status,
                  [this](Caller, std::string) -> asio::awaitable<Result<std::string>> {
                    rpc::CertificateStatusReply reply;
                    if (++questions > 1) reply.set_certificate_pem(certificate);
                    co_return reply.SerializeAsString();
                  });
    REQUIRE(server.listen("127.0.0.1:0"));
  }

  Result<std::string> issue(const std::string& payload) {
    rpc::IssueCertificateRequest request;
    if (!request.ParseFromString(payload)) return fail(ErrorKind::invalid, "bad message");
    const auto role = identity::role_of_token(request.token(), worker_token, manager_token);
    if (!role) return fail(ErrorKind::invalid, "invalid join token");
    CertificateOrder order;
    order.node = model::NodeId{{3, 3}};
    order.cluster = world.cluster;
    order.role = *role;
    SKEP_TRY_ASSIGN(certificate, sign_request(world.root, request.csr_pem(), order, wall_now()));
    rpc::IssueCertificateReply reply;
    reply.set_node(codec::encode_id(order.node));
    return reply.SerializeAsString();
  }

  Result<NodeCredentials> join(const std::string& token, std::vector<std::string> addresses) {
    JoinOrder order;
    order.remote_addresses = std::move(addresses);
    order.token = token;
    order.deadline = std::chrono::milliseconds(1'500);
    return world.run(obtain_certificate(world.loop.get_executor(), std::move(order)));
  }
  std::string here() const { return world.address(server); }
};

}  // namespace

TEST_CASE("a token and an address make a node, whose role is the token's") {
  Signer signer;
  const Result<NodeCredentials> worker = signer.join(signer.worker_token, {signer.here()});
  REQUIRE(worker);
  CHECK(worker->identity.role == model::NodeRole::worker);
  CHECK(worker->identity.node == model::NodeId{{3, 3}});
  CHECK(signer.questions == 2);
  const Result<NodeCredentials> manager = signer.join(signer.manager_token, {signer.here()});
  REQUIRE(manager);
  CHECK(manager->identity.role == model::NodeRole::manager);
}

TEST_CASE("a rotated token is an invalid join token") {
  Signer signer;
  const std::string old = signer.worker_token;
  signer.worker_token = Signer::token_of(signer.world.root);
  const Result<NodeCredentials> joined = signer.join(old, {signer.here()});
  REQUIRE_FALSE(joined);
  CHECK(joined.error() == Error{ErrorKind::invalid, "invalid join token"});
}

TEST_CASE("a manager of another cluster is found out before the token is sent") {
  Signer signer;
  World other;
  const Result<NodeCredentials> joined = signer.join(Signer::token_of(other.root), {signer.here()});
  REQUIRE_FALSE(joined);
  CHECK(joined.error().kind == ErrorKind::invalid);
  CHECK(joined.error().message.find("remote CA does not match fingerprint SWMTKN-1-") == 0);
  CHECK(signer.questions == 0);
  CHECK(signer.certificate.empty());
}

TEST_CASE("an address where nobody listens is named, and the next one is tried") {
  Signer signer;
  asio::ip::tcp::acceptor taken(signer.world.loop, {asio::ip::address_v4::loopback(), 0});
  const std::string dead = "127.0.0.1:" + std::to_string(taken.local_endpoint().port());
  taken.close();
  const Result<NodeCredentials> joined = signer.join(signer.worker_token, {dead});
  REQUIRE_FALSE(joined);
  CHECK(joined.error().kind == ErrorKind::unavailable);
  CHECK(joined.error().message.find(dead) != std::string::npos);
  CHECK(signer.join(signer.worker_token, {dead, signer.here()}));
}

TEST_CASE("a malformed token or no address is refused before anything is dialled") {
  Signer signer;
  CHECK(signer.join("hello", {signer.here()}).error().kind == ErrorKind::invalid);
  CHECK(signer.join(signer.worker_token, {}).error().kind == ErrorKind::invalid);
}

TEST_CASE("a second root behind the one that the token vouches for is not trusted along with it") {
  Signer signer;
  World other;
  signer.behind_root = other.root.certificate_pem;
  const auto joined = signer.join(signer.worker_token, {signer.here()});
  REQUIRE_FALSE(joined);
  CHECK(joined.error().kind == ErrorKind::invalid);
  CHECK(joined.error().message.find("more than one certificate") != std::string::npos);
}
