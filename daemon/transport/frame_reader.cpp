// The four bytes, the limit, and protobuf's parser.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/frame_reader.hpp"

namespace skep::transport {
namespace {

constexpr size_t kCompactBytes = 64 * 1024;  // below it moving the rest isn't worth it
constexpr size_t kSentenceBytesMax = 4096;   // a peer's words end up in our log

}  // namespace

Result<std::optional<rpc::Frame>> FrameReader::next() {
  if (broken_) return fail(*broken_);
  const size_t available = buffer_.size() - consumed_;
  if (available < kFrameLengthBytes) return std::optional<rpc::Frame>();
  uint32_t length = 0;
  for (size_t i = 0; i < kFrameLengthBytes; ++i) {
    length = (length << 8) | static_cast<uint8_t>(buffer_[consumed_ + i]);
  }
  if (length > frame_bytes_max_) {
    broken_ = Error{ErrorKind::too_large, "a frame of " + std::to_string(length) +
                                              " bytes is over the limit of " +
                                              std::to_string(frame_bytes_max_)};
    return fail(*broken_);
  }
  if (available - kFrameLengthBytes < length) return std::optional<rpc::Frame>();
  rpc::Frame frame;
  const char* body = buffer_.data() + consumed_ + kFrameLengthBytes;
  if (!frame.ParseFromArray(body, static_cast<int>(length)) ||
      frame.kind_case() == rpc::Frame::KIND_NOT_SET) {
    broken_ = Error{ErrorKind::invalid, "what arrived isn't a frame of this protocol"};
    return fail(*broken_);
  }
  consumed_ += kFrameLengthBytes + length;
  compact();
  return std::optional<rpc::Frame>(std::move(frame));
}

void FrameReader::compact() {
  if (consumed_ == buffer_.size()) {
    buffer_.clear();
    if (buffer_.capacity() > kCompactBytes) buffer_.shrink_to_fit();
    consumed_ = 0;
  } else if (consumed_ > kCompactBytes) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
}

std::string frame_bytes(const rpc::Frame& frame) {
  const size_t length = frame.ByteSizeLong();
  std::string bytes;
  bytes.reserve(kFrameLengthBytes + length);
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(static_cast<uint8_t>(length >> shift)));
  }
  frame.AppendToString(&bytes);
  return bytes;
}

void encode_failure(const Error& error, rpc::Failure* to) {
  to->set_kind(std::string(info(error.kind).name));
  to->set_sentence(error.message.substr(0, kSentenceBytesMax));
}

Error decode_failure(const rpc::Failure& from) {
  Error error;
  error.message = from.sentence().substr(0, kSentenceBytesMax);
  for (uint8_t k = 0; k <= static_cast<uint8_t>(ErrorKind::plugin_lost); ++k) {
    const ErrorKind kind = static_cast<ErrorKind>(k);
    if (info(kind).name == from.kind()) error.kind = kind;
  }
  return error;
}

}  // namespace skep::transport
