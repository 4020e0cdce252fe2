// Frames in and out of bytes.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/wire.hpp"

#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace skep::host {
namespace {

constexpr size_t buffer_usual = size_t{64} << 10;
constexpr size_t buffer_kept = size_t{1} << 20;  // a larger one is given back once it is empty
// A request over the ABI's limit must get through, so that it can be refused in a sentence.
constexpr size_t call_max = size_t{64} << 20;
constexpr size_t schemas_max = size_t{4} << 20;
constexpr size_t small_max = size_t{64} << 10;

size_t body_max(FrameKind kind) {
  switch (kind) {
    case FrameKind::hello:
      return small_max;
    case FrameKind::call:
      return call_max;
    case FrameKind::cancel:
    case FrameKind::taken:
    case FrameKind::log_level:
    case FrameKind::end:
      return 0;
    case FrameKind::ready:
      return schemas_max;
    case FrameKind::refused:
      return small_max;
    case FrameKind::reply:
      return reply_max + SKEP_ERROR_MAX;
    case FrameKind::item:
      return item_max;
    case FrameKind::log:
      return small_max;
    case FrameKind::metric:
      return small_max;
  }
  return 0;
}

bool is_known(FrameKind kind, Side sender) {
  const auto number = static_cast<uint16_t>(kind);
  if (sender == Side::host) return number >= 1 && number <= 6;
  return number == 16 || number == 17 || (number >= 20 && number <= 23);
}

// Numbers and texts, one behind the other.
class Packer {
 public:
  void number(uint64_t value) { body_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void text(std::string_view value) {
    number(value.size());
    body_.append(value);
  }
  std::string take() { return std::move(body_); }

 private:
  std::string body_;
};

// The same, backwards; once something was missing, everything is empty and good() is false.
class Unpacker {
 public:
  explicit Unpacker(std::string_view body) : body_(body) {}
  uint64_t number() {
    uint64_t value = 0;
    const std::string_view bytes = take(sizeof value);
    if (good_) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  template <class T>
  void number(T& value) {
    value = static_cast<T>(number());
  }
  std::string text() { return std::string(take(number())); }
  bool good() const { return good_; }
  bool at_end() const { return good_ && body_.empty(); }

 private:
  std::string_view take(uint64_t size) {
    good_ = good_ && size <= body_.size();
    if (!good_) return {};
    const std::string_view taken = body_.substr(0, size);
    body_.remove_prefix(size);
    return taken;
  }

  std::string_view body_;
  bool good_ = true;
};

}  // namespace

bool is_sound(const FrameHead& head, Side sender) {
  return is_known(head.kind, sender) && head.size <= body_max(head.kind) &&
         uint64_t{head.first} + head.second <= head.size;
}

FrameReader::FrameReader(Side sender)
    : sender_(sender),
      buffer_(std::make_unique_for_overwrite<char[]>(buffer_usual)),
      capacity_(buffer_usual) {}

size_t FrameReader::wanted() const {
  FrameHead head;
  if (end_ - begin_ < sizeof head) return sizeof head;
  std::memcpy(&head, buffer_.get() + begin_, sizeof head);
  return sizeof head + head.size;
}

std::span<char> FrameReader::room() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (capacity_ > buffer_kept) {
      buffer_ = std::make_unique_for_overwrite<char[]>(buffer_usual);
      capacity_ = buffer_usual;
    }
  }
  // next() has found the head sound, so its size is bounded.
  const size_t needed = wanted();
  if (begin_ + needed > capacity_ || end_ == capacity_) {
    const size_t size = std::max(needed, capacity_);
    auto moved = std::make_unique_for_overwrite<char[]>(size);
    std::memcpy(moved.get(), buffer_.get() + begin_, end_ - begin_);
    explicit_bzero(buffer_.get() + begin_, end_ - begin_);
    buffer_ = std::move(moved);
    capacity_ = size;
    end_ -= begin_;
    begin_ = 0;
  }
  return {buffer_.get() + end_, capacity_ - end_};
}

FrameReader::Next FrameReader::next(Frame& frame) {
  if (end_ - begin_ < sizeof frame.head) return Next::more;
  std::memcpy(&frame.head, buffer_.get() + begin_, sizeof frame.head);
  if (!is_sound(frame.head, sender_)) return Next::broken;
  if (end_ - begin_ < sizeof frame.head + frame.head.size) return Next::more;
  const std::string_view body(buffer_.get() + begin_ + sizeof frame.head, frame.head.size);
  frame.first = body.substr(0, frame.head.first);
  frame.second = body.substr(frame.head.first, frame.head.second);
  frame.rest = body.substr(size_t{frame.head.first} + frame.head.second);
  begin_ += sizeof frame.head + frame.head.size;
  return Next::frame;
}

