// Peers that don't keep the protocol: what they send is refused, said in the log, and costs them
// their own connection only.
// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/connect.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "daemon/transport/frame_reader.hpp"
#include "daemon/transport/tls.hpp"
#include "tests/unit/transport/world.hpp"

using namespace skep;
using namespace skep::transport;
using asio::ip::tcp;

namespace {

struct Heard {
  std::string bytes;
  bool ended = false;
};

// Shakes hands as `who`, sends the bytes, and reads until the server closes (or closes itself).
asio::awaitable<Heard> speak(World& world, uint16_t port, std::optional<NodeCredentials> who,
                             std::string bytes, bool hang_up) {
  const NodeCredentials* credentials = who ? &*who : nullptr;
  const TlsContext context = *client_context(world.root.certificate_pem, credentials);
  TlsStream stream(world.loop, *context);
  const tcp::endpoint there(asio::ip::address_v4::loopback(), port);
  co_await stream.next_layer().async_connect(there, asio::use_awaitable);
  co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  boost::system::error_code code;
  co_await asio::async_write(stream, asio::buffer(bytes),
                             asio::redirect_error(asio::use_awaitable, code));
  Heard heard;
  if (hang_up) {
    stream.next_layer().close();
    co_return heard;
  }
  std::string chunk(4096, '\0');
  while (true) {
    const size_t got = co_await stream.async_read_some(
        asio::buffer(chunk), asio::redirect_error(asio::use_awaitable, code));
    if (code) break;
    heard.bytes.append(chunk, 0, got);
  }
  heard.ended = true;
  co_return heard;
}

// The Goodbye's sentence, or "" if the last frame wasn't one.
std::string goodbye_of(const std::string& bytes) {
  FrameReader reader(kFrameBytesMax);
  reader.feed(bytes);
  std::string sentence;
  while (true) {
    const Result<std::optional<rpc::Frame>> frame = reader.next();
    if (!frame || !*frame) return sentence;
    sentence = (*frame)->has_goodbye() ? (*frame)->goodbye().failure().sentence() : "";
  }
}

struct Fixture {
  World world;
  RpcServer server{world.loop.get_executor(), world.server_options()};
  NodeCredentials worker = world.node(9, model::NodeRole::worker);
  Fixture() {
    server.handle(Method::heartbeat,
                  [](Caller, std::string payload) -> asio::awaitable<Result<std::string>> {
                    co_return payload;
                  });
    REQUIRE(server.listen("127.0.0.1:0"));
  }
  Heard send(std::string bytes, bool hang_up = false) {
    return world.run(speak(world, server.port(), worker, std::move(bytes), hang_up));
  }
  // The server still serves others.
  void still_well() {
    auto client = world.run(RpcClient::connect(world.loop.get_executor(), world.address(server),
                                               world.client_options(worker)));
    REQUIRE(client);
    CHECK(world.run((*client)->call(Method::heartbeat, "x", std::chrono::seconds(10))) == "x");
  }
};

}  // namespace

TEST_CASE("an oversized frame ends the connection, with the reason on both sides") {
  Fixture f;
  const Heard heard = f.send(std::string("\x7f\xff\xff\xff", 4) + "and the beginning of it");
  CHECK(heard.ended);
  CHECK(goodbye_of(heard.bytes).find("is over the limit") != std::string::npos);
  f.world.until([&] { return f.world.was_logged("is over the limit"); });
  f.still_well();
}

TEST_CASE("a stranger's frames have a smaller limit") {
  Fixture f;
  const std::string length("\x00\x02\x00\x00", 4);  // 128 KiB
  const Heard stranger = f.world.run(speak(f.world, f.server.port(), std::nullopt, length, false));
  CHECK(goodbye_of(stranger.bytes).find("is over the limit of 66560") != std::string::npos);
}

TEST_CASE("garbage ends the connection, with the reason on both sides") {
  Fixture f;
  const Heard heard = f.send(std::string("\0\0\0\5", 4) + "\xff\xff\xff\xff\xff");
  CHECK(goodbye_of(heard.bytes) == "what arrived isn't a frame of this protocol");
  f.world.until([&] { return f.world.was_logged("isn't a frame of this protocol"); });
  f.still_well();
}

TEST_CASE("a connection cut in the middle of a frame is said so") {
  Fixture f;
  rpc::Frame frame;
  frame.set_stream(1);
  frame.mutable_request()->set_payload("some bytes that don't all arrive");
  f.send(frame_bytes(frame).substr(0, 12), true);
  f.world.until([&] { return f.world.was_logged("cut in the middle of a frame"); });
  f.still_well();
}

TEST_CASE("an unknown method, version, cluster or too large a request is answered as such") {
  Fixture f;
  rpc::Frame frame;
  frame.set_stream(1);
  rpc::Request* request = frame.mutable_request();
  request->set_protocol_version(kProtocolVersion);
  request->set_method(static_cast<uint32_t>(Method::heartbeat));
  std::string expected;
  SECTION("method") {
    request->set_method(70'000);
    expected = "unknown method 70000";
  }
  SECTION("version") {
    request->set_protocol_version(kProtocolVersion + 2);
    expected = "isn't spoken here";
  }
  SECTION("cluster") {
    request->set_cluster(std::string(16, 'z'));
    expected = "this node belongs to another cluster";
  }
  SECTION("size") {
    request->set_payload(std::string(70'000, 'x'));
    expected = "over the limit of 65536";
  }
  // A second, wrong frame makes the server end the connection, which ends the reading.
  rpc::Frame wrong;
  wrong.mutable_end();
  const Heard heard = f.send(frame_bytes(frame) + frame_bytes(wrong));
  FrameReader reader(kFrameBytesMax);
  reader.feed(heard.bytes);
  const Result<std::optional<rpc::Frame>> first = reader.next();
  REQUIRE(first);
  REQUIRE(*first);
  // The refusal may be overtaken by the Goodbye, which drops what is queued; the log has both.
  f.world.until([&] { return f.world.was_logged(expected); });
  CHECK(goodbye_of(heard.bytes) == "a frame that only the accepting side may send");
}

TEST_CASE("something that doesn't speak TLS is no manager") {
  World world;
  tcp::acceptor plain(world.loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  plain.async_accept([](boost::system::error_code code, tcp::socket socket) {
    if (!code)
      asio::write(socket, asio::buffer(std::string("HTTP/1.1 400 Bad Request\r\n\r\n")), code);
  });
  const std::string address = "127.0.0.1:" + std::to_string(plain.local_endpoint().port());
  const auto client = world.run(
      RpcClient::connect(world.loop.get_executor(), address, world.client_options(std::nullopt)));
  REQUIRE_FALSE(client);
  CHECK(client.error().message.find(address + ": it is not a skep manager") != std::string::npos);
}

TEST_CASE("something that accepts and then says nothing is given up in time") {
  World world;
  tcp::acceptor silent(world.loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  ClientOptions options = world.client_options(std::nullopt);
  options.connect_timeout = std::chrono::milliseconds(100);
  const std::string address = "127.0.0.1:" + std::to_string(silent.local_endpoint().port());
  const auto client =
      world.run(RpcClient::connect(world.loop.get_executor(), address, std::move(options)));
  REQUIRE_FALSE(client);
  CHECK(client.error().message.find("no answer in time") != std::string::npos);
}
