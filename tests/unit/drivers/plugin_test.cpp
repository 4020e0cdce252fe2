// Every way in which a driver ends a call, or fails to, in both places it may run in.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/plugin.hpp"

#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <vector>

#include "tests/fakes/plugins/behaviour.h"
#include "tests/fakes/plugins/crashes.h"
#include "tests/unit/drivers/run.hpp"

namespace {

namespace asio = boost::asio;
using skep::ErrorKind;
using skep::Result;
using skep::drivers::CallOptions;
using skep::drivers::Isolation;
using skep::drivers::Plugin;
using skep::drivers::PluginConfig;
using skep::host::Effect;
using skep::host::Operation;
using skep::test::fake_plugin;
using skep::test::Place;
using skep::test::plugin_config;
using skep::test::run;
using skep::test::until;
using Reply = Result<std::string>;

// The operations of the fake, which no catalog knows.
const Operation echo{SKEP_TEST_BEHAVIOUR, "echo", offsetof(skep_test_behaviour, echo), {}};
const Operation echo_later{
    SKEP_TEST_BEHAVIOUR, "echo_later", offsetof(skep_test_behaviour, echo_later), {}};
const Operation fails{SKEP_TEST_BEHAVIOUR, "fails", offsetof(skep_test_behaviour, fails), {}};
const Operation items{SKEP_TEST_BEHAVIOUR, "items", offsetof(skep_test_behaviour, items), {}};
const Operation lies{SKEP_TEST_BEHAVIOUR, "lies", offsetof(skep_test_behaviour, lies), {}};
const Operation order{
    SKEP_TEST_BEHAVIOUR, "order", offsetof(skep_test_behaviour, order), {}, Effect::changes};
const Operation sleeps{
    SKEP_TEST_BEHAVIOUR, "sleeps", offsetof(skep_test_behaviour, sleeps), {}, Effect::changes};
const Operation twice{SKEP_TEST_BEHAVIOUR, "twice", offsetof(skep_test_behaviour, twice), {}};
const Operation until_cancelled{
    SKEP_TEST_BEHAVIOUR, "until_cancelled", offsetof(skep_test_behaviour, until_cancelled), {}};

// The fake in C on a loop of its own; each test runs once for each mode.
struct Fixture {
  const Isolation isolation = GENERATE(Isolation::in_process, Isolation::process);
  Place place;
  asio::io_context loop;
  std::unique_ptr<Plugin> plugin = open("fake-behaviour");

  std::unique_ptr<Plugin> open(const std::string& name) {
    Result<std::unique_ptr<Plugin>> opened =
        run(loop, Plugin::open(plugin_config(name, name, isolation), place.place()));
    if (!opened) FAIL(opened.error().message);
    return std::move(*opened);
  }
  Reply call(const Operation& operation, CallOptions options = {}) {
    return run(loop, plugin->call(operation, "", "{\"a\":1}", std::move(options)));
  }
  // Starts a call; its reply lands in `replies`, in the order of completion.
  void start(const Operation& operation, std::string key, std::string request,
             std::vector<Reply>& replies, CallOptions options = {}) {
    asio::co_spawn(loop,
                   plugin->call(operation, std::move(key), std::move(request), std::move(options)),
                   [&replies](std::exception_ptr error, Reply reply) {
                     if (error) std::rethrow_exception(error);
                     replies.push_back(std::move(reply));
                   });
  }
  void until_count(const std::vector<Reply>& replies, size_t count) {
    REQUIRE(until(loop, [&] { return replies.size() == count; }));
  }
};

CallOptions within_ms(int64_t milliseconds) {
  CallOptions options;
  options.deadline_ms = milliseconds;
  return options;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a reply comes from inside the call or from a later thread") {
  CHECK(call(echo) == Reply("{\"a\":1}"));
  CHECK(call(echo_later) == Reply("{\"a\":1}"));
}

TEST_CASE_METHOD(Fixture, "a driver's error keeps its kind, and a broken promise is internal") {
  CHECK(call(fails).error().kind == ErrorKind::busy);
  CHECK(call(lies).error().kind == ErrorKind::internal);
  CHECK(call(SKEP_OPERATION(SKEP_BASE_1, skep_base_1, dump)).error().kind ==
        ErrorKind::unimplemented);
  const std::string large(SKEP_REQUEST_MAX + 1, 'x');
  CHECK(run(loop, plugin->call(echo, "", large, {})).error().kind == ErrorKind::too_large);
  const std::string key(SKEP_ID_MAX + 1, 'k');
  CHECK(run(loop, plugin->call(echo, key, "{}", {})).error().kind == ErrorKind::invalid);
}

TEST_CASE_METHOD(Fixture, "a second completion changes nothing") {
  CHECK(call(twice) == Reply("\"first\""));
  CHECK(call(echo) == Reply("{\"a\":1}"));
}

TEST_CASE_METHOD(Fixture, "an exception that crosses is the call's error") {
  const Operation misbehave{
      SKEP_TEST_CRASHES, "misbehave", offsetof(skep_test_crashes, misbehave), {}};
  plugin = open("fake-crashes");
  const Reply thrown = run(loop, plugin->call(misbehave, "", "\"throw\"", {}));
  REQUIRE_FALSE(thrown.has_value());
  CHECK(thrown.error().message.find("over the wall") != std::string::npos);
  const Reply number = run(loop, plugin->call(misbehave, "", "\"throw_int\"", {}));
  REQUIRE_FALSE(number.has_value());
  CHECK(number.error().kind == ErrorKind::internal);
}

TEST_CASE_METHOD(Fixture, "a driver without skep.base/1 is refused") {
  const auto opened =
      run(loop, Plugin::open(plugin_config("throws", "fake-throws", isolation), place.place()));
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().message.find("has no skep.base/1") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a passed deadline ends the wait and cancels the operation") {
  const Reply reply = call(until_cancelled, within_ms(30));
  REQUIRE_FALSE(reply.has_value());
  CHECK(reply.error().kind == ErrorKind::deadline);
  // The driver's late answer goes nowhere, and the plugin ends without waiting for its patience.
  const auto start = std::chrono::steady_clock::now();
  plugin.reset();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(4));
}

