// Bytes to frames and back: the one place that looks at what a peer sent before anything else does.
//
// Fed with pieces of any size, it yields whole frames. It never holds more than one frame of the
// limit plus one piece: the length is judged as soon as its four bytes are there. After an error it
// yields nothing more, for there is no way to find the next frame. No socket here: the fuzzer
// drives it as the connection does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "daemon/transport/frame.pb.h"

namespace skep::transport {

// The protocol this build speaks; peers one version up or down are accepted.
inline constexpr uint32_t kProtocolVersion = 1;
constexpr bool version_accepted(uint32_t theirs) {
  return theirs + 1 >= kProtocolVersion && theirs <= kProtocolVersion + 1;
}

inline constexpr size_t kFrameLengthBytes = 4;
// Room for the fields around the largest payload of any method.
inline constexpr uint32_t kFrameEnvelopeBytes = 1024;
inline constexpr uint32_t kFrameBytesMax = 4 * 1024 * 1024 + kFrameEnvelopeBytes;
// What somebody without a certificate may send or be sent in one frame.
inline constexpr uint32_t kAnonymousFrameBytesMax = 64 * 1024 + kFrameEnvelopeBytes;

class FrameReader {
 public:
  // frame_bytes_max: the largest frame, without its length, that is accepted.
  explicit FrameReader(uint32_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole frame, or nullopt when more bytes are needed. Errors: too_large for a frame over
  // the limit, invalid for one that is no Frame or has no kind.
  Result<std::optional<rpc::Frame>> next();
  // True between the first byte of a frame and its last.
  bool in_frame() const { return buffer_.size() > consumed_; }

 private:
  void compact();

  uint32_t frame_bytes_max_;
  std::string buffer_;
  size_t consumed_ = 0;
  std::optional<Error> broken_;
};

// The frame with its length in front.
std::string frame_bytes(const rpc::Frame& frame);

void encode_failure(const Error& error, rpc::Failure* to);
Error decode_failure(const rpc::Failure& from);

}  // namespace skep::transport
