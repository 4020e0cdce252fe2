// A transaction as the bytes of one raft entry, and back.
//
// `decode` reads what this or another version wrote to a log or snapshot: bytes that are cut short
// or wrong are ErrorKind::invalid with the number of the change and the name of the field, never a
// crash. A kind of change that this version does not know is an error too: ignoring it would let
// two managers hold different states.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "core/store/transaction.hpp"

namespace skep::store {

std::string encode(const Transaction& transaction);
Result<Transaction> decode_transaction(std::string_view bytes);

// What each adds to the bytes of its transaction.
size_t encoded_bytes(const Change& change);
size_t encoded_bytes(const AnsweredRequest& request);

}  // namespace skep::store