TEST_CASE_METHOD(Fixture, "cancelling the coroutine gives cancelled and tells the driver") {
  asio::cancellation_signal signal;
  std::optional<Reply> reply;
  asio::co_spawn(loop, plugin->call(until_cancelled, "", "{}", within_ms(-1)),
                 asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr, Reply value) {
                   reply = std::move(value);
                 }));
  asio::steady_timer later(loop, std::chrono::milliseconds(20));
  later.async_wait(
      [&](const boost::system::error_code&) { signal.emit(asio::cancellation_type::terminal); });
  REQUIRE(until(loop, [&] { return reply.has_value(); }));
  REQUIRE_FALSE(reply->has_value());
  CHECK(reply->error().kind == ErrorKind::cancelled);
  plugin.reset();  // ends, because the operation saw that it was cancelled
}

TEST_CASE_METHOD(Fixture, "ending a plugin wakes who waits for it") {
  std::vector<Reply> replies;
  start(until_cancelled, "", "{}", replies, within_ms(-1));
  asio::steady_timer later(loop, std::chrono::milliseconds(20));
  later.async_wait([&](const boost::system::error_code&) { plugin.reset(); });
  until_count(replies, 1);
  REQUIRE_FALSE(replies[0].has_value());
  CHECK(replies[0].error().kind == ErrorKind::cancelled);
}

TEST_CASE("a loop that goes before its plugin takes its waiting coroutines along") {
  const Place place;
  std::unique_ptr<Plugin> plugin;
  {
    asio::io_context loop;
    PluginConfig config = plugin_config("fake", "fake-behaviour", Isolation::in_process);
    plugin = std::move(run(loop, Plugin::open(std::move(config), place.place())).value());
    asio::co_spawn(loop, plugin->call(until_cancelled, "", "{}", within_ms(-1)),
                   [](std::exception_ptr, Reply) {});
    loop.run_for(std::chrono::milliseconds(20));
  }
  plugin.reset();
}

TEST_CASE_METHOD(Fixture, "calls with one key never overlap, others do") {
  std::vector<Reply> replies;
  for (int i = 0; i < 4; ++i) start(sleeps, "same", "{}", replies);
  until_count(replies, 4);
  for (const Reply& reply : replies) CHECK(reply == Reply("1"));
  replies.clear();
  for (int i = 0; i < 8; ++i) start(sleeps, "key" + std::to_string(i), "{}", replies);
  until_count(replies, 8);
  CHECK(std::stoi(*replies.back()) > 1);
}

TEST_CASE_METHOD(Fixture, "calls with one key keep their order") {
  std::vector<Reply> replies;
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    const std::string request = std::to_string(i) + ",";
    expected += request;
    start(order, "same", request, replies);
  }
  until_count(replies, 200);
  CHECK(replies.back() == Reply(expected));
}

TEST_CASE_METHOD(Fixture, "a hundred calls at once use no more than the bounded threads") {
  std::vector<Reply> replies;
  for (int i = 0; i < 100; ++i) start(sleeps, "", "{}", replies);
  until_count(replies, 100);
  CHECK(std::stoi(*replies.back()) <= 32);
}

TEST_CASE_METHOD(Fixture, "items of a stream come in order and before its end") {
  std::vector<std::string> seen;
  CallOptions options;
  options.on_item = [&](std::string_view item) { seen.emplace_back(item); };
  CHECK(call(items, std::move(options)) == Reply("\"end\""));
  REQUIRE(seen.size() == 100);
  for (size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == "{\"n\":" + std::to_string(i) + "}");
}

TEST_CASE_METHOD(Fixture, "a call that waits for its key until its deadline costs no life") {
  std::vector<Reply> replies;
  for (int i = 0; i < 20; ++i) start(sleeps, "k", "{}", replies);  // one second in all
  Reply late = skep::fail(ErrorKind::internal, "");
  asio::co_spawn(loop, plugin->call(sleeps, "k", "{}", within_ms(20)),
                 [&](std::exception_ptr, Reply reply) { late = std::move(reply); });
  until_count(replies, 20);
  CHECK(late.error().kind == ErrorKind::deadline);
  for (const Reply& reply : replies) CHECK(reply.has_value());
  CHECK(plugin->report().restarts == 0);
}
