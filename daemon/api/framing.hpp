// How two output streams share one connection: an eight-byte header before each piece.
//
// Byte 0 is the stream (1 output, 2 errors), bytes 4 to 7 the length, big-endian. With a terminal
// there is one stream and no header.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace skep::api {

inline constexpr char kMultiplexed[] = "application/vnd.docker.multiplexed-stream";
inline constexpr char kRawStream[] = "application/vnd.docker.raw-stream";

inline std::string framed(bool is_stderr, std::string_view bytes) {
  const size_t size = bytes.size();
  std::string frame(8, '\0');
  frame[0] = is_stderr ? 2 : 1;
  for (int i = 0; i < 4; ++i) frame[4 + i] = static_cast<char>((size >> (24 - 8 * i)) & 0xff);
  return frame.append(bytes);
}

}  // namespace skep::api
