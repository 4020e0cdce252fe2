// A whole State as bytes, and back: what a snapshot on a disk or on its way to a member holds.
//
// The bytes are a short head with the number of the format, then frames, each a length and a
// transaction (core/model/codec/transaction.proto) of some hundred rows. So neither side ever holds
// more of protobuf's form than one frame, and there is no limit of 2 GiB. Equal states give equal
// bytes, whatever way each manager came to its own.
//
// Checksums are the storage's. Any thread; a State is immutable to who did not make it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "core/store/state.hpp"

namespace skep::store {

// Grows when an older program could not read it any more.
inline constexpr uint32_t kStateFormat = 1;

// In pieces of about kStatePieceBytes, for who writes them out; a sink's error ends it.
inline constexpr size_t kStatePieceBytes = 256 << 10;
using Sink = std::function<Status(std::string_view)>;
Status encode(const State& state, const Sink& sink);

// All in one.
std::string encode(const State& state);

// `invalid` for bytes that are cut short, of an unknown format, or hold what no state holds.
Result<State> decode_state(std::string_view bytes);

}  // namespace skep::store
