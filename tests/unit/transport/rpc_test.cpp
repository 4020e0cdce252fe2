// Calls and streams over real TLS on loopback: who gets through, and how calls end.
// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/unit/transport/world.hpp"

using namespace skep;
using namespace skep::transport;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLong{10'000};

// Answers who called and what with.
asio::awaitable<Result<std::string>> echo(Caller caller, std::string payload) {
  const std::string who = caller.identity ? caller.identity->node.str() : "anyone";
  co_return who + " " + payload;
}

Result<std::unique_ptr<RpcClient>> dial(World& world, const RpcServer& server,
                                        std::optional<NodeCredentials> who) {
  return world.run(RpcClient::connect(world.loop.get_executor(), world.address(server),
                                      world.client_options(std::move(who))));
}

}  // namespace

TEST_CASE("a call carries the caller's identity there and the answer back") {
  World world;
  RpcServer server(world.loop.get_executor(), world.server_options());
  server.handle(Method::heartbeat, echo);
  REQUIRE(server.listen("127.0.0.1:0"));
  const auto worker = world.node(9, model::NodeRole::worker);
  auto client = dial(world, server, worker);
  REQUIRE(client);
  CHECK((*client)->server()->role == model::NodeRole::manager);
  const auto answer = world.run((*client)->call(Method::heartbeat, "hello", kLong));
  REQUIRE(answer);
  CHECK(*answer == worker.identity.node.str() + " hello");
}

TEST_CASE("without a certificate a worker's method is denied, and what anyone may is not") {
  World world;
  RpcServer server(world.loop.get_executor(), world.server_options());
  server.handle(Method::heartbeat, echo);
  server.handle(Method::get_root, echo);
  REQUIRE(server.listen("127.0.0.1:0"));
  auto client = dial(world, server, std::nullopt);
  REQUIRE(client);
  const auto denied = world.run((*client)->call(Method::heartbeat, "", kLong));
  REQUIRE_FALSE(denied);
  CHECK(denied.error().kind == ErrorKind::denied);
  CHECK(*world.run((*client)->call(Method::get_root, "x", kLong)) == "anyone x");
}

TEST_CASE("a worker is denied a manager's method, and what isn't built says so") {
  World world;
  RpcServer server(world.loop.get_executor(), world.server_options());
  REQUIRE(server.listen("127.0.0.1:0"));
  auto worker = dial(world, server, world.node(9, model::NodeRole::worker));
  auto manager = dial(world, server, world.node(2, model::NodeRole::manager));
  REQUIRE(worker);
  REQUIRE(manager);
  CHECK(world.run((*worker)->call(Method::raft, "", kLong)).error().kind == ErrorKind::denied);
  CHECK(world.run((*manager)->call(Method::raft, "", kLong)).error().kind ==
        ErrorKind::unimplemented);
}

TEST_CASE("a server of another cluster is not talked to") {
  World world;
  World other;
  RpcServer server(world.loop.get_executor(), world.server_options());
  REQUIRE(server.listen("127.0.0.1:0"));
  const auto client =
      world.run(RpcClient::connect(world.loop.get_executor(), world.address(server),
                                   other.client_options(other.node(9, model::NodeRole::worker))));
  REQUIRE_FALSE(client);
  CHECK(client.error().kind == ErrorKind::precondition);
  CHECK(client.error().message.find("isn't of this cluster") != std::string::npos);
}

TEST_CASE("a worker's certificate doesn't make a manager") {
  World world;
  ServerOptions options = world.server_options();
  options.credentials = world.node(3, model::NodeRole::worker);
  RpcServer server(world.loop.get_executor(), std::move(options));
  REQUIRE(server.listen("127.0.0.1:0"));
  const auto client = dial(world, server, world.node(9, model::NodeRole::worker));
  REQUIRE_FALSE(client);
  CHECK(client.error().message.find("it is a worker") != std::string::npos);
}

TEST_CASE("a certificate of another root is refused, and the caller learns it") {
  World world;
  World other;
  RpcServer server(world.loop.get_executor(), world.server_options());
  server.handle(Method::heartbeat, echo);
  REQUIRE(server.listen("127.0.0.1:0"));
  ClientOptions options = world.client_options(other.node(9, model::NodeRole::worker));
  auto client = world.run(
      RpcClient::connect(world.loop.get_executor(), world.address(server), std::move(options)));
  REQUIRE(client);  // in TLS 1.3 the client learns of it only with the first answer
  const auto answer = world.run((*client)->call(Method::heartbeat, "", kLong));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::unauthenticated);
  CHECK(world.was_logged("handshake with 127.0.0.1 failed"));
}

