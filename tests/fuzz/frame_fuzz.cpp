// Whatever a peer sends: the frame reader fed in two pieces, and every message of the node protocol
// that a frame's payload could be, down to the model values.
//
// The first byte chooses the limit and the place of the cut. Nothing is expected but that it ends:
// no crash, no read beyond the bytes, no memory beyond the limit. Run with
// `./dev fuzz frame -max_len=70000`.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/model/codec/codec.hpp"
#include "core/raft/codec/message_codec.hpp"
#include "daemon/agent/assignment_state.hpp"
#include "daemon/transport/address.hpp"
#include "daemon/transport/frame_reader.hpp"
#include "daemon/transport/node_rpc.pb.h"

using namespace skep;

namespace {

void read_payload(const std::string& payload) {
  rpc::SessionRequest session;
  if (session.ParseFromString(payload)) (void)codec::decode(session.description());
  rpc::SessionItem session_item;
  if (session_item.ParseFromString(payload)) (void)codec::decode(session_item.node());
  rpc::StatusRequest status;
  if (status.ParseFromString(payload)) {
    for (const rpc::TaskStatusUpdate& update : status.updates()) {
      (void)codec::decode(update.status());
    }
  }
  rpc::AssignmentsItem item;
  agent::AssignmentState state;
  if (item.ParseFromString(payload) && state.apply(item)) (void)state.set();
  rpc::IssueCertificateRequest issue;
  (void)issue.ParseFromString(payload);
  (void)raft::decode_message(payload);
}

void read_frame(const rpc::Frame& frame) {
  switch (frame.kind_case()) {
    case rpc::Frame::kRequest:
      return read_payload(frame.request().payload());
    case rpc::Frame::kResponse:
      (void)transport::decode_failure(frame.response().failure());
      return read_payload(frame.response().payload());
    case rpc::Frame::kItem:
      return read_payload(frame.item().payload());
    case rpc::Frame::kGoodbye:
      (void)transport::decode_failure(frame.goodbye().failure());
      return;
    case rpc::Frame::kEnd:
    case rpc::Frame::kCancel:
    case rpc::Frame::KIND_NOT_SET:
      return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  transport::FrameReader reader(data[0] < 128 ? 100 : transport::kAnonymousFrameBytesMax);
  const size_t cut = bytes.size() * (data[0] % 128) / 128;
  for (const std::string_view piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
    reader.feed(piece);
    while (true) {
      const Result<std::optional<rpc::Frame>> frame = reader.next();
      if (!frame || !*frame) break;
      read_frame(**frame);
    }
  }
  read_payload(std::string(bytes));
  (void)transport::parse_host_port(bytes);
  return 0;
}
