// What a host and a helper process say to each other: frames of a fixed head and a body of texts.
//
// Both ends are built from the same tree and speak the same version, told in the first frame; the
// numbers are in the machine's own order. The head says how long the body is and where its texts
// begin; documents travel as they are. Nothing that comes is trusted: a frame that is too long for
// its kind, points beyond itself or may not come from this side is `broken`, and whoever sees one
// ends the connection.
//
//   host                                     helper
//   hello   (limits, identity, ...)    ->
//                                      <-    ready (what the driver has) | refused (why)
//   call    number, deadline, request  ->
//                                      <-    item number, document    any times
//   taken   number, count              ->    so many items were read
//                                      <-    reply number, status, reply, error
//   cancel  number, log_level, end     ->
//                                      <-    log, metric              at any time
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/host/instance.hpp"
#include "sdk/host/note.hpp"

namespace skep::host {

inline constexpr uint32_t wire_version = 1;

enum class FrameKind : uint16_t {
  hello = 1,
  call = 2,       // first: interface, second: key, rest: request; code: offset; value: deadline
  cancel = 3,     // number
  taken = 4,      // number; value: items read since the last such frame
  log_level = 5,  // code
  end = 6,
  // From here on the helper's.
  ready = 16,
  refused = 17,  // code: ErrorKind; rest: sentence
  reply = 20,    // number; code: status; second: reply; rest: error
  item = 21,     // number; rest: document
  log = 22,      // number; code: level; rest: message
  metric = 23,   // code: 1 sets a gauge, 0 adds; value; rest: name
};

struct FrameHead {
  uint32_t size = 0;  // of the body, bytes
  FrameKind kind = FrameKind::hello;
  uint16_t first = 0;   // length of the body's first text
  uint32_t second = 0;  // of the one behind it; the rest of the body is the third
  int32_t code = 0;
  uint64_t number = 0;
  int64_t value = 0;
};
static_assert(sizeof(FrameHead) == 32);

// A frame that has come. Texts are borrowed from its reader.
struct Frame {
  FrameHead head;
  std::string_view first;
  std::string_view second;
  std::string_view rest;
};

// Who may send a frame.
enum class Side : uint8_t { host, helper };

// Whether a frame with this head may come from `sender`.
bool is_sound(const FrameHead& head, Side sender);

// Cuts what came from a stream socket into frames.
class FrameReader {
 public:
  explicit FrameReader(Side sender);

  // Where to receive to; never empty. Frames given out before are invalid afterwards.
  std::span<char> room();
  void received(size_t count) { end_ += count; }

  enum class Next : uint8_t { frame, more, broken };
  // `frame`: one is in `frame`, valid until room(). `more`: receive first.
  Next next(Frame& frame);
  // Overwrites the body of a frame that is still valid, for it may hold secrets.
  void forget(const Frame& frame);

 private:
  size_t wanted() const;  // bytes of the frame at the front, as far as known

  const Side sender_;
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// A frame to be sent, as pieces that are borrowed; sending may stop anywhere and go on later.
class FramePieces {
 public:
  // Fills in the lengths of `head`.
  FramePieces(FrameHead head, std::string_view first, std::string_view second,
              std::string_view rest);
  FramePieces(const FramePieces&) = delete;
  FramePieces& operator=(const FramePieces&) = delete;

  enum class Sent : uint8_t { all, part, gone };
  // Sends what `socket` takes at once; `gone`: it can't take any more, ever.
  Sent send_some(int socket);
  // What was not sent yet.
  std::string left() const;
  size_t size() const { return left_; }

 private:
  FrameHead head_;
  std::array<iovec, 4> pieces_{};
  size_t left_ = 0;  // bytes
};

// The first frame: all that a helper has to know before it maps the library.
struct Hello {
  std::string name;
  std::string path;  // of the library, for messages
  std::string cgroup;
  bool load_path = false;  // map `path` itself, not descriptor 4
  bool core_dump = false;
  int64_t address_space_bytes = 0;
  int64_t open_files = 0;
  int32_t log_level = SKEP_LOG_INFO;
  HostShape shape;
  PluginIdentity identity;

  bool operator==(const Hello& other) const;
};
std::string to_body(const Hello& hello);
// False when it is none, or of another version of the wire.
bool from_body(std::string_view body, Hello& hello);

// The answer: what the driver has.
struct Ready {
  uint32_t flags = 0;
  std::string config_schema;
  std::string options_schema;
  std::vector<const Operation*> present;
};
std::string to_body(const Ready& ready);
bool from_body(std::string_view body, Ready& ready);

}  // namespace skep::host