TEST_CASE("a removed node is refused by its id") {
  World world;
  ServerOptions options = world.server_options();
  options.removed = [](model::NodeId id) { return id == model::NodeId{{1, 9}}; };
  RpcServer server(world.loop.get_executor(), std::move(options));
  server.handle(Method::heartbeat, echo);
  REQUIRE(server.listen("127.0.0.1:0"));
  auto removed = dial(world, server, world.node(9, model::NodeRole::worker));
  auto kept = dial(world, server, world.node(10, model::NodeRole::worker));
  const auto answer = world.run((*removed)->call(Method::heartbeat, "", kLong));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::unauthenticated);
  CHECK(answer.error().message.find("was removed from the cluster") != std::string::npos);
  CHECK(world.run((*kept)->call(Method::heartbeat, "", kLong)));
}

TEST_CASE("a stream brings its items in order and then its end") {
  World world;
  RpcServer server(world.loop.get_executor(), world.server_options());
  server.handle_stream(
      Method::assignments,
      [](Caller, std::string payload, ItemSink& sink) -> asio::awaitable<Status> {
        for (int i = 0; i < 500; ++i) {
          std::string item(10'000, static_cast<char>('a' + i % 26));  // more than fits the queue
          SKEP_CO_TRY(co_await sink.send(std::move(item)));
        }
        if (payload == "fail") co_return fail(ErrorKind::conflict, "as asked");
        co_return Status{};
      });
  REQUIRE(server.listen("127.0.0.1:0"));
  auto client = dial(world, server, world.node(9, model::NodeRole::worker));
  for (const std::string how : {"well", "fail"}) {
    std::string firsts;
    const Status end =
        world.run((*client)->open_stream(Method::assignments, how, [&](const std::string& item) {
          firsts += item[0];
          return Status{};
        }));
    CHECK(end.has_value() == (how == "well"));
    if (!end) CHECK(end.error() == Error{ErrorKind::conflict, "as asked"});
    REQUIRE(firsts.size() == 500);
    CHECK(firsts.substr(24, 4) == "yzab");
  }
}

TEST_CASE("a reader that has enough ends the stream, and the handler is cancelled") {
  World world;
  bool cancelled = false;
  RpcServer server(world.loop.get_executor(), world.server_options());
  server.handle_stream(
      Method::session, [&](Caller, std::string, ItemSink& sink) -> asio::awaitable<Status> {
        SKEP_CO_TRY(co_await sink.send("first"));
        asio::steady_timer forever(co_await asio::this_coro::executor);
        forever.expires_at(asio::steady_timer::time_point::max());
        boost::system::error_code code;
        co_await forever.async_wait(asio::redirect_error(asio::use_awaitable, code));
        cancelled = code == asio::error::operation_aborted && sink.closed();
        co_return Status{};
      });
  REQUIRE(server.listen("127.0.0.1:0"));
  auto client = dial(world, server, world.node(9, model::NodeRole::worker));
  SECTION("by an error from on_item") {
    const Status end =
        world.run((*client)->open_stream(Method::session, "", [](const std::string&) -> Status {
          return fail(ErrorKind::conflict, "enough");
        }));
    CHECK(end.error() == Error{ErrorKind::conflict, "enough"});
  }
  SECTION("by closing the connection") {
    const Status end =
        world.run((*client)->open_stream(Method::session, "", [&](const std::string&) -> Status {
          (*client)->close("enough");
          return {};
        }));
    CHECK_FALSE(end);
  }
  world.until([&] { return cancelled; });
}

TEST_CASE("a call that isn't answered in time ends by its deadline on both sides") {
  World world;
  bool cancelled = false;
  RpcServer server(world.loop.get_executor(), world.server_options());
  server.handle(Method::heartbeat,
                [&](Caller, std::string) -> asio::awaitable<Result<std::string>> {
                  asio::steady_timer forever(co_await asio::this_coro::executor);
                  forever.expires_at(asio::steady_timer::time_point::max());
                  boost::system::error_code code;
                  co_await forever.async_wait(asio::redirect_error(asio::use_awaitable, code));
                  cancelled = true;
                  co_return std::string("late");
                });
  REQUIRE(server.listen("127.0.0.1:0"));
  auto client = dial(world, server, world.node(9, model::NodeRole::worker));
  const auto answer = world.run((*client)->call(Method::heartbeat, "", milliseconds(50)));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::deadline);
  world.until([&] { return cancelled; });
}

