// Messages of the group to bytes and back.
//
// What comes in was sent by another manager and is checked as any outside bytes are: after decode()
// every number is in its bounds, entries follow each other without gaps, and every configuration
// can be read, so that the core may rely on the shape and has to judge the content alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/raft/types.hpp"

namespace skep::raft {

std::string encode(const Message& message);
// Errors are `invalid` and say which field.
Result<Message> decode_message(std::string_view bytes);

}  // namespace skep::raft
