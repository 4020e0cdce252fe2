// Any bytes from the other side of a helper's socket: frames, the bodies of the first two, and
// text.
//
// The first byte chooses who speaks and in how large pieces it arrives.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/model/result.hpp"
#include "sdk/host/utf8.hpp"
#include "sdk/host/wire.hpp"

namespace {

using namespace skep::host;

void read_frames(std::string_view bytes, Side sender, size_t piece) {
  FrameReader reader(sender);
  while (!bytes.empty()) {
    const std::span<char> room = reader.room();
    SKEP_ASSERT(!room.empty(), "there is always room to receive");
    const size_t count = std::min({bytes.size(), room.size(), piece});
    std::memcpy(room.data(), bytes.data(), count);
    reader.received(count);
    bytes.remove_prefix(count);
    Frame frame;
    FrameReader::Next next = FrameReader::Next::more;
    while ((next = reader.next(frame)) == FrameReader::Next::frame) {
      SKEP_ASSERT(frame.first.size() + frame.second.size() + frame.rest.size() == frame.head.size,
                  "the three texts are the body");
    }
    if (next == FrameReader::Next::broken) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  read_frames(bytes, (data[0] & 1) != 0 ? Side::host : Side::helper, size_t{data[0]} + 1);
  Hello hello;
  static_cast<void>(from_body(bytes, hello));
  Ready ready;
  static_cast<void>(from_body(bytes, ready));
  const std::string shown = readable(bytes, 100);
  SKEP_ASSERT(is_utf8(shown) && shown.size() <= 100, "what is shown is text");
  SKEP_ASSERT(!is_utf8(bytes) || bytes.starts_with(shown), "good text is shown as it is");
  return 0;
}
