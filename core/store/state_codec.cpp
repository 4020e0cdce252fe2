// Frames out, frames in.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/state_codec.hpp"

#include "core/store/transaction_codec.hpp"

namespace skep::store {
namespace {

constexpr std::string_view kMark = "skep state ";
constexpr size_t kHeadBytes = kMark.size() + sizeof(uint32_t);
// Rows of one frame; a bound for protobuf's memory, and so small that a frame of the biggest rows
// stays far below its limit.
constexpr size_t kFrameRows = 512;
constexpr size_t kFrameBytes = 4 << 20;

void put_number(uint32_t number, std::string& to) {
  for (int shift = 0; shift < 32; shift += 8) to.push_back(static_cast<char>(number >> shift));
}

uint32_t get_number(std::string_view from) {
  uint32_t number = 0;
  for (size_t i = 0; i < sizeof(number); ++i) {
    number |= static_cast<uint32_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  }
  return number;
}

// Gathers rows into frames and frames into pieces.
class Writer {
 public:
  explicit Writer(const Sink& sink) : sink_(sink) {
    piece_ = kMark;
    put_number(kStateFormat, piece_);
  }

  void add(Change change, size_t about_bytes = 0) {
    frame_.changes.push_back(std::move(change));
    frame_bytes_ += about_bytes;
    if (frame_.changes.size() >= kFrameRows || frame_bytes_ >= kFrameBytes) close_frame();
  }
  void add(const Row<AnsweredRequest>& request) {
    frame_.answered.push_back(request);
    if (frame_.answered.size() >= kFrameRows) close_frame();
  }
  Status finish() {
    close_frame();
    put_number(0, piece_);  // the end: bytes cut short between two frames must not pass
    if (status_) status_ = sink_(piece_);
    return status_;
  }

 private:
  void close_frame() {
    frame_bytes_ = 0;
    if ((frame_.changes.empty() && frame_.answered.empty()) || !status_) return;
    const std::string bytes = encode(frame_);
    frame_ = {};
    put_number(static_cast<uint32_t>(bytes.size()), piece_);
    piece_ += bytes;
    if (piece_.size() < kStatePieceBytes) return;
    status_ = sink_(piece_);
    piece_.clear();
  }

  const Sink& sink_;
  Status status_;
  Transaction frame_;
  size_t frame_bytes_ = 0;
  std::string piece_;
};

struct Reader {
  State& state;
  uint64_t answers = 0;

  void operator()(const Upsert<model::Cluster>& c) { state.cluster = c.row; }
  void operator()(const Upsert<model::Node>& c) { state.nodes.at(c.row->id) = c.row; }
  void operator()(const Upsert<model::Service>& c) { state.services.at(c.row->id) = c.row; }
  void operator()(const Upsert<model::Task>& c) { state.tasks.at(c.row->id) = c.row; }
  void operator()(const Upsert<model::Network>& c) { state.networks.at(c.row->id) = c.row; }
  void operator()(const Upsert<model::Config>& c) { state.configs.at(c.row->id) = c.row; }
  void operator()(const SpecRow& c) { state.specs.at(c.key) = c.spec; }
  void operator()(const Erase&) {}

  Status take(std::string_view frame) {
    SKEP_TRY_ASSIGN(const Transaction transaction, decode_transaction(frame));
    for (const Change& change : transaction.changes) {
      if (std::holds_alternative<Erase>(change)) {
        return fail(ErrorKind::invalid, "an erasure in a snapshot");
      }
      std::visit(*this, change);
    }
    for (const auto& request : transaction.answered) state.answered.at(answers++) = request;
    return {};
  }
};

}  // namespace

Status encode(const State& state, const Sink& sink) {
  Writer writer(sink);
  if (state.cluster) writer.add(Upsert<model::Cluster>{state.cluster});
  state.specs.each([&](const model::SpecKey& key, const auto& spec) {
    Change row = SpecRow{key, spec};
    const size_t size = encoded_bytes(row);
    writer.add(std::move(row), size);
  });
  state.networks.each([&](auto, const auto& row) { writer.add(Upsert<model::Network>{row}); });
  state.configs.each([&](auto, const auto& row) {
    writer.add(Upsert<model::Config>{row}, row->spec.data.size());
  });
  state.nodes.each([&](auto, const auto& row) { writer.add(Upsert<model::Node>{row}); });
  state.services.each([&](auto, const auto& row) { writer.add(Upsert<model::Service>{row}); });
  state.tasks.each([&](auto, const auto& row) { writer.add(Upsert<model::Task>{row}); });
  state.answered.each([&](auto, const auto& request) { writer.add(request); });
  return writer.finish();
}

std::string encode(const State& state) {
  std::string bytes;
  const Status done = encode(state, [&](std::string_view piece) -> Status {
    bytes += piece;
    return {};
  });
  SKEP_ASSERT(done.has_value(), "a string takes every piece");
  return bytes;
}

Result<State> decode_state(std::string_view bytes) {
  if (bytes.size() < kHeadBytes || !bytes.starts_with(kMark)) {
    return fail(ErrorKind::invalid, "state: not a state, or cut short");
  }
  const uint32_t format = get_number(bytes.substr(kMark.size()));
  if (format != kStateFormat) {
    return fail(ErrorKind::invalid,
                "state: format " + std::to_string(format) + " is not known to this version");
  }
  bytes.remove_prefix(kHeadBytes);
  State state;
  Reader reader{state};
  for (size_t frame = 1;; ++frame) {
    const std::string where = "state: frame " + std::to_string(frame);
    if (bytes.size() < sizeof(uint32_t)) return fail(ErrorKind::invalid, where + ": cut short");
    const uint32_t size = get_number(bytes);
    bytes.remove_prefix(sizeof(uint32_t));
    if (size == 0 && bytes.empty()) return state;
    if (size == 0) return fail(ErrorKind::invalid, where + ": an end before the end");
    if (bytes.size() < size) return fail(ErrorKind::invalid, where + ": cut short");
    if (const Status taken = reader.take(bytes.substr(0, size)); !taken) {
      return fail(taken.error().within(where));
    }
    bytes.remove_prefix(size);
  }
}

}  // namespace skep::store
