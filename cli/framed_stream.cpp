// The frame parser: collects a header, then hands on its payload.
// SPDX-License-Identifier: Apache-2.0
#include "cli/framed_stream.hpp"

#include <algorithm>

namespace skep::cli {
namespace {

constexpr unsigned char kSystemError = 3;
constexpr size_t kSystemErrorBytesMax = 64 * 1024;

}  // namespace

Status FramedStream::feed(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    if (payload_left_ == 0) {
      header_[header_bytes_++] = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      if (header_bytes_ < header_.size()) continue;
      header_bytes_ = 0;
      if (header_[0] > kSystemError || header_[1] != 0 || header_[2] != 0 || header_[3] != 0) {
        return fail(ErrorKind::internal, "the daemon's stream is not made of frames");
      }
      payload_left_ = static_cast<uint32_t>(header_[4]) << 24 |
                      static_cast<uint32_t>(header_[5]) << 16 |
                      static_cast<uint32_t>(header_[6]) << 8 | header_[7];
      continue;
    }
    const std::string_view piece = bytes.substr(0, payload_left_);
    bytes.remove_prefix(piece.size());
    payload_left_ -= static_cast<uint32_t>(piece.size());
    if (header_[0] != kSystemError) {
      sink(static_cast<OutputStream>(header_[0]), piece);
      continue;
    }
    system_error_ += piece.substr(
        0, kSystemErrorBytesMax - std::min(kSystemErrorBytesMax, system_error_.size()));
    if (payload_left_ == 0) {
      return fail(ErrorKind::internal, "Error response from daemon: " + system_error_);
    }
  }
  return {};
}

}  // namespace skep::cli