// It is what lies just before begin_.
void FrameReader::forget(const Frame& frame) {
  explicit_bzero(buffer_.get() + begin_ - frame.head.size, frame.head.size);
}

FramePieces::FramePieces(FrameHead head, std::string_view first, std::string_view second,
                         std::string_view rest)
    : head_(head) {
  head_.first = static_cast<uint16_t>(first.size());
  head_.second = static_cast<uint32_t>(second.size());
  head_.size = static_cast<uint32_t>(first.size() + second.size() + rest.size());
  const auto piece = [](std::string_view text) {
    return iovec{const_cast<char*>(text.data()), text.size()};
  };
  pieces_ = {iovec{&head_, sizeof head_}, piece(first), piece(second), piece(rest)};
  left_ = sizeof head_ + head_.size;
}

FramePieces::Sent FramePieces::send_some(int socket) {
  while (left_ > 0) {
    msghdr message{};
    message.msg_iov = pieces_.data();
    message.msg_iovlen = pieces_.size();
    const ssize_t count = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN ? Sent::part : Sent::gone;
    auto taken = static_cast<size_t>(count);
    left_ -= taken;
    for (iovec& piece : pieces_) {
      const size_t part = std::min(taken, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + part;
      piece.iov_len -= part;
      taken -= part;
    }
  }
  return Sent::all;
}

std::string FramePieces::left() const {
  std::string bytes;
  bytes.reserve(left_);
  for (const iovec& piece : pieces_) {
    bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return bytes;
}

bool Hello::operator==(const Hello& other) const {
  return to_body(*this) == to_body(other);
}

std::string to_body(const Hello& hello) {
  Packer packer;
  packer.number(wire_version);
  packer.text(hello.name);
  packer.text(hello.path);
  packer.text(hello.cgroup);
  packer.number(hello.load_path ? 1 : 0);
  packer.number(hello.core_dump ? 1 : 0);
  packer.number(static_cast<uint64_t>(hello.address_space_bytes));
  packer.number(static_cast<uint64_t>(hello.open_files));
  packer.number(static_cast<uint64_t>(hello.log_level));
  packer.number(hello.shape.abi_minor);
  packer.number(hello.shape.table_size);
  packer.number(hello.identity.abi_major);
  packer.number(hello.identity.abi_minor);
  packer.number(hello.identity.host_minor_needed);
  packer.text(hello.identity.id);
  packer.text(hello.identity.version);
  packer.number(hello.identity.interfaces.size());
  for (const std::string& interface : hello.identity.interfaces) packer.text(interface);
  return packer.take();
}

bool from_body(std::string_view body, Hello& hello) {
  Unpacker unpacker(body);
  if (unpacker.number() != wire_version) return false;
  hello.name = unpacker.text();
  hello.path = unpacker.text();
  hello.cgroup = unpacker.text();
  hello.load_path = unpacker.number() != 0;
  hello.core_dump = unpacker.number() != 0;
  unpacker.number(hello.address_space_bytes);
  unpacker.number(hello.open_files);
  unpacker.number(hello.log_level);
  unpacker.number(hello.shape.abi_minor);
  unpacker.number(hello.shape.table_size);
  unpacker.number(hello.identity.abi_major);
  unpacker.number(hello.identity.abi_minor);
  unpacker.number(hello.identity.host_minor_needed);
  hello.identity.id = unpacker.text();
  hello.identity.version = unpacker.text();
  const uint64_t count = unpacker.number();
  for (uint64_t index = 0; index < count && unpacker.good(); ++index) {
    hello.identity.interfaces.push_back(unpacker.text());
  }
  return unpacker.at_end();
}

std::string to_body(const Ready& ready) {
  Packer packer;
  packer.number(ready.flags);
  packer.text(ready.config_schema);
  packer.text(ready.options_schema);
  packer.number(ready.present.size());
  for (const Operation* operation : ready.present) {
    packer.text(operation->interface);
    packer.text(operation->name);
  }
  return packer.take();
}

bool from_body(std::string_view body, Ready& ready) {
  Unpacker unpacker(body);
  unpacker.number(ready.flags);
  ready.config_schema = unpacker.text();
  ready.options_schema = unpacker.text();
  const uint64_t count = unpacker.number();
  for (uint64_t index = 0; index < count && unpacker.good(); ++index) {
    const std::string interface = unpacker.text();
    const std::string name = unpacker.text();
    const Operation* operation = find_operation(interface, name);
    if (operation == nullptr) return false;
    ready.present.push_back(operation);
  }
  return unpacker.at_end();
}

}  // namespace skep::host
