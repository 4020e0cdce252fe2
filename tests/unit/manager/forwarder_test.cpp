// What a manager is told of a write that it sent to a leader who is gone: at once, and truthfully.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/forwarder.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>

#include "tests/unit/transport/world.hpp"

using namespace skep;
using namespace skep::manager;
using std::chrono::milliseconds;
using transport::Method;
using transport::World;

namespace {

// Far longer than the test may take: who waits for it has failed.
constexpr milliseconds kLong{60'000};
// Below every time limit of a call or a dial.
constexpr milliseconds kAtOnce{1'000};

// A leader who takes what he is asked and says nothing, as one does that was cut off.
asio::awaitable<Result<std::string>> say_nothing(int* asked) {
  ++*asked;
  asio::steady_timer never(co_await asio::this_coro::executor, kLong);
  boost::system::error_code cancelled;
  co_await never.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  co_return fail(ErrorKind::cancelled, "nobody waits any more");
}

struct Asker {
  explicit Asker(World& in)
      : world(in),
        forwarder(std::make_shared<Forwarder>(in.loop.get_executor(),
                                              in.node(2, model::NodeRole::manager))) {}
  ~Asker() {
    forwarder->stop();
    world.settle();
  }
  // Asks and goes on; the outcome comes to `outcomes`.
  void ask(const std::string& address, const std::string& what) {
    asio::co_spawn(world.loop, forwarder->call(address, Method::forward, what, kLong),
                   [this](std::exception_ptr thrown, Result<std::string> outcome) {
                     REQUIRE(thrown == nullptr);
                     outcomes.push_back(std::move(outcome));
                   });
  }
  World& world;
  std::shared_ptr<Forwarder> forwarder;
  std::vector<Result<std::string>> outcomes;
};

}  // namespace

// Without it the callers wait for their own deadline, or until TCP gives the connection up.
TEST_CASE("writes that wait for a leader who is gone are told at once that it is not known") {
  World world;
  int asked = 0;
  transport::RpcServer server(world.loop.get_executor(), world.server_options());
  server.handle(Method::forward,
                [&](transport::Caller, std::string what) -> asio::awaitable<Result<std::string>> {
                  if (what == "silence") co_return co_await say_nothing(&asked);
                  co_return "done: " + what;
                });
  REQUIRE(server.listen("127.0.0.1:0"));
  Asker asker(world);
  asker.ask(world.address(server), "silence");
  asker.ask(world.address(server), "silence");
  world.until([&] { return asked == 2; });
  CHECK(asker.outcomes.empty());

  const auto begun = std::chrono::steady_clock::now();
  asker.forwarder->abandon("another manager leads");
  world.until([&] { return asker.outcomes.size() == 2; });
  CHECK(std::chrono::steady_clock::now() - begun < kAtOnce);
  for (const Result<std::string>& outcome : asker.outcomes) {
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().kind == ErrorKind::unknown_outcome);
  }

  asker.ask(world.address(server), "again");
  world.until([&] { return asker.outcomes.size() == 3; });
  REQUIRE(asker.outcomes.back());
  CHECK(*asker.outcomes.back() == "done: again");
}

TEST_CASE("who asks while the leader is dialled shares the dial, and nothing was sent if it ends") {
  World world;
  using asio::ip::tcp;
  tcp::acceptor mute(world.loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  std::deque<tcp::socket> accepted;  // and never spoken to
  std::function<void()> accept = [&] {
    mute.async_accept([&](const boost::system::error_code& error, tcp::socket socket) {
      if (error) return;
      accepted.push_back(std::move(socket));
      accept();
    });
  };
  accept();
  Asker asker(world);
  const std::string address = "127.0.0.1:" + std::to_string(mute.local_endpoint().port());
  asker.ask(address, "one");
  asker.ask(address, "another");
  world.until([&] { return !accepted.empty(); });

  const auto begun = std::chrono::steady_clock::now();
  asker.forwarder->abandon("another manager leads");
  world.until([&] { return asker.outcomes.size() == 2; });
  CHECK(std::chrono::steady_clock::now() - begun < kAtOnce);
  for (const Result<std::string>& outcome : asker.outcomes) {
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().kind == ErrorKind::unavailable);
  }
  CHECK(accepted.size() == 1);
  accepted.clear();
  mute.close();
}