TEST_CASE("a stopping server ends the calls of its clients with that reason") {
  World world;
  RpcServer server(world.loop.get_executor(), world.server_options());
  server.handle(Method::heartbeat,
                [&](Caller, std::string) -> asio::awaitable<Result<std::string>> {
                  server.stop();
                  asio::steady_timer forever(co_await asio::this_coro::executor);
                  forever.expires_at(asio::steady_timer::time_point::max());
                  co_await forever.async_wait(asio::use_awaitable);
                  co_return std::string("never");
                });
  REQUIRE(server.listen("127.0.0.1:0"));
  auto client = dial(world, server, world.node(9, model::NodeRole::worker));
  const auto answer = world.run((*client)->call(Method::heartbeat, "", kLong));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().message == "the peer ended the connection: this manager is stopping");
  world.settle();
}

TEST_CASE("machines that ask for certificates too often are told to wait") {
  World world;
  ServerOptions options = world.server_options();
  options.issue_certificate = {0.001, 3};
  RpcServer server(world.loop.get_executor(), std::move(options));
  server.handle(Method::issue_certificate, echo);
  REQUIRE(server.listen("127.0.0.1:0"));
  auto client = dial(world, server, std::nullopt);
  for (int i = 0; i < 3; ++i) {
    CHECK(world.run((*client)->call(Method::issue_certificate, "", kLong)));
  }
  const auto fourth = world.run((*client)->call(Method::issue_certificate, "", kLong));
  REQUIRE_FALSE(fourth);
  CHECK(fourth.error().kind == ErrorKind::unavailable);
}

TEST_CASE("a port that is taken, or no IP address, is an error that names it") {
  World world;
  RpcServer first(world.loop.get_executor(), world.server_options());
  REQUIRE(first.listen("127.0.0.1:0"));
  RpcServer second(world.loop.get_executor(), world.server_options());
  const Status taken = second.listen(world.address(first));
  REQUIRE_FALSE(taken);
  CHECK(taken.error().message.find(world.address(first)) != std::string::npos);
  RpcServer third(world.loop.get_executor(), world.server_options());
  CHECK_FALSE(third.listen("somewhere:1"));
}

// What is told arrives in order and costs no answer; the call behind it shows that it is there.
TEST_CASE("what is told is done and not answered, and a refusal of it disturbs nobody") {
  World world;
  RpcServer server(world.loop.get_executor(), world.server_options());
  std::string heard;
  server.handle_promptly(Method::raft, [&](const Caller&, const std::string& payload) {
    heard += payload;
    return payload == "?" ? Result<std::string>(fail(ErrorKind::denied, "not that")) : heard;
  });
  REQUIRE(server.listen("127.0.0.1:0"));
  auto manager = dial(world, server, world.node(2, model::NodeRole::manager));
  REQUIRE(manager);
  (*manager)->tell(Method::raft, "a");
  (*manager)->tell(Method::raft, "?");
  (*manager)->tell(Method::raft, "b");
  const auto answer = world.run((*manager)->call(Method::raft, "c", kLong));
  REQUIRE(answer);
  CHECK(*answer == "a?bc");
  CHECK(world.run((*manager)->call(Method::raft, "?", kLong)).error().kind == ErrorKind::denied);
  (*manager)->close("enough");
  (*manager)->tell(Method::raft, "nobody hears this");
}

// A manager that does not lead forwards what a thousand of its own callers ask for.
TEST_CASE("a worker's calls at once are bounded, a manager's are as many as it has callers") {
  World world;
  RpcServer server(world.loop.get_executor(), world.server_options());
  asio::steady_timer gate(world.loop, asio::steady_timer::time_point::max());
  size_t entered = 0;
  server.handle(Method::heartbeat,
                [&](Caller, std::string) -> asio::awaitable<Result<std::string>> {
                  ++entered;
                  boost::system::error_code opened;
                  co_await gate.async_wait(asio::redirect_error(asio::use_awaitable, opened));
                  co_return std::string("done");
                });
  REQUIRE(server.listen("127.0.0.1:0"));
  for (const auto& [role, fits] : {std::pair(model::NodeRole::worker, size_t{256}),
                                   std::pair(model::NodeRole::manager, size_t{1'000})}) {
    auto client = dial(world, server, world.node(9, role));
    REQUIRE(client);
    size_t done = 0;
    size_t refused = 0;
    for (size_t i = 0; i < 1'000; ++i) {
      asio::co_spawn(world.loop, (*client)->call(Method::heartbeat, "", kLong),
                     [&](std::exception_ptr, Result<std::string> answer) {
                       ++(answer ? done : refused);
                       if (!answer) CHECK(answer.error().kind == ErrorKind::unavailable);
                     });
    }
    world.until([&] { return entered == fits && refused == 1'000 - fits; });
    gate.cancel();
    world.until([&] { return done == fits; });
    entered = 0;
  }
}
