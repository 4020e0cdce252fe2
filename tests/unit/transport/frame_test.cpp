// The frame reader: pieces of any size in, whole frames out, and a limit that holds at once.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/frame_reader.hpp"

#include <catch2/catch.hpp>

#include "daemon/transport/address.hpp"

using namespace skep;
using namespace skep::transport;

namespace {

rpc::Frame item(uint64_t stream, size_t size) {
  rpc::Frame frame;
  frame.set_stream(stream);
  frame.mutable_item()->set_payload(std::string(size, 'x'));
  return frame;
}

}  // namespace

TEST_CASE("frames come out whole whatever the pieces") {
  const std::string bytes =
      frame_bytes(item(1, 10)) + frame_bytes(item(2, 0)) + frame_bytes(item(3, 300));
  for (const size_t piece : {1u, 2u, 7u, 1000u}) {
    FrameReader reader(1000);
    std::vector<uint64_t> streams;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      reader.feed(std::string_view(bytes).substr(at, piece));
      while (true) {
        const Result<std::optional<rpc::Frame>> frame = reader.next();
        REQUIRE(frame);
        if (!*frame) break;
        streams.push_back((*frame)->stream());
      }
    }
    CHECK(streams == std::vector<uint64_t>{1, 2, 3});
    CHECK_FALSE(reader.in_frame());
  }
}

TEST_CASE("a frame over the limit is refused by its length alone") {
  FrameReader reader(100);
  reader.feed(frame_bytes(item(1, 200)).substr(0, 4));
  const Result<std::optional<rpc::Frame>> frame = reader.next();
  REQUIRE_FALSE(frame);
  CHECK(frame.error().kind == ErrorKind::too_large);
  reader.feed(frame_bytes(item(1, 1)));
  CHECK_FALSE(reader.next());
}

TEST_CASE("bytes that are no frame are refused") {
  FrameReader reader(100);
  reader.feed(std::string("\0\0\0\3\xff\xff\xff", 7));
  CHECK(reader.next().error().kind == ErrorKind::invalid);
  FrameReader empty(100);
  empty.feed(std::string(4, '\0'));  // a Frame without a kind
  CHECK(empty.next().error().kind == ErrorKind::invalid);
}

TEST_CASE("every kind of error comes back from the wire as itself") {
  for (uint8_t k = 0; k <= static_cast<uint8_t>(ErrorKind::plugin_lost); ++k) {
    const Error sent{static_cast<ErrorKind>(k), "why"};
    rpc::Failure failure;
    encode_failure(sent, &failure);
    CHECK(decode_failure(failure) == sent);
  }
  rpc::Failure strange;
  strange.set_kind("from the future");
  CHECK(decode_failure(strange).kind == ErrorKind::internal);
}

TEST_CASE("addresses are read as people write them") {
  CHECK(parse_host_port("10.0.0.1")->str() == "10.0.0.1:2377");
  CHECK(parse_host_port("host:99")->str() == "host:99");
  CHECK(parse_host_port("fd00::1")->str() == "[fd00::1]:2377");
  CHECK(parse_host_port("[fd00::1]:5")->str() == "[fd00::1]:5");
  for (const char* bad : {"", ":1", "host:", "host:x", "host:70000", "[fd00::1", "[::1]x"}) {
    CHECK_FALSE(parse_host_port(bad));
  }
}

TEST_CASE("one protocol version up or down is accepted") {
  CHECK(version_accepted(kProtocolVersion));
  CHECK(version_accepted(kProtocolVersion + 1));
  CHECK(version_accepted(kProtocolVersion - 1));
  CHECK_FALSE(version_accepted(kProtocolVersion + 2));
}
