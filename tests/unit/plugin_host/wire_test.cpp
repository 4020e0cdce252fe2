// Frames cut anywhere, frames that lie, and text that is none.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/wire.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "sdk/host/utf8.hpp"

namespace {

using namespace skep::host;

std::string frame_bytes(FrameKind kind, std::string_view first, std::string_view second,
                        std::string_view rest) {
  FrameHead head;
  head.kind = kind;
  head.number = 7;
  head.value = -1;
  return FramePieces(head, first, second, rest).left();
}

// What a reader makes of `bytes` when they come in pieces of `piece`.
std::vector<std::string> read(std::string_view bytes, Side sender, size_t piece) {
  FrameReader reader(sender);
  std::vector<std::string> found;
  while (!bytes.empty()) {
    const std::span<char> room = reader.room();
    const size_t count = std::min({bytes.size(), room.size(), piece});
    std::memcpy(room.data(), bytes.data(), count);
    reader.received(count);
    bytes.remove_prefix(count);
    Frame frame;
    FrameReader::Next next = FrameReader::Next::more;
    while ((next = reader.next(frame)) == FrameReader::Next::frame) {
      found.push_back(std::string(frame.first) + "|" + std::string(frame.second) + "|" +
                      std::string(frame.rest));
    }
    if (next == FrameReader::Next::broken) {
      found.push_back("broken");
      break;
    }
  }
  return found;
}

}  // namespace

TEST_CASE("frames are the same however the socket cuts them, also ones larger than the buffer") {
  const std::string large(300'000, 'x');
  const std::string bytes = frame_bytes(FrameKind::call, "skep.base/1", "key", "{}") +
                            frame_bytes(FrameKind::end, {}, {}, {}) +
                            frame_bytes(FrameKind::call, "i", {}, large) +
                            frame_bytes(FrameKind::call, "i", "k", "last");
  const std::vector<std::string> wanted = {"skep.base/1|key|{}", "||", "i||" + large, "i|k|last"};
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{33}, size_t{65536}, size_t{1} << 20}) {
    CHECK(read(bytes, Side::host, piece) == wanted);
  }
}

TEST_CASE("a frame that lies about its size or its sender is broken") {
  const std::vector<std::string> broken = {"broken"};
  CHECK(read(frame_bytes(FrameKind::reply, {}, {}, "{}"), Side::host, 100) == broken);
  CHECK(read(frame_bytes(FrameKind::call, {}, {}, "{}"), Side::helper, 100) == broken);
  CHECK(read(frame_bytes(FrameKind{99}, {}, {}, {}), Side::helper, 100) == broken);
  CHECK(read(frame_bytes(FrameKind::cancel, {}, {}, "x"), Side::host, 100) == broken);
  CHECK(read(frame_bytes(FrameKind::item, {}, {}, std::string(item_max + 1, 'x')), Side::helper,
             100) == broken);
  FrameHead head;
  head.kind = FrameKind::reply;
  head.size = 10;
  head.second = 11;
  CHECK_FALSE(is_sound(head, Side::helper));
  head.second = UINT32_MAX;
  head.first = UINT16_MAX;
  CHECK_FALSE(is_sound(head, Side::helper));
  head.first = 0;
  head.second = 10;
  CHECK(is_sound(head, Side::helper));
}

TEST_CASE("hello and ready come out as they went in, and not when a byte is missing") {
  Hello hello;
  hello.name = "n";
  hello.path = "/p";
  hello.cgroup = "/c";
  hello.load_path = true;
  hello.address_space_bytes = int64_t{5} << 30;
  hello.open_files = 7;
  hello.shape.table_size = 64;
  hello.identity = {1, 0, 0, "id", "v", {"skep.base/1", "skep.volume/1"}};
  const std::string body = to_body(hello);
  Hello read_hello;
  CHECK(from_body(body, read_hello));
  CHECK(read_hello == hello);
  Ready ready;
  ready.flags = 3;
  ready.config_schema = "{}";
  ready.present = {find_operation(SKEP_VOLUME_1, "create")};
  Ready read_ready;
  CHECK(from_body(to_body(ready), read_ready));
  CHECK(read_ready.present == ready.present);
  CHECK(read_ready.flags == 3);
  for (size_t size = 0; size < body.size(); ++size) {
    Hello cut;
    CHECK_FALSE(from_body(std::string_view(body).substr(0, size), cut));
  }
  std::string other_version = body;
  other_version[0] = 99;
  CHECK_FALSE(from_body(other_version, read_hello));
}

TEST_CASE("text is UTF-8 in its shortest form, and is made so to be shown") {
  for (const char* good : {"", "ascii that is longer than a word", "\xc3\xa9", "\xe2\x82\xac",
                           "\xf0\x9f\x90\x9d", "mixed \xc3\xa9 and more", "\xed\x9f\xbf"}) {
    CHECK(is_utf8(good));
    CHECK(readable(good, 1000) == good);
  }
  for (const char* bad : {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80",
                          "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
                          "cut off \xe2\x82", "12345678\xff", "123456789\xe2"}) {
    CHECK_FALSE(is_utf8(bad));
    CHECK(is_utf8(readable(bad, 1000)));
  }
  CHECK(readable("\xe2\x82\xac\xe2\x82\xac", 5) == "\xe2\x82\xac");
  CHECK(readable("a\xff"
                 "b",
                 3) == "a?b");
}
