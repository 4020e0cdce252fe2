// The multiplexed stream, cut at every place it can be cut.
// SPDX-License-Identifier: Apache-2.0
#include "cli/framed_stream.hpp"

#include <catch2/catch.hpp>

using namespace skep::cli;

namespace {

std::string frame(char stream, std::string_view payload) {
  std::string out = {stream, 0, 0, 0, 0, 0, 0, static_cast<char>(payload.size())};
  return out.append(payload);
}

}  // namespace

TEST_CASE("payloads come out on their streams wherever the bytes are cut") {
  const std::string bytes = frame(1, "out\n") + frame(2, "err\n") + frame(1, "") + frame(1, "end");
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    std::string out;
    std::string err;
    FramedStream frames;
    const auto sink = [&](OutputStream stream, std::string_view payload) {
      (stream == OutputStream::standard_error ? err : out) += payload;
    };
    REQUIRE(frames.feed(bytes.substr(0, cut), sink));
    REQUIRE(frames.feed(bytes.substr(cut), sink));
    CHECK(out == "out\nend");
    CHECK(err == "err\n");
    CHECK(frames.at_boundary());
  }
}

TEST_CASE("a stream of something else is refused, and the daemon's error is passed on") {
  const auto sink = [](OutputStream, std::string_view) {};
  CHECK_FALSE(FramedStream().feed("HTTP/1.1 200 OK", sink));
  const auto status = FramedStream().feed(frame(3, "no such node"), sink);
  REQUIRE_FALSE(status);
  CHECK(status.error().message == "Error response from daemon: no such node");
}
