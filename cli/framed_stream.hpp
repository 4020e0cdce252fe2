// Takes apart the multiplexed stream of logs and exec: 8-byte headers (stream, length), payloads.
//
// Bytes are fed as they arrive and cut anywhere; payloads come out whole or in pieces, never mixed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"

namespace skep::cli {

enum class OutputStream : uint8_t { standard_input = 0, standard_output = 1, standard_error = 2 };

class FramedStream {
 public:
  using Sink = std::function<void(OutputStream stream, std::string_view payload)>;

  // Fails when the bytes are not such a stream, or carry the daemon's error (stream 3).
  Status feed(std::string_view bytes, const Sink& sink);

  // Whether the last byte fed ended a frame.
  bool at_boundary() const { return header_bytes_ == 0 && payload_left_ == 0; }

 private:
  std::array<unsigned char, 8> header_{};
  size_t header_bytes_ = 0;
  uint32_t payload_left_ = 0;
  std::string system_error_;
};

}  // namespace skep::cli
